"""Verify: hashes every blob that a row names again, and compares the rows with each other.

It only reads. However large the store, it holds no more than a few hundred rows and the differences
found in memory.
"""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from enum import StrEnum
from functools import partial
from typing import Any, TypeAlias

from pydantic import ValidationError
from sqlalchemy import Column, Connection, select

from app.errors import BlobNotFound, DigestMismatch
from app.store import mapping, tables
from app.store.blobs import MAX_CONCURRENT
from app.store.store import Store
from app.types import Value

_PAGE = 200


class DifferenceKind(StrEnum):
    """What is wrong."""

    MISSING = "missing"
    """A row names a blob that is not there."""
    DAMAGED = "damaged"
    """Other bytes are stored under the blob's name: bits flipped, truncated, replaced."""
    SWAPPED = "swapped"
    """The bytes of another blob that rows name are stored under the blob's name."""
    ALTERED = "altered"
    """A row's value is not the one that was committed."""
    MISMATCHED = "mismatched"
    """A row's columns do not match its value."""
    UNNAMED = "unnamed"
    """A row's blobs differ from its holdings, so that a sweep could remove a needed blob."""


class Difference(Value):
    """One thing that is not as it was committed."""

    kind: DifferenceKind
    named_by: tuple[str, ...]
    """The rows concerned, each as subject and key: image 12ab..."""
    digest: str = ""
    """The blob concerned, if it is one."""
    detail: str = ""


_Check: TypeAlias = Callable[[Connection, str], Iterator[Difference]]


def verify(store: Store) -> list[Difference]:
    """Returns every difference between the rows and the store; empty when all is well.

    Safe while others write. Raises StoreError and CatalogError only when it cannot read on.
    """
    return [
        *_of_blobs(store),
        *_of_rows(store, tables.images.c.key, _check_image),
        *_of_rows(store, tables.assets.c.key, _check_asset),
        *_of_rows(store, tables.pages.c.run_id, _check_pages),
    ]


def _of_blobs(store: Store) -> Iterator[Difference]:
    digest = tables.holdings.c.digest
    with ThreadPoolExecutor(MAX_CONCURRENT) as pool:
        for page in _pages(store, digest):
            actual_digests = pool.map(lambda digest: _actual_digest(store, digest), page)
            for named, bytes_of in zip(page, actual_digests, strict=True):
                if bytes_of != named:
                    yield from store.catalog.read(partial(_wrong, digest=named, actual=bytes_of))


def _actual_digest(store: Store, digest: str) -> str | None:
    """Returns the digest of the stored bytes; reads them twice if they seem wrong."""
    for _ in range(2):
        try:
            actual: str | None = store.blobs.rehash(digest)
        except BlobNotFound:
            actual = None
        if actual == digest:
            break
    return actual


def _wrong(connection: Connection, digest: str, actual: str | None) -> list[Difference]:
    named_by = _named_by(connection, digest)
    if not named_by:
        return []  # the row that named it was replaced meanwhile
    if actual is None:
        return [Difference(kind=DifferenceKind.MISSING, named_by=named_by, digest=digest)]
    other = _named_by(connection, actual)
    kind = DifferenceKind.SWAPPED if other else DifferenceKind.DAMAGED
    detail = f"its bytes hash to {actual}" + (f", which {', '.join(other)} names" if other else "")
    return [Difference(kind=kind, named_by=named_by, digest=digest, detail=detail)]


def _named_by(connection: Connection, digest: str) -> tuple[str, ...]:
    held = tables.holdings.c
    query = select(held.subject, held.key).where(held.digest == digest)
    rows = connection.execute(query.order_by(held.subject, held.key).limit(_PAGE))
    return tuple(f"{row.subject} {row.key}" for row in rows)


def _of_rows(store: Store, column: Column[str], check: _Check) -> Iterator[Difference]:
    for page in _pages(store, column):
        yield from store.catalog.read(partial(_checked, keys=page, check=check))


