"""Blobs: the same bytes once, whole or refused, and never by a user's path."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.digest import digest_bytes
from app.errors import BlobNotFound, DigestMismatch, StoreError
from app.store.blobs import LocalBlobs, open_blobs

NO_DIGESTS = ["", "../../etc/passwd", "A" * 64, "a" * 63, "a" * 65, "a" * 64 + "\n", "/" * 64]


def files_below(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def damage(blobs: LocalBlobs, digest: str, data: bytes) -> None:
    path = blobs.root / digest[:2] / digest[2:4] / digest
    path.unlink()
    path.write_bytes(data)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> LocalBlobs:
    return LocalBlobs(tmp_path_factory.mktemp("shared"))


@settings(max_examples=40, deadline=None)
@given(batch=st.lists(st.binary(max_size=64), max_size=6))
def test_a_batch_is_kept_in_its_order_and_comes_back(
    shared: LocalBlobs, batch: list[bytes]
) -> None:
    digests = shared.put_all(batch)
    assert digests == tuple(digest_bytes(data) for data in batch)
    assert [shared.get(digest) for digest in digests] == batch


@settings(max_examples=40, deadline=None)
@given(
    data=st.binary(min_size=1, max_size=200),
    position=st.integers(min_value=0),
    bit=st.integers(0, 7),
)
def test_a_flipped_bit_is_never_served(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, position: int, bit: int
) -> None:
    blobs = LocalBlobs(tmp_path_factory.mktemp("rot"))
    digest = blobs.put(data)
    rotten = bytearray(data)
    rotten[position % len(data)] ^= 1 << bit
    damage(blobs, digest, bytes(rotten))
    with pytest.raises(DigestMismatch, match=digest):
        blobs.get(digest)


@pytest.mark.parametrize("length", [0, 1, 99])
def test_a_truncated_blob_is_neither_served_nor_taken_for_kept(tmp_path: Path, length: int) -> None:
    blobs = LocalBlobs(tmp_path)
    data = bytes(range(100))
    digest = blobs.put(data)
    damage(blobs, digest, data[:length])
    with pytest.raises(DigestMismatch, match="restore"):
        blobs.get(digest)
    with pytest.raises(DigestMismatch, match="restore"):
        blobs.put(data)


def test_putting_again_changes_nothing(tmp_path: Path) -> None:
    blobs = LocalBlobs(tmp_path)
    digest = blobs.put(b"an icon")
    path = tmp_path / digest[:2] / digest[2:4] / digest
    before = path.stat()
    assert LocalBlobs(tmp_path).put_all([b"an icon", b"an icon"]) == (digest, digest)
    assert path.stat() == before
    assert files_below(tmp_path) == {digest: b"an icon"}


def test_nothing_is_created_before_the_first_put(tmp_path: Path) -> None:
    blobs = open_blobs((tmp_path / "deep" / "blobs").as_uri())
    assert not blobs.has("0" * 64)
    assert list(tmp_path.iterdir()) == []
    assert blobs.has(blobs.put(b"an icon"))


def test_an_absent_blob_is_named(tmp_path: Path) -> None:
    with pytest.raises(BlobNotFound, match="0" * 64):
        LocalBlobs(tmp_path).get("0" * 64)


@pytest.mark.parametrize("name", NO_DIGESTS)
def test_only_a_digest_becomes_a_path(tmp_path: Path, name: str) -> None:
    blobs = LocalBlobs(tmp_path)
    with pytest.raises(StoreError, match="64 lower-case hex digits"):
        blobs.get(name)
    with pytest.raises(StoreError, match="64 lower-case hex digits"):
        blobs.has(name)


def test_a_store_that_cannot_be_written_says_so_and_leaves_no_scrap(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"in the way")
    with pytest.raises(StoreError, match="run the same command again"):
        LocalBlobs(tmp_path / "file" / "blobs").put(b"an icon")
    assert files_below(tmp_path) == {"file": b"in the way"}


def test_a_failed_link_leaves_no_temporary_file(tmp_path: Path) -> None:
    digest = digest_bytes(b"an icon")
    (tmp_path / digest[:2]).write_bytes(b"in the way")
    with pytest.raises(StoreError):
        LocalBlobs(tmp_path).put_all([b"an icon", b"another"])
    assert list((tmp_path / "tmp").iterdir()) == []


@pytest.mark.parametrize(
    ("url", "named"),
    [("s3://bucket/icons", "'s3'"), ("/plain/path", "''"), ("file://host/share", "a host")],
)
def test_another_kind_of_url_is_refused_with_the_remedy(url: str, named: str) -> None:
    with pytest.raises(StoreError, match=f"{named}.*file:///absolute/folder"):
        open_blobs(url)


def test_a_folder_with_spaces_and_marks_is_found_by_its_url(tmp_path: Path) -> None:
    folder = tmp_path / "a b%20#c"
    digest = open_blobs(folder.as_uri()).put(b"an icon")
    assert LocalBlobs(folder).get(digest) == b"an icon"
