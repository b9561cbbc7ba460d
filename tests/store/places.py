"""Places a store can be kept in: a catalog's URL and the blobs' URL, and what lies behind them."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from app.store import tables
from app.store.catalog import Catalog
from app.store.store import Store, open_store
from tests.store import servers

KINDS = ("sqlite+folder", "postgresql+s3", "sqlite+s3", "postgresql+folder")
BOTH = KINDS[:2]
"""Two kinds in which each catalog and each sort of blobs takes part once."""


class Bytes(Protocol):
    """The blobs as they lie there, read and written behind the store's back."""

    url: str

    def all(self) -> dict[str, bytes]: ...

    def overwrite(self, digest: str, data: bytes) -> None: ...

    def remove(self, digest: str) -> None: ...


class Folder:
    """Files; temporary ones are among `all`."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.url = root.as_uri()

    def all(self) -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in self.root.rglob("*") if p.is_file()}

    def overwrite(self, digest: str, data: bytes) -> None:
        self.remove(digest)
        self.path(digest).write_bytes(data)

    def remove(self, digest: str) -> None:
        self.path(digest).unlink()

    def path(self, digest: str) -> Path:
        return self.root / digest[:2] / digest[2:4] / digest


class Bucket:
    """Objects of a bucket of their own."""

    def __init__(self) -> None:
        self.bucket = servers.new_bucket()
        self.url = f"s3://{self.bucket}/below"
        self.client: Any = servers.bare_client()

    def all(self) -> dict[str, bytes]:
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket)
        keys = [item["Key"] for page in pages for item in page.get("Contents", ())]
        return {key.rpartition("/")[2]: self.read(key) for key in keys}

    def read(self, key: str) -> bytes:
        with closing(self.client.get_object(Bucket=self.bucket, Key=key)["Body"]) as body:
            return bytes(body.read())

    def overwrite(self, digest: str, data: bytes) -> None:
        self.client.put_object(Bucket=self.bucket, Key=self.key(digest), Body=data)

    def remove(self, digest: str) -> None:
        self.client.delete_object(Bucket=self.bucket, Key=self.key(digest))

    def key(self, digest: str) -> str:
        return f"below/{digest[:2]}/{digest[2:4]}/{digest}"


class Place:
    """Where one store is kept; it opens the store as anybody does, and closes what it opened."""

    def __init__(self, catalog_url: str, blobs: Bytes) -> None:
        self.catalog_url, self.blobs = catalog_url, blobs
        self.opened: list[Store] = []

    def open(self) -> Store:
        store = open_store(self.blobs.url, self.catalog_url)
        self.opened.append(store)
        return store

    def close(self) -> None:
        for store in self.opened:
            store.catalog.close()


@cache
def migrated_file() -> bytes:
    """A new SQLite catalog, made once: migrating takes longer than most tests."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "catalog.db"
        Catalog.open(f"sqlite:///{path}").close()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return path.read_bytes()


def sqlite_url(folder: Path, *, migrated: bool = True) -> str:
    """A catalog file's URL; the file is there already, unless it is to be made."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "catalog.db"
    if migrated and not path.exists():
        path.write_bytes(migrated_file())
    return f"sqlite:///{path}"


class Places:
    """Places of every kind, on one PostgreSQL and one S3 server that start when first needed."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self._free: list[str] = []
        """PostgreSQL catalogs to be used again: to empty one is faster than to make one."""

    @contextmanager
    def new(self, kind: str, folder: Path, *, migrated: bool = True) -> Iterator[Place]:
        """An empty place; what was opened there is closed in the end."""
        catalog, _, blobs = kind.partition("+")
        with self.catalog_url(catalog, folder, migrated=migrated) as url:
            place = Place(url, self.bytes(blobs, folder))
            try:
                yield place
            finally:
                place.close()

    @contextmanager
    def catalog_url(self, kind: str, folder: Path, *, migrated: bool = True) -> Iterator[str]:
        """The URL of an empty catalog."""
        if kind == "sqlite":
            yield sqlite_url(folder, migrated=migrated)
        elif not migrated:
            yield servers.new_database(self._server)
        else:
            url = self._free.pop() if self._free else self._new_catalog()
            yield url
            servers.empty(url, sorted(tables.metadata.tables))
            self._free.append(url)

    def bytes(self, kind: str, folder: Path) -> Bytes:
        """Where blobs are to lie."""
        if kind == "folder":
            return Folder(folder / "blobs")
        self._request.getfixturevalue("s3_server")
        return Bucket()

    @property
    def _server(self) -> str:
        return str(self._request.getfixturevalue("postgresql_server"))

    def _new_catalog(self) -> str:
        url = servers.new_database(self._server)
        Catalog.open(url).close()
        return url
