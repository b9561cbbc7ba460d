"""Blobs under their sha256: what any store of them promises, on a disk or behind S3.

It does not know what the bytes are, nor who refers to them.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.errors import StoreError

MAX_BYTES = 256 * 2**20
"""The largest blob that is kept or read: a bound on memory, far above any image made here."""
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
        """Keep the bytes and return their sha256; when it returns they survive a power cut.

        Raises StoreError when the store refuses or the bytes are more than MOST_BYTES, and
        DigestMismatch when other bytes stand under the digest.
        """

    def put_all(self, blobs: Sequence[bytes]) -> tuple[str, ...]:
        """`put` for a batch, in its order, for little more than the price of one."""

    def get(self, digest: str) -> bytes:
        """The bytes under the digest, hashed again. Raises BlobNotFound and DigestMismatch."""

    def has(self, digest: str) -> bool:
        """Whether bytes stand under the digest; they are not hashed."""

    def rehash(self, digest: str) -> str:
        """The sha256 of what really stands under the digest, read in pieces.

        Raises BlobNotFound.
        """

    def entries(self) -> Iterator[BlobEntry]:
        """Every blob there is, by digest, however many; one that is being written is not there."""

    def remove(self, digest: str) -> None:
        """Forget the blob; that it is gone already is no error."""

    def drafts(self, before: float) -> Sequence[str]:
        """What dead writers left behind unfinished and last touched before this time."""

    def discard(self, draft: str) -> None:
        """Remove such a draft; that it is gone already is no error."""


def is_digest(name: str) -> bool:
    """Whether the name is a sha256 as blobs are named: 64 lower-case hex digits."""
    return _DIGEST.fullmatch(name) is not None


def blob_path(digest: str) -> str:
    """Where a blob lies below any store's root: `ab/cd/abcd...`. Raises StoreError."""
    if not is_digest(digest):
        raise StoreError(f"{digest!r} is no digest; give 64 lower-case hex digits")
    return f"{digest[:2]}/{digest[2:4]}/{digest}"


def require_size(what: str, size: int) -> None:
    """Raise StoreError when a blob is larger than any that is kept or read."""
    if size > MAX_BYTES:
        raise StoreError(
            f"{what} has {size:,} bytes and a blob at most {MAX_BYTES:,}; make it smaller"
        )
