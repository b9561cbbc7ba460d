"""Override: a person's label decides an asset, whatever the checks said.

The checks' report stays in the record: from it acceptance reports what the checks alone would do.
"""

from typing import Literal

from app.accept.labels import Label, add_label
from app.errors import InvalidRequest
from app.flow.complete import complete_overridden
from app.store.publish import Store, override_asset
from app.types import AssetRecord, Status


def override(
    store: Store,
    record: AssetRecord,
    says: Literal["good", "bad"],
    *,
    reviewer: str,
    reason: str = "",
) -> tuple[Label, AssetRecord]:
    """Stores the label, and the record as it decides: accepted and finished, or rejected.

    Safe to repeat. The next run of the asset's plan uses the new status, and packs it or leaves it
    out. Raises InvalidRequest for an asset without an image, StoreError when its bytes are missing.
    """
    if record.image is None:
        raise InvalidRequest(
            f"{record.name}@{record.version} has no picture to speak of; run its plan again first"
        )
    label = add_label(store.catalog, record, says, reviewer=reviewer, reason=reason)
    status = Status.ACCEPTED if label.good else Status.REJECTED
    if record.status is status:
        return label, record
    decided = record.replace(status=status, reasons=(_in_words(label),))
    if not label.good:
        bare = decided.replace(asset=None, provenance=None)
        return label, override_asset(store, bare, (), good=False)
    if decided.asset is not None:
        return label, override_asset(store, decided, (), good=True)
    finished, files = complete_overridden(decided, record.image, store)
    return label, override_asset(store, finished, files, good=True)


def _in_words(label: Label) -> str:
    return f"{label.reviewer} said {label.says}" + (f": {label.reason}" if label.reason else "")
