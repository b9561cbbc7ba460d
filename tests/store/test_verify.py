"""Verify finds every blob and every row that is not as it was committed, and changes nothing."""

from collections.abc import Sequence
from pathlib import Path

import pytest
from sqlalchemy import insert, text, update

from app.digest import digest, digest_bytes
from app.store import tables
from app.store.publish import Store, begin_run, publish_assets, publish_images, publish_pages
from app.store.verify import DifferenceKind, verify
from app.types import Status
from tests.store.places import Place, Places
from tests.store.values import image_of, key_of, page_of, record_of, request_for


def bytes_of(seed: int) -> bytes:
    return b"image %d " % seed * 20


def published(store: Store, seeds: Sequence[int]) -> list[str]:
    """Images of these seeds; their digests."""
    images = [(image_of(seed, bytes_of(seed)), bytes_of(seed)) for seed in seeds]
    return [image.digest for image in publish_images(store, images, owner="ann")]


def full(store: Store) -> None:
    """One row of every sort, and a record without an image."""
    drawn_from = store.blobs.put(b"a sketch")
    request = request_for(1).replace(init_image=drawn_from, strength=0.5)
    image = image_of(1, b"an icon", request=request)
    publish_images(store, [(image, b"an icon")], owner="ann")
    rejected = record_of(None, None, name="lost", status=Status.REJECTED)
    publish_assets(store, [(record_of(image, b"finished"), [b"finished"]), (rejected, [])])
    publish_pages(store, "run", [(page_of(b"page", b"{}"), b"page", b"{}")])
    begin_run(store, "run", plan="icons", document=["a plan"])


def test_a_store_as_it_was_committed_has_no_differences_and_is_left_alone(place: Place) -> None:
    store = place.open()
    full(store)
    store.blobs.put(b"named by nobody")
    before = place.blobs.all()
    assert verify(store) == []
    assert place.blobs.all() == before


def test_every_damaged_blob_is_found_and_no_other(place: Place) -> None:
    store = place.open()
    digests = published(store, range(48))
    flipped, cut, gone, swapped = digests[:16], digests[16:28], digests[28:34], digests[34:42]
    for position, flipped_digest in enumerate(flipped):
        data = bytearray(bytes_of(position))
        data[position * 7 % len(data)] ^= 1 << position % 8
        place.blobs.overwrite(flipped_digest, bytes(data))
    for position, flipped_digest in enumerate(cut):
        data = bytes_of(16 + position)
        place.blobs.overwrite(flipped_digest, data[: len(data) * position // len(cut)])
    for flipped_digest in gone:
        place.blobs.remove(flipped_digest)
    for position, flipped_digest in enumerate(swapped):
        place.blobs.overwrite(flipped_digest, bytes_of(34 + (position ^ 1)))
    differences = verify(store)
    expected = dict.fromkeys(flipped + cut, DifferenceKind.DAMAGED) | dict.fromkeys(
        gone, DifferenceKind.MISSING
    )
    expected |= dict.fromkeys(swapped, DifferenceKind.SWAPPED)
    assert {difference.digest: difference.kind for difference in differences} == expected
    assert len(differences) == len(expected) == 42
    named = {f"image {key_of(seed)}" for seed in range(42)}
    assert {difference.named_by[0] for difference in differences} == named


def test_every_file_of_every_sort_of_row_is_looked_at(place: Place) -> None:
    store = place.open()
    full(store)
    blobs = [b"a sketch", b"an icon", b"finished", b"page", b"{}", b'["a plan"]']
    for data in blobs:
        place.blobs.remove(digest_bytes(data))
    differences = verify(store)
    assert {difference.digest for difference in differences} == {
        digest_bytes(data) for data in blobs
    }
    assert {difference.kind for difference in differences} == {DifferenceKind.MISSING}
    assert {difference.named_by[0].split()[0] for difference in differences} == {
        "image",
        "asset",
        "page",
        "run",
    }


ALTERED = "UPDATE {} SET value = replace(value, '64', '65')"


@pytest.mark.parametrize(
    ("change", "kind"),
    [
        (ALTERED.format("images"), DifferenceKind.ALTERED),
        ("UPDATE assets SET value = replace(value, 'red', 'blue')", DifferenceKind.ALTERED),
        (ALTERED.format("pages"), DifferenceKind.ALTERED),
        ("UPDATE images SET request_id = digest", DifferenceKind.MISMATCHED),
        ("UPDATE images SET digest = request_id", DifferenceKind.MISMATCHED),
        (
            "UPDATE assets SET status = 'review' WHERE status = 'rejected'",
            DifferenceKind.MISMATCHED,
        ),
        ("UPDATE assets SET version = 'other' WHERE name = 'lost'", DifferenceKind.MISMATCHED),
        ("UPDATE pages SET image = metadata", DifferenceKind.MISMATCHED),
        ("UPDATE pages SET name = 'other'", DifferenceKind.MISMATCHED),
        ("DELETE FROM holdings WHERE subject = 'asset'", DifferenceKind.UNNAMED),
        ("DELETE FROM holdings WHERE subject = 'page'", DifferenceKind.UNNAMED),
        ("UPDATE holdings SET key = 'another' WHERE subject = 'image'", DifferenceKind.UNNAMED),
    ],
)
def test_every_row_that_was_tampered_with_is_found(
    store: Store, change: str, kind: DifferenceKind
) -> None:
    full(store)
    with store.catalog.writing() as connection:
        connection.execute(text(change))
    assert kind in {difference.kind for difference in verify(store)}


def test_rows_that_changed_places_are_found(store: Store) -> None:
    published(store, range(2))
    first, second = key_of(0), key_of(1)
    column = tables.images.c.key
    with store.catalog.writing() as connection:
        for old, new in ((first, "swap"), (second, first), ("swap", second)):
            connection.execute(update(tables.images).where(column == old).values(key=new))
    differences = verify(store)
    assert {
        (difference.kind, difference.named_by)
        for difference in differences
        if difference.kind is DifferenceKind.MISMATCHED
    } == {
        (DifferenceKind.MISMATCHED, (f"image {first}",)),
        (DifferenceKind.MISMATCHED, (f"image {second}",)),
    }


def test_a_store_of_many_pages_is_verified_to_its_end(places: Places, tmp_path: Path) -> None:
    with places.new("sqlite+folder", tmp_path) as place:
        store = place.open()
        images = [(image_of(seed, b"same"), b"same") for seed in range(450)]
        publish_images(store, images, owner="ann")
        absent = [digest(number) for number in range(450)]
        cells = [{"digest": digest, "subject": "image", "key": "nobody"} for digest in absent]
        last = max(key_of(seed) for seed in range(450))
        with store.catalog.writing() as connection:
            connection.execute(insert(tables.holdings), cells)
            connection.execute(
                update(tables.images).where(tables.images.c.key == last).values(request_id="x")
            )
        differences = verify(store)
        assert {
            difference.digest
            for difference in differences
            if difference.kind is DifferenceKind.MISSING
        } == set(absent)
        assert [
            difference.named_by
            for difference in differences
            if difference.kind is not DifferenceKind.MISSING
        ] == [(f"image {last}",)]
