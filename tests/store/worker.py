"""One run as a process of its own would do it: claim, make, publish; killed when told to."""

import os
from pathlib import Path

from app.digest import digest_bytes
from app.store.publish import claim, open_store, publish_assets, publish_images, publish_pages
from tests.store.values import image_of, key_of, page_of, record_of

BATCHES = ((1, 2), (3,))
SEEDS = [seed for batch in BATCHES for seed in batch]
PASSINGS = {
    "lease.begin": 2,
    "lease.counted": 2,
    "lease.claimed": 2,
    "blob.begin": 8,
    "blob.written": 8,
    "blob.synced": 8,
    "blob.linked": 8,
    "blob.cleared": 5,
    "blob.settled": 5,
    "blob.sent": 8,
    "blob.verified": 8,
    "publish.begin": 5,
    "publish.kept": 5,
    "publish.written": 5,
    "publish.committed": 5,
}
"""How often an undisturbed run passes each point: 3 images, 3 files, a page and its metadata."""


def bytes_of(seed: int) -> bytes:
    """The picture a model would make from this seed."""
    return b"image %d " % seed * 100


def run(blobs_url: str, catalog_url: str, ledger: Path, environment: dict[str, str]) -> None:
    """Do all the work that is not done yet; the ledger is the model's own account of its work."""
    os.environ.update(environment)
    store = open_store(blobs_url, catalog_url)
    for seeds in BATCHES:
        claimed = claim(store, [key_of(seed) for seed in seeds], owner="run", seconds=3600)
        wanted = [seed for seed in seeds if key_of(seed) in claimed.won]
        made = [(image_of(seed, generate(seed, ledger)), bytes_of(seed)) for seed in wanted]
        publish_images(store, made, owner="run")
    images = store.catalog.images(key_of(seed) for seed in SEEDS)
    for seeds in BATCHES:
        files = {seed: b"finished %d" % seed for seed in seeds}
        records = [
            (record_of(images[key_of(s)], data, name=f"asset-{s}"), [data])
            for s, data in files.items()
        ]
        publish_assets(store, records)
    publish_pages(store, "run", [(page_of(b"page", b"{}"), b"page", b"{}")])


def generate(seed: int, ledger: Path) -> bytes:
    """The picture, after a line in the ledger."""
    with ledger.open("a") as file:
        file.write(f"{seed}\n")
    return bytes_of(seed)


def all_digests() -> set[str]:
    """Every blob that the finished work names."""
    finished = [b"finished %d" % seed for seed in SEEDS]
    return {digest_bytes(d) for d in [*map(bytes_of, SEEDS), *finished, b"page", b"{}"]}
