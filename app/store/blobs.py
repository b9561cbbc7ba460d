"""Blobs under their sha256: written once, whole or not at all, and hashed again when read.

It does not know what the bytes are, nor who refers to them.
"""

import os
import re
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from app.digest import digest_bytes
from app.errors import BlobNotFound, DigestMismatch, StoreError

_DIGEST = re.compile(r"[0-9a-f]{64}")
_SYNCS_AT_ONCE = 8
"""File systems commit concurrent fsyncs together: a batch costs little more than one blob."""


class Blobs(Protocol):
    """A content-addressed store; every method is safe to repeat and to call from any process."""

    def put(self, data: bytes) -> str:
        """Keep the bytes and return their sha256; when it returns they survive a power cut."""

    def put_all(self, blobs: Sequence[bytes]) -> tuple[str, ...]:
        """`put` for a batch, in its order, for little more than the price of one."""

    def get(self, digest: str) -> bytes:
        """The bytes under the digest, hashed again. Raises BlobNotFound and DigestMismatch."""

    def has(self, digest: str) -> bool:
        """Whether bytes stand under the digest; they are not hashed."""


def open_blobs(url: str) -> Blobs:
    """The store a URL names: `file:///absolute/folder`. Raises StoreError for any other."""
    parts = urlsplit(url)
    if parts.scheme != "file" or parts.netloc not in ("", "localhost"):
        scheme = f"the scheme {parts.scheme!r}" if parts.scheme != "file" else "a host"
        raise StoreError(
            f"the blob store's URL has {scheme}, which cannot be opened here; "
            "give a local folder as file:///absolute/folder"
        )
    return LocalBlobs(Path(unquote(parts.path)))


class LocalBlobs:
    """Blobs in a local folder, as read-only files `ab/cd/abcd...`; nothing is created before a put.

    A blob goes to a temporary file in the same file system, is synced, and is then linked
    under its name, which fails if the name is taken: no reader ever sees half a blob. The
    folders are synced before put returns, so a row that names the blob may follow.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._settled: set[Path] = set()
        """Folders whose own entry this process has synced; once is enough."""

    def put(self, data: bytes) -> str:
        """See `Blobs.put`."""
        return self.put_all([data])[0]

    def put_all(self, blobs: Sequence[bytes]) -> tuple[str, ...]:
        """See `Blobs.put_all`. Raises StoreError when the disk refuses, DigestMismatch on rot."""
        digests = tuple(digest_bytes(data) for data in blobs)
        wanted = dict(zip(digests, blobs, strict=True))
        with _disk_errors(self.root), ThreadPoolExecutor(_SYNCS_AT_ONCE) as pool:
            fresh = {d: data for d, data in wanted.items() if not self._holds(d, data)}
            self._link_all(fresh, pool)
            self._sync_folders(wanted, pool)
        return digests

    def get(self, digest: str) -> bytes:
        """See `Blobs.get`."""
        path = self._path(digest)
        with _disk_errors(self.root):
            try:
                data = path.read_bytes()
            except FileNotFoundError as exc:
                raise BlobNotFound(
                    f"no blob {digest} in {self.root}; make the asset again or restore a backup"
                ) from exc
        if digest_bytes(data) != digest:
            raise _rotten(path)
        return data

    def has(self, digest: str) -> bool:
        """See `Blobs.has`."""
        return self._path(digest).is_file()

    def _path(self, digest: str) -> Path:
        if not _DIGEST.fullmatch(digest):
            raise StoreError(f"{digest!r} is no digest; give 64 lower-case hex digits")
        return self.root / digest[:2] / digest[2:4] / digest

    def _holds(self, digest: str, data: bytes) -> bool:
        path = self._path(digest)
        if not path.exists():
            return False
        if path.read_bytes() != data:
            raise _rotten(path)
        return True

    def _link_all(self, blobs: dict[str, bytes], pool: Executor) -> None:
        drafts = self.root / "tmp"
        _make_folder(drafts)
        temporary = {digest: drafts / uuid.uuid4().hex for digest in blobs}
        try:
            list(pool.map(_write_synced, temporary.values(), blobs.values()))
            for digest, data in blobs.items():
                self._link(temporary[digest], digest, data)
        finally:
            for path in temporary.values():
                path.unlink(missing_ok=True)

    def _link(self, temporary: Path, digest: str, data: bytes) -> None:
        path = self._path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            os.link(temporary, path)
        except FileExistsError:
            # Another writer was first; its bytes must be ours, or the file is rotten.
            self._holds(digest, data)

    def _sync_folders(self, digests: Iterable[str], pool: Executor) -> None:
        # Folders that exist may be another process's, made but not yet synced: a row must
        # not rely on them before this process has synced their entries itself.
        holding = {self._path(digest).parent for digest in digests}
        unsettled = {folder for one in holding for folder in (one, one.parent)} - self._settled
        list(pool.map(_sync_folder, holding | {folder.parent for folder in unsettled}))
        self._settled |= unsettled


@contextmanager
def _disk_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StoreError(
            f"the blob store {root} failed: {exc.strerror}; "
            "see that the disk is writable and has space, then run the same command again"
        ) from exc


def _rotten(path: Path) -> DigestMismatch:
    return DigestMismatch(
        f"the blob {path} does not hold the bytes its name promises; "
        "move it away and make it again, or restore a backup"
    )


def _make_folder(path: Path) -> None:
    if not path.is_dir():
        _make_folder(path.parent)
        path.mkdir(exist_ok=True)
        _sync_folder(path.parent)


def _write_synced(path: Path, data: bytes) -> None:
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o444), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
