"""Publishing by example: leases, evidence, finality of records, pages."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from sqlalchemy import select

from app.digest import digest_bytes
from app.errors import CatalogError, DigestMismatch, KeyConflict
from app.store import tables
from app.store.blobs import Blobs
from app.store.costs import RunSpending
from app.store.publish import (
    Store,
    attempts,
    claim,
    publish_assets,
    publish_images,
    publish_pages,
    release,
    release_all,
)
from app.store.sweep import sweep
from app.types import (
    AssetRecord,
    GeneratedImage,
    Provenance,
    Status,
)
from tests.store.values import image_of, key_of, page_of, record_of, request_for

FIELDS = sorted(Provenance.model_fields)
BLANKS = ["model", "backend", "pipeline_version"]


def published(store: Store, seed: int, data: bytes = b"an icon") -> GeneratedImage:
    return publish_images(store, [(image_of(seed, data), data)], owner="ann")[0]


def alarms(store: Store) -> list[tuple[str, str, str, str]]:
    columns = tables.alarms.c
    with store.catalog.reading() as connection:
        query = select(columns.subject, columns.stored, columns.offered, columns.source)
        return [tuple(row) for row in connection.execute(query)]


class DyingBlobs:
    """A store that keeps the bytes and then fails, as a worker killed before its row would."""

    def __init__(self, inner: Blobs) -> None:
        self.inner = inner

    def put(self, data: bytes) -> str:
        return self.put_all([data])[0]

    def put_all(self, blobs: Sequence[bytes]) -> tuple[str, ...]:
        self.inner.put_all(blobs)
        raise RuntimeError("killed")

    def get(self, digest: str) -> bytes:
        return self.inner.get(digest)

    def has(self, digest: str) -> bool:
        return self.inner.has(digest)


def test_a_death_between_blob_and_row_leaves_no_row_and_the_work_can_be_done_again(
    store: Store,
) -> None:
    image = image_of(1, b"an icon")
    dying = Store(DyingBlobs(store.blobs), store.catalog)
    claim(store, [image.key], owner="ann", seconds=3600)
    with pytest.raises(RuntimeError):
        publish_images(dying, [(image, b"an icon")], owner="ann")
    assert store.blobs.has(image.digest)
    assert store.catalog.images([image.key]) == {}
    assert claim(store, [image.key], owner="ann", seconds=3600).won == {image.key: 2}
    assert published(store, 1) == image


def test_a_lease_ends_by_the_catalogs_clock(store: Store) -> None:
    key = key_of(1)
    assert claim(store, [key], owner="ann", seconds=0).won == {key: 1}
    assert claim(store, [key], owner="ben", seconds=3600).won == {key: 2}
    assert claim(store, [key], owner="ann", seconds=3600).busy == (key,)


def test_a_late_owner_is_given_the_winners_row(store: Store) -> None:
    key = key_of(1)
    claim(store, [key], owner="ann", seconds=0)
    claim(store, [key], owner="ben", seconds=3600)
    winner = image_of(1, b"an icon").replace(seconds=1.5)
    publish_images(store, [(winner, b"an icon")], owner="ben")
    assert published(store, 1) == winner
    assert alarms(store) == []


def test_attempts_count_what_was_begun_and_never_came_to_an_end(store: Store) -> None:
    key, other = key_of(1), key_of(2)
    for attempt in (1, 2, 3):
        assert attempts(store, [other, key]) == ({key: attempt - 1} if attempt > 1 else {})
        assert claim(store, [key], owner=f"owner {attempt}", seconds=0).won == {key: attempt}
    release(store, [key], owner="owner 3")
    assert attempts(store, [other, key]) == {}
    assert claim(store, [key], owner="ann", seconds=3600).won == {key: 1}


def test_an_owner_that_stops_in_good_order_leaves_no_trace(store: Store) -> None:
    mine, others = [key_of(1), key_of(2)], [key_of(3)]
    claim(store, mine, owner="ann", seconds=3600)
    claim(store, others, owner="ben", seconds=3600)
    release_all(store, owner="ann")
    assert attempts(store, mine + others) == {key_of(3): 1}
    assert claim(store, mine, owner="ben", seconds=3600).won == dict.fromkeys(mine, 1)


def test_a_lease_is_ended_only_by_its_owner(store: Store) -> None:
    key = key_of(1)
    claim(store, [key], owner="ann", seconds=3600)
    release(store, [key], owner="ben")
    assert claim(store, [key], owner="ben", seconds=3600).busy == (key,)
    release(store, [key], owner="ann")
    assert claim(store, [key], owner="ben", seconds=3600).won == {key: 1}


def test_a_key_claimed_twice_at_once_is_one_attempt(store: Store) -> None:
    assert claim(store, [key_of(1)] * 2, owner="ann", seconds=3600).won == {key_of(1): 1}


def test_of_two_byte_strings_in_one_batch_the_first_is_kept(store: Store) -> None:
    pairs = [(image_of(1, data), data) for data in (b"first", b"second")]
    with pytest.raises(KeyConflict):
        publish_images(store, pairs, owner="ann")
    assert store.catalog.images([key_of(1)]) == {key_of(1): pairs[0][0]}


def test_other_bytes_for_a_key_are_an_alarm_and_the_rest_of_the_batch_stands(
    store: Store,
) -> None:
    first = published(store, 1, b"an icon")
    other, neighbour = image_of(1, b"other"), image_of(2, b"neighbour")
    with pytest.raises(KeyConflict, match=first.key):
        publish_images(store, [(other, b"other"), (neighbour, b"neighbour")], owner="ben")
    assert alarms(store) == [("image", first.digest, other.digest, "ben")]
    assert store.catalog.images([key_of(1), key_of(2)]) == {
        key_of(1): first,
        key_of(2): neighbour,
    }


def test_an_image_must_name_its_bytes(store: Store) -> None:
    with pytest.raises(DigestMismatch, match=key_of(1)):
        publish_images(store, [(image_of(1, b"an icon"), b"other")], owner="ann")
    assert not store.blobs.has(digest_bytes(b"other"))


@pytest.mark.parametrize("field", FIELDS)
def test_a_provenance_without_a_field_is_refused(shared: Store, field: str) -> None:
    image = image_of(1, b"an icon")
    fields = {name: getattr(image.provenance, name) for name in FIELDS if name != field}
    with pytest.raises(ValidationError, match=field):
        Provenance(**fields)
    gap = Provenance.model_construct(**fields)
    unchecked = GeneratedImage.model_construct(**(dict(image) | {"provenance": gap}))
    with pytest.raises(CatalogError, match=field):
        publish_images(shared, [(unchecked, b"an icon")], owner="ann")
    assert shared.catalog.images([image.key]) == {}


@pytest.mark.parametrize("field", BLANKS)
def test_a_blank_provenance_field_is_refused(shared: Store, field: str) -> None:
    image = image_of(1, b"an icon")
    blank = image.replace(provenance=image.provenance.replace(**{field: ""}))
    with pytest.raises(CatalogError, match=field):
        publish_images(shared, [(blank, b"an icon")], owner="ann")


def test_a_machine_without_a_name_is_refused(shared: Store) -> None:
    image = image_of(1, b"an icon")
    unknown = image.provenance.environment.replace(processor="", libraries={})
    blank = image.replace(provenance=image.provenance.replace(environment=unknown))
    with pytest.raises(CatalogError, match=r"environment.processor, environment.libraries"):
        publish_images(shared, [(blank, b"an icon")], owner="ann")


@pytest.mark.parametrize("field", ["request_id", "prompt_digest"])
def test_a_provenance_that_contradicts_its_request_is_refused(shared: Store, field: str) -> None:
    image = image_of(1, b"an icon")
    false = image.replace(provenance=image.provenance.replace(**{field: "0" * 64}))
    with pytest.raises(CatalogError, match=field):
        publish_images(shared, [(false, b"an icon")], owner="ann")


def test_a_record_comes_back_complete_with_its_time(store: Store) -> None:
    record = record_of(published(store, 1), b"finished")
    stored = publish_assets(store, [(record, [b"finished"])])[0]
    assert stored == record.replace(created_at=stored.created_at)
    assert stored.created_at.endswith("Z")
    assert store.catalog.asset_records([record.key]) == {record.key: stored}


def test_the_same_record_of_another_run_returns_the_one_that_stands(store: Store) -> None:
    record = record_of(published(store, 1), b"finished", run_id="first")
    stored = publish_assets(store, [(record, [b"finished"])])
    again = record.replace(run_id="second", attempts=2)
    assert publish_assets(store, [(again, [b"finished"])]) == stored
    assert alarms(store) == []


def test_other_files_for_an_asset_are_an_alarm(store: Store) -> None:
    image = published(store, 1)
    stored = publish_assets(store, [(record_of(image, b"finished"), [b"finished"])])[0]
    with pytest.raises(KeyConflict, match=stored.key):
        publish_assets(store, [(record_of(image, b"other"), [b"other"])])
    assert [alarm[0] for alarm in alarms(store)] == ["asset"]
    assert store.catalog.asset(stored.name) == stored


@pytest.mark.parametrize("files", [[], [b"other"], [b"finished", b"other"]])
def test_a_record_comes_with_exactly_its_files(store: Store, files: list[bytes]) -> None:
    record = record_of(published(store, 1), b"finished")
    with pytest.raises(DigestMismatch, match="red-potion@1"):
        publish_assets(store, [(record, files)])
    assert store.catalog.asset_records([record.key]) == {}


@pytest.mark.parametrize("status", [Status.ACCEPTED, Status.REVIEW])
@pytest.mark.parametrize("field", ["image", "asset", "provenance"])
def test_a_good_record_lacks_nothing(store: Store, status: Status, field: str) -> None:
    record = record_of(published(store, 1), b"finished", status=status).replace(**{field: None})
    files = [b"finished"] if record.asset else []
    with pytest.raises(CatalogError, match=field):
        publish_assets(store, [(record, files)])


def test_a_record_shows_only_a_published_image(store: Store) -> None:
    record = record_of(image_of(1, b"an icon"), b"finished")
    with pytest.raises(CatalogError, match="publish the image first"):
        publish_assets(store, [(record, [b"finished"])])
    assert store.catalog.asset_records([record.key]) == {}


def test_two_keys_never_share_a_name_and_version(store: Store) -> None:
    record = record_of(published(store, 1), b"finished")
    other = record.replace(key="0" * 64)
    with pytest.raises(CatalogError):
        publish_assets(store, [(record, [b"finished"]), (other, [b"finished"])])
    assert store.catalog.find_assets() == []


COUNTER = iter(range(10**9))
OFFERS = st.lists(
    st.tuples(st.sampled_from([Status.FAILED, Status.REJECTED, Status.ACCEPTED]), st.booleans()),
    min_size=1,
    max_size=4,
)


@settings(max_examples=20, deadline=None)
@given(offers=OFFERS)
def test_failed_gives_way_to_anything_and_the_first_final_word_stands(
    shared: Store, offers: list[tuple[Status, bool]]
) -> None:
    name = f"asset-{next(COUNTER)}"
    image = published(shared, 0)
    standing: AssetRecord | None = None
    for status, variant in offers:
        file = b"one" if variant else b"two"
        good = status is Status.ACCEPTED
        record = record_of(
            image if good else None, file if good else None, name=name, status=status
        )
        files = [file] if good else []
        if standing is None or standing.status is Status.FAILED:
            standing = publish_assets(shared, [(record, files)])[0]
            assert standing.status is status
        elif status is Status.FAILED or (status, record.asset) == (standing.status, standing.asset):
            assert publish_assets(shared, [(record, files)]) == (standing,)
        else:
            with pytest.raises(KeyConflict):
                publish_assets(shared, [(record, files)])
        assert shared.catalog.versions(name) == [standing]


def test_pages_are_kept_in_order_and_again_is_the_same(store: Store) -> None:
    pages = [(page_of(b"p", b"{}", name=n), b"p", b"{}") for n in ("icons-1", "icons-0")]
    published_pages = publish_pages(store, "run", pages)
    assert publish_pages(store, "run", pages) == published_pages
    assert store.catalog.pages("run") == tuple(page for page, _, _ in pages)
    assert store.catalog.pages("another") == ()


def test_another_page_of_the_same_name_is_an_alarm(store: Store) -> None:
    first = publish_pages(store, "run", [(page_of(b"p", b"{}"), b"p", b"{}")])
    with pytest.raises(KeyConflict, match="icons-0"):
        publish_pages(store, "run", [(page_of(b"q", b"{}"), b"q", b"{}")])
    assert store.catalog.pages("run") == first


def test_a_page_must_name_its_bytes(store: Store) -> None:
    with pytest.raises(DigestMismatch, match="icons-0"):
        publish_pages(store, "run", [(page_of(b"p", b"{}"), b"p", b"[]")])


def test_the_request_decides_the_prompt_not_who_asked(store: Store) -> None:
    request = request_for(1, team="art")
    image = image_of(1, b"an icon", request=request)
    publish_images(store, [(image, b"an icon")], owner="ann")
    images = store.catalog.find_images(request_id=request_for(1, team="qa").id)
    assert images == [image]


def test_images_are_counted_as_those_of_the_run_that_committed_them(store: Store) -> None:
    """Whoever offers a key second made nothing."""
    first, second = image_of(1, b"one"), image_of(2, b"two")
    publish_images(store, [(first, b"one"), (second, b"two")], owner="ann")
    publish_images(store, [(first, b"one")], owner="bob")
    third = image_of(3, b"three")
    publish_images(store, [(third, b"three")], owner="bob")
    cost = round(first.cost_usd + second.cost_usd, 6)
    assert store.catalog.run_spending("ann") == RunSpending(images=2, seconds=0.5, cost_usd=cost)
    assert store.catalog.run_spending("bob").images == 1
    assert store.catalog.run_spending("eve") == RunSpending(images=0, seconds=0, cost_usd=0)


def test_files_that_an_image_was_drawn_from_are_kept_with_it_and_no_others(store: Store) -> None:
    sketch, mask = b"a sketch", b"a mask"
    request = request_for(7).replace(
        init_image=digest_bytes(sketch), mask_image=digest_bytes(mask), strength=0.5
    )
    image = image_of(7, b"drawn", request=request)
    with pytest.raises(DigestMismatch, match="belong to no image"):
        publish_images(store, [(image, b"drawn")], owner="ann", files=[sketch, b"other"])
    assert not store.catalog.images([image.key])
    publish_images(store, [(image, b"drawn")], owner="ann", files=[sketch, mask])
    assert store.blobs.get(digest_bytes(sketch)) == sketch
    assert store.blobs.get(digest_bytes(mask)) == mask
    assert sweep(store, lease_seconds=0, grace_seconds=0).blobs == ()
