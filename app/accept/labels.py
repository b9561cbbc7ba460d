"""Labels: people's verdicts on finished images, with reviewer and time; labels never change."""

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
    """A person's verdict on one image."""

    asset: Digest
    """The key of the asset."""
    name: str
    says: Literal["good", "bad"]
    reason: str = ""
    reviewer: str
    labelled_at: str

    @property
    def good(self) -> bool:
        """Returns whether the image may be shipped."""
        return self.says == "good"


def add_label(
    catalog: Catalog,
    record: AssetRecord,
    says: Literal["good", "bad"],
    *,
    reviewer: str,
    reason: str = "",
) -> Label:
    """Stores a person's label for the asset's image; a reviewer's newest label counts."""
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
    """Returns every label, the oldest first."""
    column = tables.documents.c
    query = select(column.value).where(column.kind == LABEL)
    texts = catalog.read(lambda connection: connection.execute(query).scalars().all())
    labels = [Label.model_validate_json(text) for text in texts]
    return sorted(labels, key=lambda label: (label.labelled_at, label.reviewer, label.asset))


def latest_labels(labels: Iterable[Label]) -> dict[str, dict[str, Label]]:
    """Returns each reviewer's newest label by asset key; `labels` must start with the oldest."""
    latest: dict[str, dict[str, Label]] = {}
    for label in labels:
        latest.setdefault(label.asset, {})[label.reviewer] = label
    return latest


SPOT_CHECKS = 0.1
"""The share of a run's images, by `sampling_key`, that people check whatever their status."""


def sampling_key(key: str, purpose: str = "order") -> float:
    """Returns a number in [0, 1) derived from a hash of the key; the same key, the same number."""
    return int(digest([purpose, key])[:13], 16) / 16.0**13


def random_prefix(keys: Iterable[str], labelled: Set[str]) -> frozenset[str]:
    """Returns the keys labelled without a gap from the front in the order of `sampling_key`.

    Any such prefix is a uniform random sample of the keys.
    """
    return frozenset(takewhile(labelled.__contains__, sorted(keys, key=sampling_key)))
