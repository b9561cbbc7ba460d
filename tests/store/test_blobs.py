"""Blobs: the same bytes once, whole or refused, and never by a user's path."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.digest import digest_bytes
from app.errors import BlobNotFound, DigestMismatch, StoreError
from app.store.blobs import MAX_BYTES, Blobs
from app.store.local import LocalBlobs
from app.store.s3 import S3Blobs
from app.store.store import open_blobs
from tests.store import servers
from tests.store.places import Bytes, Folder, Places

NO_DIGESTS = ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 65, "a" * 64 + "\n", "/" * 64]


@pytest.fixture(params=["folder", "s3"])
def behind(request: pytest.FixtureRequest, places: Places, tmp_path: Path) -> Bytes:
    """An empty place for blobs."""
    return places.bytes(request.param, tmp_path)


@pytest.fixture
def blobs(behind: Bytes) -> Blobs:
    return open_blobs(behind.url)


@pytest.fixture(scope="module", params=["folder", "s3"])
def shared(
    request: pytest.FixtureRequest, places: Places, tmp_path_factory: pytest.TempPathFactory
) -> Bytes:
    """One place for all examples of a law."""
    return places.bytes(request.param, tmp_path_factory.mktemp("shared"))


@settings(max_examples=15, deadline=None)
@given(batch=st.lists(st.binary(max_size=64), max_size=6))
def test_a_batch_is_kept_in_its_order_and_comes_back(shared: Bytes, batch: list[bytes]) -> None:
    blobs = open_blobs(shared.url)
    digests = blobs.put_all(batch)
    assert digests == tuple(digest_bytes(data) for data in batch)
    assert [blobs.get(digest) for digest in digests] == batch
    assert [blobs.rehash(digest) for digest in digests] == list(digests)


@settings(max_examples=15, deadline=None)
@given(
    data=st.binary(min_size=1, max_size=200),
    position=st.integers(min_value=0),
    bit=st.integers(0, 7),
)
def test_a_flipped_bit_is_never_served(shared: Bytes, data: bytes, position: int, bit: int) -> None:
    blobs = open_blobs(shared.url)
    digest = digest_bytes(data)
    blobs.put(data)
    rotten = bytearray(data)
    rotten[position % len(data)] ^= 1 << bit
    shared.overwrite(digest, bytes(rotten))
    with pytest.raises(DigestMismatch, match=digest):
        blobs.get(digest)
    assert blobs.rehash(digest) == digest_bytes(bytes(rotten))
    blobs.remove(digest)


@pytest.mark.parametrize("length", [0, 1, 99])
def test_a_truncated_blob_is_neither_served_nor_taken_for_kept(
    blobs: Blobs, behind: Bytes, length: int
) -> None:
    data = bytes(range(100))
    digest = blobs.put(data)
    behind.overwrite(digest, data[:length])
    with pytest.raises(DigestMismatch, match="restore"):
        blobs.get(digest)
    with pytest.raises(DigestMismatch, match="restore"):
        blobs.put(data)


def test_putting_again_changes_nothing(blobs: Blobs, behind: Bytes) -> None:
    digest = blobs.put(b"an icon")
    before = list(blobs.entries())
    assert open_blobs(behind.url).put_all([b"an icon", b"an icon"]) == (digest, digest)
    assert list(blobs.entries()) == before
    assert behind.all() == {digest: b"an icon"}


def test_what_is_kept_is_listed_and_what_is_removed_is_gone(blobs: Blobs) -> None:
    assert list(blobs.entries()) == []
    digests = blobs.put_all([b"%d" % number for number in range(30)])
    assert [(entry.digest, entry.size) for entry in blobs.entries()] == [
        (digest, len(blobs.get(digest))) for digest in sorted(digests)
    ]
    for _ in range(2):
        blobs.remove(digests[0])
    assert not blobs.has(digests[0])
    assert {entry.digest for entry in blobs.entries()} == set(digests[1:])
    with pytest.raises(BlobNotFound, match=digests[0]):
        blobs.rehash(digests[0])


def test_more_blobs_than_one_answer_lists_are_listed(places: Places, tmp_path: Path) -> None:
    bucket = places.bytes("s3", tmp_path).url.split("/")[2]
    blobs = S3Blobs(servers.bare_client(), bucket, "below", listed_at_once=7)
    digests = blobs.put_all([b"%d" % number for number in range(30)])
    assert [entry.digest for entry in blobs.entries()] == sorted(digests)


def test_nothing_is_created_before_the_first_put(tmp_path: Path) -> None:
    blobs = open_blobs((tmp_path / "deep" / "blobs").as_uri())
    assert not blobs.has("0" * 64)
    assert list(blobs.entries()) == []
    assert blobs.drafts(2.0**40) == ()
    assert list(tmp_path.iterdir()) == []
    assert blobs.has(blobs.put(b"an icon"))


def test_an_absent_blob_is_named(blobs: Blobs) -> None:
    assert not blobs.has("0" * 64)
    with pytest.raises(BlobNotFound, match="0" * 64):
        blobs.get("0" * 64)


@pytest.mark.parametrize("name", NO_DIGESTS)
def test_only_a_digest_becomes_a_path(blobs: Blobs, name: str) -> None:
    for ask in (blobs.get, blobs.has, blobs.rehash, blobs.remove):
        with pytest.raises(StoreError, match="64 lower-case hex digits"):
            ask(name)


def test_a_blob_beyond_the_bound_is_refused(blobs: Blobs, behind: Bytes) -> None:
    with pytest.raises(StoreError, match="at most 268,435,456; make it smaller"):
        blobs.put(bytes(MAX_BYTES + 1))
    assert behind.all() == {}


def test_a_file_beyond_the_bound_is_not_read(tmp_path: Path) -> None:
    blobs, behind = LocalBlobs(tmp_path), Folder(tmp_path)
    digest = blobs.put(b"an icon")
    behind.overwrite(digest, b"")
    with behind.path(digest).open("wb") as file:
        file.truncate(MAX_BYTES + 1)  # a hole: no disk is needed
    with pytest.raises(StoreError, match="at most 268,435,456"):
        blobs.get(digest)


def test_a_store_that_cannot_be_written_says_so_and_leaves_no_scrap(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(StoreError, match="run the same command again"):
        LocalBlobs(tmp_path / "file" / "blobs").put(b"an icon")
    assert Folder(tmp_path).all() == {"file": b"in the way"}


def test_a_failed_link_leaves_no_temporary_file(tmp_path: Path) -> None:
    digest = digest_bytes(b"an icon")
    (tmp_path / digest[:2]).write_bytes(b"in the way")
    with pytest.raises(StoreError):
        LocalBlobs(tmp_path).put_all([b"an icon", b"another"])
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("url", "named"),
    [
        ("gs://bucket/icons", "'gs'"),
        ("s3:///icons", "no bucket"),
        ("s3://bucket/icons?region=x", "no bucket, or more"),
        ("file://host/share", "a host"),
        ("", "no scheme"),
    ],
)
def test_another_kind_of_url_is_refused_with_the_remedy(url: str, named: str) -> None:
    with pytest.raises(StoreError, match=f"{named}.*file:///absolute/folder.*s3://bucket/prefix"):
        open_blobs(url)


def test_a_folder_with_spaces_and_marks_is_found_by_its_url(tmp_path: Path) -> None:
    folder = tmp_path / "a b%20#c"
    digest = open_blobs(folder.as_uri()).put(b"an icon")
    assert LocalBlobs(folder).get(digest) == b"an icon"
    assert open_blobs(str(folder)).get(digest) == b"an icon"


def test_prefixes_of_a_bucket_are_stores_apart(places: Places, tmp_path: Path) -> None:
    bucket = places.bytes("s3", tmp_path).url.rpartition("/")[0]
    first, second = open_blobs(f"{bucket}/one"), open_blobs(f"{bucket}/two/deep/")
    digest = first.put(b"an icon")
    assert not second.has(digest)
    assert second.put(b"an icon") == digest
    first.remove(digest)
    assert second.get(digest) == b"an icon"
    assert list(open_blobs(bucket).entries()) == []
