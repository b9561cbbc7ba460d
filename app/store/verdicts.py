"""Verdicts: what the latest decided assets came to, for whoever learns from them."""

import json
from collections.abc import Sequence

from sqlalchemy import select

from app.store import tables
from app.store.catalog import Catalog
from app.types import AssetRecord, Status

LATEST = 20_000
"""Decided assets that are looked at."""
_FINAL = [status.value for status in (Status.ACCEPTED, Status.REVIEW, Status.REJECTED)]


def verdicts(catalog: Catalog, *, limit: int = LATEST) -> Sequence[AssetRecord]:
    """The latest assets whose fate is final, the newest first, without image and provenance."""
    column = tables.assets.c
    query = select(column.value).where(column.status.in_(_FINAL))
    query = query.order_by(column.sequence.desc()).limit(limit)
    texts = catalog.read(lambda connection: connection.execute(query).scalars().all())
    bare = {"image": None, "provenance": None}
    return [AssetRecord.model_validate(json.loads(text) | bare) for text in texts]
