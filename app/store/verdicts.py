"""Verdicts: what the latest decided assets came to, for whoever learns from them."""

import json
from collections.abc import Iterator, Sequence

from sqlalchemy import select

from app.store import tables
from app.store.catalog import Catalog
from app.types import AssetRecord, Retry, Status

LATEST = 20_000
"""Decided assets that are looked at."""
_FINAL = [status.value for status in (Status.ACCEPTED, Status.REVIEW, Status.REJECTED)]


def verdicts(catalog: Catalog, *, limit: int = LATEST) -> Sequence[AssetRecord]:
    """The latest assets whose fate is final, the newest first, without image and provenance."""
    bare = {"image": None, "provenance": None}
    return [AssetRecord.model_validate(json.loads(text) | bare) for text in _texts(catalog, limit)]


def retries(catalog: Catalog, *, limit: int = LATEST) -> Iterator[Retry]:
    """The further attempts at the latest assets that had any with a reason.

    The database picks them out, for in most catalogs nearly all assets had none.
    """
    for text in _texts(catalog, limit, holding='"retries":[{'):
        yield from map(Retry.model_validate, json.loads(text)["retries"])


def _texts(catalog: Catalog, limit: int, *, holding: str = "") -> Sequence[str]:
    """The records as they are stored, canonical JSON: without spaces between its signs."""
    column = tables.assets.c
    query = select(column.value).where(column.status.in_(_FINAL))
    query = query.where(column.value.contains(holding, autoescape=True)) if holding else query
    query = query.order_by(column.sequence.desc()).limit(limit)
    return catalog.read(lambda connection: connection.execute(query).scalars().all())