def _checked(connection: Connection, keys: Sequence[str], check: _Check) -> list[Difference]:
    return [difference for key in keys for difference in check(connection, key)]


def _check_image(connection: Connection, key: str) -> Iterator[Difference]:
    named = f"image {key}"
    try:
        images = mapping.read_images(
            connection, mapping.select_images().where(tables.images.c.key == key)
        )
    except (DigestMismatch, ValidationError) as exc:
        yield _altered(named, exc)
        return
    row = connection.execute(select(tables.images).where(tables.images.c.key == key)).one()
    for image in images:
        cells = mapping.image_cells(image, row.provenance_digest, row.created_at)
        yield from _mismatched(named, row, cells)
        yield from _misnamed(connection, named, "image", key, mapping.image_holdings(image))


def _check_asset(connection: Connection, key: str) -> Iterator[Difference]:
    query = select(tables.assets).where(tables.assets.c.key == key)
    row = connection.execute(query).one_or_none()
    if row is None:
        return  # replaced meanwhile by a later one, which has the same key
    named = f"asset {key}"
    try:
        records = mapping.read_records(connection, query)
    except (DigestMismatch, ValidationError) as exc:
        yield _altered(named, exc)
        return
    for record in records:
        yield from _mismatched(named, row, mapping.asset_cells(record, row.provenance_digest))
        yield from _misnamed(connection, named, "asset", key, mapping.asset_holdings(record))


def _check_pages(connection: Connection, run_id: str) -> Iterator[Difference]:
    stored = tables.pages
    query = select(stored).where(stored.c.run_id == run_id).order_by(stored.c.position)
    for row in connection.execute(query).all():
        named = f"page {run_id}/{row.name}"
        page_query = query.where(stored.c.name == row.name)
        try:
            page = mapping.read_page_rows(connection, page_query)[0]
        except (DigestMismatch, ValidationError) as exc:
            yield _altered(named, exc)
            continue
        cells = mapping.page_cells(run_id, row.position, page, row.created_at)
        yield from _mismatched(named, row, cells)
        held = mapping.page_holdings(run_id, page)
        yield from _misnamed(connection, named, "page", f"{run_id}/{row.name}", held)


def _altered(named: str, exc: Exception) -> Difference:
    return Difference(
        kind=DifferenceKind.ALTERED, named_by=(named,), detail=str(exc).splitlines()[0]
    )


def _mismatched(named: str, row: Any, cells: mapping.Cells) -> Iterator[Difference]:
    stored = row._mapping
    wrong = [name for name, cell in cells.items() if stored[name] != cell]
    if wrong:
        detail = f"its value differs from its columns {', '.join(wrong)}"
        yield Difference(kind=DifferenceKind.MISMATCHED, named_by=(named,), detail=detail)


def _misnamed(
    connection: Connection, named: str, subject: str, key: str, cells: Sequence[mapping.Cells]
) -> Iterator[Difference]:
    held = tables.holdings.c
    query = select(held.digest).where(held.subject == subject, held.key == key)
    noted = set(connection.execute(query).scalars())
    for digest in sorted(noted ^ {str(cell["digest"]) for cell in cells}):
        detail = "only in the holdings" if digest in noted else "not in the holdings"
        yield Difference(
            kind=DifferenceKind.UNNAMED, named_by=(named,), digest=digest, detail=detail
        )


def _pages(store: Store, column: Column[str]) -> Iterator[list[str]]:
    """Yields the distinct values of a column, in order, a few hundred at a time."""
    after = ""
    while page := store.catalog.read(partial(_page, column=column, after=after)):
        yield page
        after = page[-1]


def _page(connection: Connection, column: Column[str], after: str) -> list[str]:
    query = select(column).distinct().where(column > after).order_by(column).limit(_PAGE)
    return list(connection.execute(query).scalars())
