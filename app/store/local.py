"""Local blobs: blobs in a local folder, written by temporary file, sync, link and folder sync."""

import hashlib
import os
import uuid
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from app.digest import digest_bytes
from app.errors import BlobNotFound, DigestMismatch, StoreError
from app.store.blobs import MAX_CONCURRENT, BlobEntry, blob_path, is_digest, require_size
from app.store.fault_injection import fault_point


class LocalBlobs:
    """Blobs in a local folder, as read-only files `ab/cd/abcd...`; created by the first put.

    A blob is written to a temporary file in the same file system, synced, and then linked under its
    name, which fails if the name is taken: no reader ever sees half a blob. The folders are synced
    before put returns, so a row that names the blob may follow. File systems commit concurrent
    syncs together: a batch costs little more than one blob.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._settled: set[Path] = set()
        """Folders whose own entry this process has synced; once is enough."""

    def put(self, data: bytes) -> str:
        """Stores the bytes; see `Blobs.put`."""
        return self.put_all([data])[0]

    def put_all(self, blobs: Sequence[bytes]) -> tuple[str, ...]:
        """Stores a batch; see `Blobs.put_all`."""
        digests = tuple(digest_bytes(data) for data in blobs)
        wanted = dict(zip(digests, blobs, strict=True))
        for digest, data in wanted.items():
            require_size(f"the blob {digest}", len(data))
        with _disk_errors(self.root), ThreadPoolExecutor(MAX_CONCURRENT) as pool:
            fresh = {d: data for d, data in wanted.items() if not self._holds(d, data)}
            self._link_all(fresh, pool)
            self._sync_folders(wanted, pool)
        fault_point("blob.settled")
        return digests

    def get(self, digest: str) -> bytes:
        """Returns the bytes; see `Blobs.get`."""
        path = self._path(digest)
        with self._present(path):
            require_size(f"the file {path}", path.stat().st_size)
            data = path.read_bytes()
        if digest_bytes(data) != digest:
            raise _rotten(path)
        return data

    def has(self, digest: str) -> bool:
        """Returns whether the blob exists; see `Blobs.has`."""
        return self._path(digest).is_file()

    def rehash(self, digest: str) -> str:
        """Returns the actual sha256; see `Blobs.rehash`."""
        path = self._path(digest)
        with self._present(path), path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()

    def entries(self) -> Iterator[BlobEntry]:
        """Yields every blob; see `Blobs.entries`."""
        with _disk_errors(self.root):
            for folder in _names(self.root):
                for inner in _names(self.root / folder) if len(folder) == 2 else ():
                    files = _files(self.root / folder / inner)
                    yield from (entry for entry in files if is_digest(entry.digest))

    def remove(self, digest: str) -> None:
        """Removes the blob; see `Blobs.remove`."""
        with _disk_errors(self.root):
            self._path(digest).unlink(missing_ok=True)

    def drafts(self, before: float) -> tuple[str, ...]:
        """Returns the old temporary files by name; see `Blobs.drafts`."""
        with _disk_errors(self.root):
            files = _files(self._drafts)
            return tuple(entry.digest for entry in files if entry.modified_at < before)

    def discard(self, draft: str) -> None:
        """Removes a temporary file; see `Blobs.discard`."""
        with _disk_errors(self.root):
            (self._drafts / Path(draft).name).unlink(missing_ok=True)

    @property
    def _drafts(self) -> Path:
        return self.root / "tmp"

    def _path(self, digest: str) -> Path:
        return self.root / blob_path(digest)

    @contextmanager
    def _present(self, path: Path) -> Iterator[None]:
        with _disk_errors(self.root):
            try:
                yield
            except FileNotFoundError as exc:
                raise BlobNotFound(
                    f"no blob {path.name} in {self.root}; make the asset again or restore a backup"
                ) from exc

    def _holds(self, digest: str, data: bytes) -> bool:
        path = self._path(digest)
        try:
            content = path.read_bytes()
        except (FileNotFoundError, NotADirectoryError):
            return False
        if content != data:
            raise _rotten(path)
        return True

    def _link_all(self, blobs: dict[str, bytes], pool: Executor) -> None:
        _make_folder(self._drafts)
        temporary = {digest: self._drafts / uuid.uuid4().hex for digest in blobs}
        try:
            list(pool.map(_write_synced, temporary.values(), blobs.values()))
            for digest, data in blobs.items():
                self._link(temporary[digest], digest, data)
        finally:
            for path in temporary.values():
                path.unlink(missing_ok=True)
        fault_point("blob.cleared")

    def _link(self, temporary: Path, digest: str, data: bytes) -> None:
        path = self._path(digest)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Another writer may be first: its bytes must be ours, or the file is damaged. If the file
        # is gone when we look, a sweep removed it, and the name is free for us.
        while not (_linked(temporary, path) or self._holds(digest, data)):
            path.parent.mkdir(parents=True, exist_ok=True)
        fault_point("blob.linked")

    def _sync_folders(self, digests: Iterable[str], pool: Executor) -> None:
        # Existing folders may be another process's, created but not yet synced: a row must not rely
        # on them before this process has synced their entries itself.
        holding = {self._path(digest).parent for digest in digests}
        unsettled = {folder for path in holding for folder in (path, path.parent)} - self._settled
        list(pool.map(_sync_folder, holding | {folder.parent for folder in unsettled}))
        self._settled |= unsettled


@contextmanager
def _disk_errors(root: Path) -> Iterator[None]:
    try:
        yield
    except OSError as exc:
        raise StoreError(
            f"the blob store {root} failed: {exc.strerror}; "
            "check that the disk is writable and has space, then run the same command again"
        ) from exc


def _rotten(path: Path) -> DigestMismatch:
    return DigestMismatch(
        f"the blob {path} does not hold the bytes its name promises; "
        "move it away and make it again, or restore a backup"
    )


def _names(folder: Path) -> list[str]:
    return sorted(os.listdir(folder)) if folder.is_dir() else []


def _files(folder: Path) -> Iterator[BlobEntry]:
    for name in _names(folder):
        try:
            status = (folder / name).stat()
        except FileNotFoundError:
            continue  # removed during the listing
        yield BlobEntry(name, status.st_size, status.st_mtime)


def _make_folder(path: Path) -> None:
    if not path.is_dir():
        _make_folder(path.parent)
        path.mkdir(exist_ok=True)
        _sync_folder(path.parent)


def _write_synced(path: Path, data: bytes) -> None:
    fault_point("blob.begin")
    with open(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o444), "wb") as file:
        file.write(data)
        file.flush()
        fault_point("blob.written")
        os.fsync(file.fileno())
    fault_point("blob.synced")


def _linked(temporary: Path, path: Path) -> bool:
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    return True


def _sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
