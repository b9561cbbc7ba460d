"""The catalog's connections: SQLite made safe for many writers, brought to the newest schema.

WAL with full syncs keeps what was acknowledged through a power cut; `BEGIN IMMEDIATE` lets
writers queue instead of failing on a stale snapshot (sqlite.org/isolation.html).
"""

import os
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

from sqlalchemy import Connection, Engine, create_engine, event, inspect, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError
from sqlalchemy.pool import ConnectionPoolEntry

from app.errors import CatalogError

_BUSY_SECONDS = 20
_MIGRATIONS = Path(__file__).parent / "migrations"
_CLOCK = {"sqlite": "SELECT (julianday('now') - 2440587.5) * 86400.0"}


def open_engine(url: str) -> Engine:
    """An engine for `sqlite:////absolute/file`, its folder made and its schema the newest.

    Safe to call from several processes at once. Raises CatalogError for any other URL, for
    a file that cannot be opened, and for one that a newer version wrote.
    """
    path = _sqlite_path(url)
    with _database_errors(str(path)):
        _create(path)
        engine = create_engine(url, connect_args={"timeout": _BUSY_SECONDS})
        event.listen(engine, "connect", _configure)
        event.listen(engine, "begin", _begin)
        _migrate(engine)
        return engine


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """One consistent snapshot. Raises CatalogError when the database fails."""
    with _database_errors(str(engine.url)), engine.begin() as connection:
        yield connection


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """One immediate transaction: all of it or, on any exception, nothing.

    Waits up to 20 seconds for its turn. Raises CatalogError when the database fails.
    """
    writer = engine.execution_options(writes=True)
    with _database_errors(str(engine.url)), writer.begin() as connection:
        yield connection


def clock(connection: Connection) -> float:
    """Seconds since 1970 on the catalog's clock, the only one that leases are compared on."""
    return float(connection.execute(text(_CLOCK[connection.dialect.name])).scalar_one())


def _sqlite_path(url: str) -> Path:
    try:
        parsed = make_url(url)
    except ArgumentError as exc:
        raise _unknown("no scheme") from exc
    if parsed.drivername not in ("sqlite", "sqlite+pysqlite"):
        raise _unknown(f"the scheme {parsed.drivername!r}")
    if not parsed.database or parsed.database == ":memory:":
        raise _unknown("no file")
    return Path(parsed.database)


def _unknown(what: str) -> CatalogError:
    # Not the whole URL: it may hold a password.
    return CatalogError(
        f"the catalog's URL has {what}, which cannot be opened here; "
        "give a local file as sqlite:////absolute/file"
    )


def _create(path: Path) -> None:
    # Switching a database to WAL ignores the busy timeout, so two first openers could fail;
    # one that is linked into place already switched cannot be seen in any other state.
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        with closing(sqlite3.connect(draft)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _configure(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver's own BEGIN comes too late and too weak
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _migrate(engine: Engine) -> None:
    # The file's number is the revision: a catalog that is up to date needs no Alembic.
    newest = max(path.name[:4] for path in (_MIGRATIONS / "versions").glob("[0-9]*.py"))
    with reading(engine) as connection:
        if _revision(connection) == newest:
            return
    # One write transaction is the lock: a second process waits, then finds nothing to do,
    # and a death in the middle leaves the catalog as it was.
    with writing(engine) as connection:
        _upgrade(connection, newest)


def _revision(connection: Connection) -> str | None:
    if not inspect(connection).has_table("alembic_version"):
        return None
    return connection.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _upgrade(connection: Connection, newest: str) -> None:
    from alembic import command
    from alembic.config import Config
    from alembic.util import CommandError

    found = _revision(connection)
    if found is not None and found > newest:
        raise CatalogError(
            f"the catalog is at schema {found} and this version knows {newest}; "
            "install the newer version that wrote it"
        )
    config = Config()
    config.set_main_option("script_location", str(_MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    try:
        command.upgrade(config, newest)
    except CommandError as exc:
        raise CatalogError(f"the catalog cannot be brought to schema {newest}: {exc}") from exc


@contextmanager
def _database_errors(where: str) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as exc:
        raise CatalogError(
            f"the catalog {where} failed: {str(exc).splitlines()[0]}; "
            "see that its folder is writable and has space and that no other program locks it"
        ) from exc
