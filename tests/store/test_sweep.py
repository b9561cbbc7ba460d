"""The janitor takes leftovers away, never what a row names, and says what it did."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from app.digest import digest_bytes
from app.errors import StoreError
from app.store.blobs import Blobs
from app.store.publish import (
    Store,
    attempts,
    begin_run,
    claim,
    publish_assets,
    publish_images,
    publish_pages,
)
from app.store.sweep import SweepReport, sweep
from app.store.verify import verify
from tests.store.places import Folder, Place, Places
from tests.store.values import image_of, key_of, page_of, record_of, request_for

AT_ONCE = -60.0
"""Seconds of grace for what was left behind a moment ago, whatever the clocks say."""


def sweep_at_once(store: Store, **changes: Any) -> SweepReport:
    return sweep(store, **({"lease_seconds": AT_ONCE, "grace_seconds": AT_ONCE} | changes))


def publish_everything(store: Store) -> set[str]:
    """One row of every sort; the blobs they name."""
    drawn_from = store.blobs.put(b"a sketch")
    request = request_for(1).replace(init_image=drawn_from, strength=0.5)
    image = image_of(1, b"an icon", request=request)
    publish_images(store, [(image, b"an icon")], owner="ann")
    publish_assets(store, [(record_of(image, b"finished"), [b"finished"])])
    publish_pages(store, "run", [(page_of(b"page", b"{}"), b"page", b"{}")])
    begin_run(store, "run", plan="icons", document=["a plan"])
    named = (b"a sketch", b"an icon", b"finished", b"page", b"{}", b'["a plan"]')
    return {digest_bytes(data) for data in named}


def test_leftovers_go_and_what_rows_name_stays(place: Place) -> None:
    store = place.open()
    named = publish_everything(store)
    orphans = store.blobs.put_all([b"orphan %d" % number for number in range(40)])
    before = place.blobs.all()
    planned = sweep_at_once(store, dry_run=True)
    assert place.blobs.all() == before
    done = sweep_at_once(store)
    assert done == planned.replace(dry_run=False)
    assert set(done.blobs) == set(orphans)
    assert done.freed_bytes == sum(len(before[digest]) for digest in orphans)
    assert set(place.blobs.all()) == named
    assert verify(store) == []
    assert sweep_at_once(store).blobs == ()


def test_what_is_young_stays(store: Store) -> None:
    orphan = store.blobs.put(b"an input image, put before its plan runs")
    claim(store, [key_of(1)], owner="ann", seconds=0)
    claim(store, [key_of(2)], owner="ann", seconds=3600)
    done = sweep(store)
    assert (done.blobs, done.leases, done.drafts) == ((), (), ())
    assert store.blobs.has(orphan)
    assert attempts(store, [key_of(1), key_of(2)]) == {key_of(1): 1, key_of(2): 1}


def test_only_leases_that_ran_out_long_ago_are_ended(store: Store) -> None:
    claim(store, [key_of(1)], owner="ann", seconds=-7200)
    claim(store, [key_of(2)], owner="ann", seconds=0)
    claim(store, [key_of(3)], owner="ann", seconds=3600)
    assert sweep(store, grace_seconds=3600).leases == (key_of(1),)
    keys = [key_of(number) for number in (1, 2, 3)]
    assert attempts(store, keys) == {key_of(2): 1, key_of(3): 1}


def test_temporary_files_go_once_they_are_older_than_a_lease(
    places: Places, tmp_path: Path
) -> None:
    with places.new("sqlite+folder", tmp_path) as place:
        store = place.open()
        named = publish_everything(store)
        assert isinstance(place.blobs, Folder)
        for name, age in (("old", 7200), ("new", 0)):
            draft = place.blobs.root / "tmp" / name
            draft.write_bytes(b"half a bl")
            written = draft.stat().st_mtime - age
            os.utime(draft, (written, written))
        assert sweep(store, lease_seconds=3600).drafts == ("old",)
        assert set(place.blobs.all()) == named | {"new"}


def test_a_swept_blob_can_be_published_again(store: Store) -> None:
    digest = store.blobs.put(b"an icon")
    assert sweep_at_once(store).blobs == (digest,)
    assert not store.blobs.has(digest)
    publish_images(store, [(image_of(1, b"an icon"), b"an icon")], owner="ann")
    assert store.blobs.get(digest) == b"an icon"
    assert verify(store) == []
    assert sweep_at_once(store).blobs == ()


class Interrupted:
    """A store in which something else happens right after each put."""

    def __init__(self, inner: Blobs, then: Callable[[], object]) -> None:
        self.inner, self.then = inner, then

    def put_all(self, blobs: Sequence[bytes]) -> tuple[str, ...]:
        digests = self.inner.put_all(blobs)
        self.then()
        return digests

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)


@pytest.mark.parametrize("times", [1, 3])
def test_a_sweep_between_blob_and_row_costs_a_second_put_and_nothing_else(
    store: Store, times: int
) -> None:
    sweeps: list[SweepReport] = []

    def sweep_a_few_times() -> None:
        if len(sweeps) < times:
            sweeps.append(sweep_at_once(store))

    interrupted = Store(Interrupted(store.blobs, sweep_a_few_times), store.catalog)
    publish_images(interrupted, [(image_of(1, b"an icon"), b"an icon")], owner="ann")
    assert [report.blobs for report in sweeps] == [(digest_bytes(b"an icon"),)] * times
    assert store.blobs.get(digest_bytes(b"an icon")) == b"an icon"
    assert verify(store) == []


def test_sweeps_without_end_are_an_error_and_never_a_row_without_its_blob(store: Store) -> None:
    interrupted = Store(Interrupted(store.blobs, lambda: sweep_at_once(store)), store.catalog)
    with pytest.raises(StoreError, match="longer grace"):
        publish_images(interrupted, [(image_of(1, b"an icon"), b"an icon")], owner="ann")
    assert store.catalog.find_images() == []


def test_sweeps_beside_publishing_never_take_what_a_row_names(place: Place) -> None:
    store, other = place.open(), place.open()

    def publish(seed: int) -> None:
        data = b"shared %d" % (seed // 2)
        publish_images(store, [(image_of(seed, data), data)], owner="ann")

    def sweep_thrice(_: int) -> None:
        for _ in range(3):  # fewer than a publish has tries
            sweep_at_once(other, lease_seconds=3600)

    with ThreadPoolExecutor(2) as pool:
        for seed in range(16):
            store.blobs.put(b"shared %d" % (seed // 2))
            list(pool.map(lambda work, s=seed: work(s), [publish, sweep_thrice]))
    assert len(store.catalog.find_images()) == 16
    assert verify(store) == []
