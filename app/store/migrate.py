"""Migrate: brings the catalog's schema to the newest revision inside an open transaction."""

from pathlib import Path

from sqlalchemy import Connection, inspect, text

from app.errors import CatalogError

_MIGRATIONS = Path(__file__).parent / "migrations"


def newest() -> str:
    """Returns the newest revision this version knows: a file's number is its revision."""
    return max(path.name[:4] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))


def is_newest(connection: Connection) -> bool:
    """Returns whether the schema is up to date, without loading Alembic."""
    return revision(connection) == newest()


def revision(connection: Connection) -> str | None:
    """Returns the revision of the catalog; None when it is empty."""
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def upgrade(connection: Connection, target: str | None = None) -> None:
    """Runs the missing migrations. Raises CatalogError for a schema of a newer version."""
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    target = target or newest()
    current = revision(connection)
    if current is not None and current > target:
        raise CatalogError(
            f"the catalog is at schema {current} and this version knows {target}; "
            "install the newer version that wrote it"
        )
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, target)
    except CommandError as exc:
        raise CatalogError(f"the catalog cannot be brought to schema {target}: {exc}") from exc
