"""Documents: immutable values that the catalog stores once, by their digest."""

from collections.abc import Iterable
from typing import TypeVar

from sqlalchemy import Connection, select

from app.digest import canonical_json, digest_bytes
from app.errors import AssetNotFound, CatalogError, DigestMismatch
from app.store import database, mapping, tables
from app.store.catalog import Catalog
from app.types import Value

_Document = TypeVar("_Document", bound=Value)
_COLUMNS = tables.documents.c


def put(catalog: Catalog, kind: str, values: Iterable[Value]) -> list[str]:
    """Stores the values; returns the digest of each. Safe to repeat."""
    texts = [canonical_json(value.as_json()) for value in values]
    digests = [digest_bytes(text) for text in texts]

    def commit(connection: Connection) -> None:
        created_at = mapping.timestamp(database.clock(connection))
        standing = mapping.present(connection, _COLUMNS.digest, digests)
        fresh = {d: t for d, t in zip(digests, texts, strict=True) if d not in standing}
        cells: list[mapping.Cells] = [
            {"digest": digest, "kind": kind, "value": text.decode(), "created_at": created_at}
            for digest, text in fresh.items()
        ]
        mapping.insert_all(connection, tables.documents, cells)

    if digests:
        catalog.write(commit, names=sorted(set(digests)))
    return digests


def get(catalog: Catalog, digest: str, model: type[_Document]) -> _Document:
    """Returns the value under a digest.

    Raises AssetNotFound, and DigestMismatch when the row was altered.
    """
    query = select(_COLUMNS.value).where(_COLUMNS.digest == digest)
    text = catalog.read(lambda connection: connection.execute(query).scalar())
    if text is None:
        raise AssetNotFound(f"the catalog keeps no document {digest[:12]}")
    if digest_bytes(text.encode()) != digest:
        raise DigestMismatch(
            f"document {digest} was altered in the catalog; restore it from a backup"
        )
    return model.model_validate_json(text)


def digest_of(catalog: Catalog, kind: str, beginning: str) -> str:
    """Returns the digest with this prefix.

    Raises AssetNotFound with the newest digests, or CatalogError when several have the prefix.
    """
    query = select(_COLUMNS.digest).where(_COLUMNS.kind == kind)
    chosen = query.where(_COLUMNS.digest.startswith(beginning, autoescape=True)).limit(2)
    digests = catalog.read(lambda connection: connection.execute(chosen).scalars().all())
    if len(digests) == 1:
        return str(digests[0])
    if digests:
        raise CatalogError(f"{beginning!r} could be several: {digests[0][:16]}, {digests[1][:16]}")
    known = (
        ", ".join(known_digest[:12] for known_digest in newest(catalog, kind, limit=5))
        or "none yet"
    )
    raise AssetNotFound(f"there is no {kind} {beginning!r}; the newest are {known}")


def newest(catalog: Catalog, kind: str, *, limit: int = 100) -> dict[str, str]:
    """Returns when documents of a kind were first stored, by digest, the newest first."""
    query = select(_COLUMNS.digest, _COLUMNS.created_at).where(_COLUMNS.kind == kind)
    query = query.order_by(_COLUMNS.created_at.desc(), _COLUMNS.digest).limit(limit)
    return catalog.read(lambda connection: dict(map(tuple, connection.execute(query))))
