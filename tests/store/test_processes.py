"""Two real processes on one new store: nothing is lost, and a shared key has one winner."""

import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path

from app.store.publish import publish_images
from tests.store.values import image_of, key_of, open_store_in

SHARED, OWN = range(100), 100


def publish_many(folder: Path, number: int, together: Barrier) -> None:
    """Open the store with the other process, then publish 100 shared and 100 own images."""
    together.wait()
    store = open_store_in(folder)
    for step in SHARED:
        seeds = (step, 1000 * (number + 1) + step)
        for seed in seeds:
            data = b"image %d" % seed
            image = image_of(seed, data).replace(seconds=number)
            publish_images(store, [(image, data)], owner=str(number))


def test_two_processes_lose_no_row_and_agree_on_the_winner(tmp_path: Path) -> None:
    context = multiprocessing.get_context("spawn")
    together = context.Barrier(2)
    workers = [
        context.Process(target=publish_many, args=(tmp_path, number, together))
        for number in range(2)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert [worker.exitcode for worker in workers] == [0, 0]
    store = open_store_in(tmp_path)
    seeds = [*SHARED, *range(1000, 1000 + OWN), *range(2000, 2000 + OWN)]
    images = store.catalog.images(key_of(seed) for seed in seeds)
    assert {key_of(seed) for seed in seeds} == set(images)
    assert all(store.blobs.get(images[key_of(s)].digest) == b"image %d" % s for s in seeds)
