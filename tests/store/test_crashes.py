"""SIGKILL at every point of the protocol: nothing torn, nothing lost, nothing made again."""

import os
import signal
from collections.abc import Iterator
from multiprocessing.context import ForkServerContext
from pathlib import Path

import pytest
from sqlalchemy import select

from app.store import tables
from app.store.fault_injection import POINTS
from app.store.store import Store
from app.store.sweep import sweep
from app.store.verify import verify
from tests.store import worker
from tests.store.places import BOTH, Place, Places
from tests.store.values import key_of

OF_FOLDERS = {"blob.written", "blob.synced", "blob.linked", "blob.cleared", "blob.settled"}
OF_BUCKETS = {"blob.sent", "blob.verified"}


def trials() -> Iterator[tuple[str, str, int]]:
    """Every point a store of this kind has, at its first, a middle and its last passing."""
    for kind in BOTH:
        absent = OF_BUCKETS if kind.endswith("folder") else OF_FOLDERS
        for point in POINTS:
            last = worker.PASSINGS[point]
            if point not in absent:
                yield from ((kind, point, number) for number in sorted({1, (last + 1) // 2, last}))


def work(processes: ForkServerContext, place: Place, ledger: Path, fault: str = "") -> int | None:
    environment = {**os.environ, "ATELIER_FAULT": fault}
    process = processes.Process(
        target=worker.run, args=(place.blobs.url, place.catalog_url, ledger, environment)
    )
    process.start()
    process.join()
    return process.exitcode


def ledger_of(store: Store) -> list[tuple[str, str]]:
    """The catalog's own account: every attempt, by key and ending."""
    query = select(tables.ledger.c.key, tables.ledger.c.ending)
    return [
        tuple(row) for row in store.catalog.read(lambda connection: connection.execute(query).all())
    ]


def made(ledger: Path) -> list[int]:
    return [int(line) for line in ledger.read_text().split()] if ledger.exists() else []


@pytest.mark.parametrize(("kind", "point", "number"), list(trials()))
def test_a_death_anywhere_leaves_no_trace_once_the_work_is_done_again(
    places: Places, processes: ForkServerContext, tmp_path: Path, kind: str, point: str, number: int
) -> None:
    ledger = tmp_path / "ledger"
    keys = {key_of(seed): seed for seed in worker.SEEDS}
    with places.new(kind, tmp_path) as place:
        assert work(processes, place, ledger, f"{point}:{number}") == -signal.SIGKILL
        store = place.open()
        committed = store.catalog.images(keys)
        before = made(ledger)
        assert verify(store) == []
        assert all(store.blobs.get(entry.digest) for entry in store.blobs.entries())
        assert work(processes, place, ledger) == 0
        again = made(ledger)[len(before) :]
        assert not {keys[key] for key in committed} & set(again)
        assert max(map(made(ledger).count, worker.SEEDS)) <= 2
        images = store.catalog.images(keys)
        assert set(images) == set(keys)
        assert committed.items() <= images.items()
        assert len(store.catalog.find_assets()) == len(worker.SEEDS)
        assert verify(store) == []
        endings = ledger_of(store)
        assert sorted(key for key, ending in endings if ending == "made") == sorted(keys)
        assert not {key for key, ending in endings if ending == "lost"} & set(committed)
        assert len(endings) <= len(set(endings))
        assert {entry.digest for entry in store.blobs.entries()} == worker.all_digests()
        swept = sweep(store, lease_seconds=-60, grace_seconds=-60)
        assert swept.blobs == ()
        assert set(place.blobs.all()) == worker.all_digests()


@pytest.mark.parametrize("kind", BOTH)
def test_the_work_passes_each_point_as_often_as_the_trials_believe(
    places: Places, processes: ForkServerContext, tmp_path: Path, kind: str
) -> None:
    """One passing more than the last never comes, so the last is the last."""
    faults = [f"{point}:{last + 1}" for point, last in worker.PASSINGS.items()]
    with places.new(kind, tmp_path) as place:
        assert work(processes, place, tmp_path / "ledger", ",".join(faults)) == 0


@pytest.mark.parametrize("fault", ["blob.lnked:1", "blob.linked", "blob.linked:x", ":1"])
def test_a_fault_that_names_no_point_is_refused(
    processes: ForkServerContext, places: Places, tmp_path: Path, fault: str
) -> None:
    with places.new("sqlite+folder", tmp_path) as place:
        assert work(processes, place, tmp_path / "ledger", fault) == 1
