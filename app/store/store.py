"""The store: the blobs and the catalog that describes them, each opened by its URL."""

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

from app.errors import StoreError
from app.store.blobs import Blobs
from app.store.catalog import Catalog
from app.store.local import LocalBlobs


@dataclass(frozen=True, slots=True)
class Store:
    """The blobs and the catalog that describes them."""

    blobs: Blobs
    catalog: Catalog


def open_store(blobs_url: str, catalog_url: str) -> Store:
    """Opens both by URL. Raises StoreError or CatalogError for an unsupported URL."""
    return Store(open_blobs(blobs_url), Catalog.open(catalog_url))


def open_blobs(url: str) -> Blobs:
    """Opens the blobs of a URL: a folder, `file:///absolute/folder` or `s3://bucket/prefix`.

    Raises StoreError for any other URL, and for `s3://` without the `s3` extra.
    """
    parts = urlsplit(url)
    if parts.scheme == "s3" and parts.netloc and not (parts.query or parts.fragment):
        from app.store.s3 import open_s3

        return open_s3(parts.netloc, unquote(parts.path))
    if parts.scheme == "file" and parts.netloc in ("", "localhost"):
        return LocalBlobs(Path(unquote(parts.path)))
    if url and not parts.scheme:
        return LocalBlobs(Path(url))
    raise _unknown(parts.scheme)


def _unknown(scheme: str) -> StoreError:
    # Not the whole URL: it may contain a password.
    reasons = {
        "file": "a host",
        "s3": "no bucket, or more than a bucket and a prefix",
        "": "no scheme",
    }
    reason = reasons.get(scheme, f"the scheme {scheme!r}")
    return StoreError(
        f"the blob store's URL has {reason}, which cannot be opened here; "
        "give a local folder as file:///absolute/folder or a bucket as s3://bucket/prefix"
    )
