"""The numbered migrations: from nothing to the tables, by many openers, never backwards."""

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import select, text

from app.errors import CatalogError
from app.store import migrate, tables
from app.store.catalog import Catalog
from app.store.costs import AttemptTime
from app.store.publish import publish_assets, publish_images, publish_pages
from app.types import CostGroup
from tests.store.places import BOTH, Place, Places
from tests.store.values import image_of, page_of, record_of, request_for

NEWEST = "0007"


@pytest.fixture(params=BOTH)
def bare(request: pytest.FixtureRequest, places: Places, tmp_path: Path) -> Iterator[Place]:
    """A place whose catalog has never been opened."""
    with places.new(request.param, tmp_path, migrated=False) as place:
        yield place


def version_of(catalog: Catalog) -> str | None:
    return catalog.read(migrate.revision)


def test_the_migrations_build_exactly_the_tables(bare: Place) -> None:
    with bare.open().catalog.reading() as connection:
        context = MigrationContext.configure(connection, opts={"compare_server_default": True})
        assert compare_metadata(context, tables.metadata) == []


def test_rows_of_the_first_schema_come_through_to_the_newest(bare: Place) -> None:
    store = bare.open()
    drawn_from = store.blobs.put(b"a sketch")
    images = [image_of(1, b"an icon"), image_of(2, b"drawn", request=drawn(2, drawn_from))]
    publish_images(store, list(zip(images, [b"an icon", b"drawn"], strict=True)), owner="ann")
    records = [record_of(images[0], b"finished"), record_of(None, None, name="lost")]
    records[1] = records[1].replace(status="rejected")
    stored = publish_assets(store, [(records[0], [b"finished"]), (records[1], [])])
    pages = publish_pages(store, "run", [(page_of(b"p", b"{}"), b"p", b"{}")])
    held = holdings(store.catalog)
    assert len(held) == 6
    back_to_the_first_schema(store.catalog)
    store.catalog.close()
    catalog = bare.open().catalog
    assert version_of(catalog) == NEWEST
    assert holdings(catalog) == held
    assert catalog.images(image.key for image in images) == {i.key: i for i in images}
    assert catalog.versions("red-potion") == [stored[0]]
    assert catalog.pages("run") == pages
    assert [seen.fingerprint for seen in catalog.accepted_before("")] == [stored[0].phash]


def test_what_images_said_of_their_runs_and_costs_comes_into_the_ledger(bare: Place) -> None:
    store = bare.open()
    store.catalog.begin_run("first", plan="icons", plan_digest="0" * 64)
    images = [
        image_of(seed, b"%d" % seed, request=request_for(seed, team="art")) for seed in (1, 2, 3)
    ]
    publish_images(
        store, [(i, b"%d" % s) for s, i in zip((1, 2, 3), images, strict=True)], owner=""
    )
    back_to_the_fourth_schema(store.catalog)
    with store.catalog.writing() as connection:
        theirs = text("UPDATE images SET owner = 'first', cost_usd = 0.25 WHERE key <> :key")
        connection.execute(theirs, {"key": images[2].key})
    store.catalog.close()
    catalog = bare.open().catalog
    (run,) = catalog.costs(CostGroup.RUN).groups
    (team,) = catalog.costs(CostGroup.TEAM).groups
    assert (run.name, run.made, run.usd, run.seconds) == ("first", 2, 0.5, 0.5)
    assert (team.name, team.nano_usd, team.assets) == ("art", run.nano_usd, 0)
    assert catalog.spent_usd("plan", "icons") == 0.5
    assert catalog.attempt_times("starter/1") == [AttemptTime(seconds=0.25, gpu=False)] * 2


def drawn(seed: int, init_image: str) -> object:
    return request_for(seed).replace(init_image=init_image, strength=0.5)


def holdings(catalog: Catalog) -> set[tuple[str, str, str]]:
    with catalog.reading() as connection:
        return {tuple(row) for row in connection.execute(select(tables.holdings))}


