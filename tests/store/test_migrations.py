"""The numbered migrations: from nothing to the tables, by many openers, never backwards."""

import threading
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import text

from app.errors import CatalogError
from app.store import tables
from app.store.catalog import Catalog
from app.store.publish import open_store
from tests.store.values import open_store_in


def version_of(catalog: Catalog) -> str:
    with catalog.reading() as connection:
        return str(connection.execute(text("SELECT version_num FROM alembic_version")).scalar_one())


def test_the_migrations_build_exactly_the_tables(tmp_path: Path) -> None:
    with open_store_in(tmp_path).catalog.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, tables.metadata) == []


def test_opening_again_keeps_what_is_there(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'deep' / 'catalog.db'}"
    Catalog.open(url).begin_run("first", plan="icons", plan_digest="0" * 64)
    assert [run.run_id for run in Catalog.open(url).runs()] == ["first"]


def test_many_may_open_a_new_catalog_at_once(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'catalog.db'}"
    opened: list[str] = []
    together = threading.Barrier(4)

    def open_one() -> None:
        together.wait()
        opened.append(version_of(Catalog.open(url)))

    threads = [threading.Thread(target=open_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == ["0001"] * 4
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} == {"catalog.db"}


def test_a_catalog_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'catalog.db'}"
    with Catalog.open(url).writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(CatalogError, match=r"schema 9999.*newer version"):
        Catalog.open(url)


def test_a_death_in_the_middle_of_a_migration_leaves_the_catalog_as_it_was(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'catalog.db'}"
    catalog = Catalog.open(url)
    with catalog.writing() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
    with pytest.raises(CatalogError, match="already exists"):
        Catalog.open(url)
    with catalog.reading() as connection:
        assert connection.execute(text("SELECT * FROM alembic_version")).all() == []


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("postgresql://me:secret@localhost/atelier", "'postgresql'"),
        ("sqlite://", "no file"),
        ("catalog.db", "no scheme"),
    ],
)
def test_another_kind_of_url_is_refused_with_the_remedy(url: str, named: str) -> None:
    with pytest.raises(CatalogError, match=f"{named}.*sqlite:////absolute/file") as refusal:
        Catalog.open(url)
    assert "secret" not in str(refusal.value)


def test_a_file_that_is_no_catalog_is_refused(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").write_bytes(b"something else entirely" * 100)
    with pytest.raises(CatalogError, match="not a database"):
        open_store((tmp_path / "blobs").as_uri(), f"sqlite:///{tmp_path / 'catalog.db'}")
