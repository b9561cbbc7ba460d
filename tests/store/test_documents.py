"""Documents: kept once under their digest, found by its beginning, never changed."""

import pytest
from sqlalchemy import update

from app.errors import AssetNotFound, CatalogError, DigestMismatch
from app.store import documents, tables
from app.store.documents import digest_of, get, newest, put
from app.store.store import Store
from app.types import Size

SIZES = [Size(width=side, height=side) for side in range(1, 40)]


def test_a_value_is_kept_once_under_its_digest(store: Store) -> None:
    first = put(store.catalog, "size", [SIZES[0], SIZES[1], SIZES[0]])
    assert first[0] == first[2] != first[1]
    assert put(store.catalog, "size", SIZES[:2]) == first[:2]
    assert put(store.catalog, "size", []) == []
    assert set(newest(store.catalog, "size")) == set(first)
    assert newest(store.catalog, "other") == {}
    assert get(store.catalog, first[1], Size) == SIZES[1]


def test_a_document_is_found_by_the_beginning_of_its_digest(store: Store) -> None:
    digests = put(store.catalog, "size", SIZES)
    assert digest_of(store.catalog, "size", digests[3][:20]) == digests[3]
    shared = next(
        digest[0] for digest in digests if sum(digest[0] == two[0] for two in digests) > 1
    )
    with pytest.raises(CatalogError, match="could be several"):
        digest_of(store.catalog, "size", shared)
    for nothing in ("%", "zz"):
        with pytest.raises(AssetNotFound, match="the newest are"):
            digest_of(store.catalog, "size", nothing)
    with pytest.raises(AssetNotFound, match="keeps no document"):
        get(store.catalog, "0" * 64, Size)


def test_an_altered_document_is_refused(store: Store) -> None:
    (digest,) = put(store.catalog, "size", SIZES[:1])
    change = update(documents.tables.documents).where(tables.documents.c.digest == digest)
    store.catalog.write(
        lambda connection: connection.execute(change.values(value='{"width":9,"height":1}')),
        names=["test"],
    )
    with pytest.raises(DigestMismatch, match="restore it from a backup"):
        get(store.catalog, digest, Size)
