"""Errors of the database that pass are met by doing the whole work again; the others are said."""

import os
import resource
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Connection, make_url, text

from app.errors import CatalogError, StoreError
from app.store.catalog import Catalog
from app.store.database import Database
from app.store.postgresql import PostgreSQL
from app.store.publish import Store, open_store, publish_images
from app.store.retry import TRIES
from app.store.sqlite import Sqlite
from app.store.verify import verify
from tests.store.places import Place, Places, sqlite_url
from tests.store.values import image_of, key_of


@pytest.fixture
def postgresql(places: Places, tmp_path: Path) -> Any:
    with places.new("postgresql+folder", tmp_path) as place:
        yield place


class Failing:
    """Work that meets trouble the first few times, and counts how often it was begun."""

    def __init__(self, trouble: str, times: int) -> None:
        self.trouble, self.times, self.begun = trouble, times, 0

    def __call__(self, connection: Connection) -> int:
        self.begun += 1
        number = str(self.begun)
        connection.execute(
            text("INSERT INTO leases (key, owner, expires_at, attempts) VALUES (:key, 'a', 0, 1)"),
            {"key": f"k{number}"},
        )
        if self.begun <= self.times:
            connection.execute(text(self.trouble))
        return self.begun


def raising(state: str) -> str:
    return f"DO $$ BEGIN RAISE EXCEPTION 'as told' USING ERRCODE = '{state}'; END $$"


LOST = "SELECT pg_terminate_backend(pg_backend_pid())"
PASSING = [raising("40001"), raising("40P01"), raising("55P03"), raising("57P01"), LOST]


def database_of(place: Place, waits: list[float]) -> Database:
    dialect = PostgreSQL()
    return Database(dialect.open(make_url(place.catalog_url)), dialect, wait=waits.append)


@pytest.mark.parametrize("trouble", PASSING)
@pytest.mark.parametrize("times", [1, 3])
def test_the_whole_work_is_done_again_until_it_succeeds_once(
    postgresql: Place, trouble: str, times: int
) -> None:
    waits: list[float] = []
    database = database_of(postgresql, waits)
    work = Failing(trouble, times)
    assert database.write(work, names=["k"]) == times + 1
    assert len(waits) == times
    with database.reading() as connection:
        assert connection.execute(text("SELECT key FROM leases")).all() == [(f"k{times + 1}",)]
    database.close()


@pytest.mark.parametrize("trouble", [raising("40001"), LOST])
def test_what_never_passes_ends_after_a_finite_number_of_tries(
    postgresql: Place, trouble: str
) -> None:
    waits: list[float] = []
    database = database_of(postgresql, waits)
    work = Failing(trouble, 100)
    with pytest.raises(CatalogError, match="check that the server runs"):
        database.write(work, names=["k"])
    assert work.begun == TRIES
    assert len(waits) == TRIES - 1
    with database.reading() as connection:
        assert connection.execute(text("SELECT key FROM leases")).all() == []
    database.close()


def test_what_will_not_pass_is_said_at_once(postgresql: Place) -> None:
    waits: list[float] = []
    database = database_of(postgresql, waits)
    with pytest.raises(CatalogError, match="as told"):
        database.write(Failing(raising("23505"), 1), names=["k"])
    assert waits == []
    database.close()


def test_connections_lost_between_two_calls_are_made_anew(postgresql: Place) -> None:
    catalog = postgresql.open().catalog
    catalog.runs()
    other = postgresql.open().catalog
    with other.writing() as connection:
        connection.execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            )
        )
    assert catalog.runs() == []
    catalog.begin_run("first", plan="icons", plan_digest="0" * 64)
    assert [run.run_id for run in other.runs()] == ["first"]


def test_a_writer_of_the_same_name_waits_and_of_another_does_not(postgresql: Place) -> None:
    catalog = postgresql.open().catalog
    with catalog.writing(["a"]):
        catalog.write(lambda connection: None, names=["b"])
        with pytest.raises(CatalogError, match="lock timeout"):
            hold_impatiently(catalog, "a")


def hold_impatiently(catalog: Catalog, name: str) -> None:
    with catalog.writing() as connection:
        connection.execute(text("SELECT set_config('lock_timeout', '50ms', true)"))
        PostgreSQL.hold(connection, [name])


@pytest.mark.parametrize("held", [1, TRIES])
def test_a_locked_file_is_asked_again_a_finite_number_of_times(tmp_path: Path, held: int) -> None:
    url = sqlite_url(tmp_path)
    dialect = Sqlite()
    with closing(sqlite3.connect(tmp_path / "catalog.db", isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        waits: list[float] = []

        def wait(seconds: float) -> None:
            waits.append(seconds)
            if len(waits) == held:
                other.rollback()

        engine = dialect.open(make_url(f"{url}?timeout=0.01"))
        database = Database(engine, dialect, wait=wait)
        if held < TRIES:
            assert database.write(lambda connection: "done", names=()) == "done"
        else:
            with pytest.raises(CatalogError, match=r"locked.*no other program locks it"):
                database.write(lambda connection: "done", names=())
        assert len(waits) == min(held, TRIES - 1)
        database.close()


def publish_within(blobs_url: str, catalog_url: str, most_bytes: int, size: int) -> None:
    """Publish an image of this size on a disk that takes no file beyond so many bytes."""
    store = open_store(blobs_url, catalog_url)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most_bytes, resource.RLIM_INFINITY))
    data = bytes(size)
    try:
        publish_images(store, [(image_of(1, data), data)], owner="ann")
    except StoreError as error:
        os._exit(10 if "check that the disk is writable and has space" in str(error) else 1)
    except CatalogError as error:
        os._exit(11 if "check that its folder is writable and has space" in str(error) else 1)


@pytest.mark.parametrize(
    ("most_bytes", "size", "exitcode"),
    [(5000, 100_000, 10), (99_999, 100_000, 10), (100, 10, 11), (20_000, 10, 11)],
)
def test_a_full_disk_is_said_and_leaves_nothing_half_written(
    places: Places, processes: Any, tmp_path: Path, most_bytes: int, size: int, exitcode: int
) -> None:
    with places.new("sqlite+folder", tmp_path) as place:
        process = processes.Process(
            target=publish_within, args=(place.blobs.url, place.catalog_url, most_bytes, size)
        )
        process.start()
        process.join()
        assert process.exitcode == exitcode
        store: Store = place.open()
        whole = {image_of(1, bytes(size)).digest} if exitcode == 11 else set()
        assert set(place.blobs.all()) == whole
        assert store.catalog.images([key_of(1)]) == {}
        publish_images(store, [(image_of(1, bytes(size)), bytes(size))], owner="ann")
        assert verify(store) == []
