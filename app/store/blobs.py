"""Blobs by their sha256: the interface of every blob store, on a disk or behind S3.

It does not know what the bytes are, nor which rows refer to them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.errors import StoreError

MAX_BYTES = 256 * 2**20
"""The largest blob that is stored or read; it bounds memory, far above any image made here."""
MAX_CONCURRENT = 8
"""Blobs of a batch that are written at the same time: they wait for the disk or the network."""
_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class BlobEntry:
    """A blob as the store lists it; `modified_at` is in seconds since 1970, by its clock."""

    digest: str
    size: int
    modified_at: float


class Blobs(Protocol):
    """A content-addressed store; every method is safe to repeat and to call from any process."""

    def put(self, data: bytes) -> str:
        """Stores the bytes and returns their sha256; after it returns they survive a power cut.

        Raises StoreError when the store refuses or the bytes are more than MAX_BYTES, and
        DigestMismatch when other bytes are stored under the digest.
        """

    def put_all(self, blobs: Sequence[bytes]) -> tuple[str, ...]:
        """Stores a batch as `put` does, in order, for little more than the cost of one."""

    def get(self, digest: str) -> bytes:
        """Returns the bytes under the digest, hashed again. Raises BlobNotFound, DigestMismatch."""

    def has(self, digest: str) -> bool:
        """Returns whether bytes are stored under the digest; they are not hashed."""

    def rehash(self, digest: str) -> str:
        """Returns the sha256 of the bytes actually stored under the digest, read in pieces.

        Raises BlobNotFound.
        """

    def entries(self) -> Iterator[BlobEntry]:
        """Yields every blob by digest, however many; a blob still being written is not included."""

    def remove(self, digest: str) -> None:
        """Removes the blob; does nothing when it is gone already."""

    def drafts(self, before: float) -> Sequence[str]:
        """Returns unfinished files of dead writers, last modified before this time."""

    def discard(self, draft: str) -> None:
        """Removes such a draft; does nothing when it is gone already."""


def is_digest(name: str) -> bool:
    """Returns whether the name is a sha256 as blobs are named: 64 lower-case hex digits."""
    return _DIGEST.fullmatch(name) is not None


def blob_path(digest: str) -> str:
    """Returns a blob's path below the store's root: `ab/cd/abcd...`. Raises StoreError."""
    if not is_digest(digest):
        raise StoreError(f"{digest!r} is not a digest; give 64 lower-case hex digits")
    return f"{digest[:2]}/{digest[2:4]}/{digest}"


def require_size(what: str, size: int) -> None:
    """Raises StoreError when a blob is larger than MAX_BYTES."""
    if size > MAX_BYTES:
        raise StoreError(
            f"{what} has {size:,} bytes and a blob at most {MAX_BYTES:,}; make it smaller"
        )
