"""Real processes on one new store: no error, nothing lost, and a shared key has one winner."""

import os
from collections.abc import Callable, Iterator
from multiprocessing.context import ForkServerContext
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from app.store.publish import claim, open_store, publish_images
from tests.store.places import BOTH, Place, Places
from tests.store.values import image_of, key_of

WRITERS, SHARED, OWN = 4, range(40), range(20)


@pytest.fixture(params=BOTH)
def bare(request: pytest.FixtureRequest, places: Places, tmp_path: Path) -> Iterator[Place]:
    """A place whose catalog has never been opened."""
    with places.new(request.param, tmp_path, migrated=False) as place:
        yield place


def seeds_of(number: int) -> list[int]:
    """Every writer begins the shared seeds elsewhere, and has some of its own."""
    shift = number * len(SHARED) // WRITERS
    turned = [*SHARED[shift:], *SHARED[:shift]]
    return turned + [1000 * (number + 1) + step for step in OWN]


def publish_many(
    environment: dict[str, str], blobs_url: str, catalog_url: str, number: int, barrier: Barrier
) -> None:
    """Open the store with the other processes, then claim and publish, a few at a time."""
    os.environ.update(environment)
    barrier.wait(120)
    store = open_store(blobs_url, catalog_url)
    seeds = seeds_of(number)
    for start in range(0, len(seeds), 3):
        keys = [key_of(seed) for seed in seeds[start : start + 3]]
        claim(store, keys, owner=str(number), seconds=0)
        offers = [(seed, b"image %d" % seed) for seed in seeds[start : start + 3]]
        images = [(image_of(s, data).replace(seconds=number), data) for s, data in offers]
        publish_images(store, images, owner=str(number))


def together(processes: ForkServerContext, work: Callable[..., None], place: Place) -> None:
    """Let the writers begin at the same moment; none of them may fail."""
    barrier = processes.Barrier(WRITERS)
    workers = [
        processes.Process(
            target=work,
            args=(dict(os.environ), place.blobs.url, place.catalog_url, number, barrier),
        )
        for number in range(WRITERS)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0] * WRITERS


def test_many_processes_lose_no_row_and_agree_on_the_winner(
    processes: ForkServerContext, bare: Place
) -> None:
    together(processes, publish_many, bare)
    store = bare.open()
    seeds = {seed for number in range(WRITERS) for seed in seeds_of(number)}
    images = store.catalog.images(key_of(seed) for seed in seeds)
    assert {key_of(seed) for seed in seeds} == set(images)
    assert len(store.catalog.find_images()) == len(SHARED) + WRITERS * len(OWN)
    assert all(store.blobs.get(images[key_of(s)].digest) == b"image %d" % s for s in seeds)


def claim_many(
    environment: dict[str, str], blobs_url: str, catalog_url: str, number: int, barrier: Barrier
) -> None:
    """Claim every shared key one by one, from another beginning than the others."""
    os.environ.update(environment)
    store = open_store(blobs_url, catalog_url)
    store.catalog.runs()
    barrier.wait(120)
    won = [
        key
        for seed in seeds_of(number)[: len(SHARED)]
        for key in claim(store, [key_of(seed)], owner=str(number), seconds=3600).won
    ]
    store.catalog.begin_run(str(number), plan="icons", plan_digest="0" * 64)
    store.catalog.end_run(str(number), {"won": won})


def test_of_many_who_claim_a_key_at_once_exactly_one_wins(
    processes: ForkServerContext, bare: Place
) -> None:
    together(processes, claim_many, bare)
    summaries = [run.summary or {} for run in bare.open().catalog.runs()]
    won = [key for summary in summaries for key in summary["won"]]
    assert sorted(won) == sorted(key_of(seed) for seed in SHARED)