def back_to_the_fourth_schema(catalog: Catalog) -> None:
    """Undo by hand what the fifth step did; nobody ever goes this way."""
    with catalog.writing() as connection:
        for column in ("who", "plan", "team", "model", "asset", "nano_usd"):
            connection.execute(text(f"ALTER TABLE leases DROP COLUMN {column}"))
        connection.execute(text("ALTER TABLE assets DROP COLUMN fingerprint"))
        connection.execute(text("DROP TABLE documents"))
        connection.execute(text("DROP TABLE ledger"))
        connection.execute(text("DROP TABLE spending"))
        connection.execute(text("ALTER TABLE images ADD COLUMN owner VARCHAR"))
        connection.execute(text("ALTER TABLE images ADD COLUMN cost_usd FLOAT"))
        connection.execute(text("CREATE INDEX ix_images_owner ON images (owner)"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0004'"))


def back_to_the_first_schema(catalog: Catalog) -> None:
    """The same for all steps but the first."""
    back_to_the_fourth_schema(catalog)
    with catalog.writing() as connection:
        connection.execute(text("DROP INDEX ix_images_owner"))
        for column in ("owner", "cost_usd"):
            connection.execute(text(f"ALTER TABLE images DROP COLUMN {column}"))
        connection.execute(text("DROP TABLE pointers"))
        connection.execute(text("DROP TABLE holdings"))
        connection.execute(text("DROP TABLE swept"))
        connection.execute(text("UPDATE alembic_version SET version_num = '0001'"))


def test_opening_again_keeps_what_is_there(bare: Place) -> None:
    bare.open().catalog.begin_run("first", plan="icons", plan_digest="0" * 64)
    assert [run.run_id for run in bare.open().catalog.runs()] == ["first"]


def test_a_files_folder_is_made_with_it(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'deep' / 'catalog.db'}"
    assert version_of(Catalog.open(url)) == NEWEST


def test_many_may_open_a_new_catalog_at_once(bare: Place, tmp_path: Path) -> None:
    opened: list[str | None] = []
    together = threading.Barrier(4)

    def open_one() -> None:
        together.wait()
        opened.append(version_of(bare.open().catalog))

    threads = [threading.Thread(target=open_one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert opened == [NEWEST] * 4
    assert {path.name.partition("-")[0] for path in tmp_path.iterdir()} <= {"catalog.db"}


def test_a_catalog_of_a_newer_version_is_refused(place: Place) -> None:
    with place.open().catalog.writing() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    try:
        with pytest.raises(CatalogError, match=r"schema 9999.*newer version"):
            place.open()
    finally:
        with place.opened[0].catalog.writing() as connection:
            connection.execute(text(f"UPDATE alembic_version SET version_num = '{NEWEST}'"))


def test_a_death_in_the_middle_of_a_migration_leaves_the_catalog_as_it_was(bare: Place) -> None:
    catalog = bare.open().catalog
    with catalog.writing() as connection:
        connection.execute(text("DELETE FROM alembic_version"))
    with pytest.raises(CatalogError, match="already exists"):
        bare.open()
    with catalog.reading() as connection:
        assert connection.execute(text("SELECT * FROM alembic_version")).all() == []


def test_a_step_that_fails_half_way_leaves_no_trace_of_itself(bare: Place) -> None:
    store = bare.open()
    publish_images(store, [(image_of(1, b"an icon"), b"an icon")], owner="ann")
    back_to_the_first_schema(store.catalog)
    with store.catalog.writing() as connection:
        connection.execute(text("CREATE TABLE swept (in_the_way INTEGER)"))
    with pytest.raises(CatalogError, match="already exists"):
        bare.open()
    with store.catalog.writing() as connection:
        assert connection.execute(text("SELECT version_num FROM alembic_version")).all()
        connection.execute(text("DROP TABLE swept"))
    assert len(holdings(bare.open().catalog)) == 1


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("mysql://me:secret@localhost/atelier", "'mysql'"),
        ("postgresql+asyncpg://me:secret@localhost/atelier", r"'postgresql\+asyncpg'"),
        ("postgresql://me:secret@localhost", "no database"),
        ("sqlite://", "no file"),
        ("catalog.db", "no scheme"),
    ],
)
def test_another_kind_of_url_is_refused_with_the_remedy(url: str, named: str) -> None:
    remedy = r"sqlite:////absolute/file.*postgresql\+psycopg://user@host/database"
    with pytest.raises(CatalogError, match=f"{named}.*{remedy}") as refusal:
        Catalog.open(url)
    assert "secret" not in str(refusal.value)


def test_a_file_that_is_no_catalog_is_refused(tmp_path: Path) -> None:
    (tmp_path / "catalog.db").write_bytes(b"something else entirely" * 100)
    with pytest.raises(CatalogError, match="not a database"):
        Catalog.open(f"sqlite:///{tmp_path / 'catalog.db'}")


def test_a_server_that_is_not_there_is_named_without_the_password() -> None:
    url = "postgresql://me:secret@127.0.0.1:1/atelier"
    with pytest.raises(CatalogError, match=r"atelier on 127.0.0.1 failed.*check that the server"):
        Catalog.open(url)


def test_the_short_scheme_of_postgresql_opens_the_same_catalog(
    places: Places, tmp_path: Path
) -> None:
    with places.new("postgresql+folder", tmp_path) as place:
        place.open().catalog.begin_run("first", plan="icons", plan_digest="0" * 64)
        place.catalog_url = place.catalog_url.replace("+psycopg", "")
        assert [run.run_id for run in place.open().catalog.runs()] == ["first"]
