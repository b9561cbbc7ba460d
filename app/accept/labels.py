"""Labels: what people said of finished pictures, each with who and when; none is ever changed."""

from collections.abc import Iterable, Set
from datetime import UTC, datetime
from itertools import takewhile
from typing import Literal

from sqlalchemy import select

from app.digest import digest
from app.store import documents, tables
from app.store.catalog import Catalog
from app.types import AssetRecord, Digest, Value

LABEL = "label"
"""The kind of document."""


class Label(Value):
    """A person's word on one picture."""

    asset: Digest
    """The key of the asset."""
    name: str
    says: Literal["good", "bad"]
    reason: str = ""
    reviewer: str
    labelled_at: str

    @property
    def good(self) -> bool:
        """Whether it may be shipped."""
        return self.says == "good"


def add_label(
    catalog: Catalog,
    record: AssetRecord,
    says: Literal["good", "bad"],
    *,
    reviewer: str,
    reason: str = "",
) -> Label:
    """Keep a person's word on the asset's picture; their last word counts."""
    label = Label(
        asset=record.key,
        name=record.name,
        says=says,
        reason=reason,
        reviewer=reviewer,
        labelled_at=datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
    )
    documents.put(catalog, LABEL, [label])
    return label


def list_labels(catalog: Catalog) -> list[Label]:
    """Every label, the oldest first."""
    column = tables.documents.c
    query = select(column.value).where(column.kind == LABEL)
    texts = catalog.read(lambda connection: connection.execute(query).scalars().all())
    labels = [Label.model_validate_json(text) for text in texts]
    return sorted(labels, key=lambda label: (label.labelled_at, label.reviewer, label.asset))


def latest_labels(labels: Iterable[Label]) -> dict[str, dict[str, Label]]:
    """By asset, each reviewer's last word; `said` has the oldest first."""
    latest: dict[str, dict[str, Label]] = {}
    for label in labels:
        latest.setdefault(label.asset, {})[label.reviewer] = label
    return latest


SPOT_CHECKS = 0.1
"""The part of a run's pictures, by lot, that people are asked to look at whatever became of it."""


def sampling_key(key: str, purpose: str = "order") -> float:
    """A number drawn for the key, 0 to 1; the same key, the same number."""
    return int(digest([purpose, key])[:13], 16) / 16.0**13


def random_prefix(keys: Iterable[str], labelled: Set[str]) -> frozenset[str]:
    """Those that are labelled without a gap from the front, in the order of their lots."""
    return frozenset(takewhile(labelled.__contains__, sorted(keys, key=sampling_key)))
