"""Stored calibrations, and the one in use; every change can be undone."""

from app.accept.calibration import Calibration
from app.errors import InvalidRequest, PromotionRefused
from app.store import documents
from app.store.catalog import Catalog
from app.store.pointers import Pointer, move, moves, pointer, step_back

CALIBRATION = "calibration"
"""The kind of document."""
_CHECKS, _LIVE = "checks", "live"
_NONE = "none"


def live_digest(catalog: Catalog) -> str | None:
    """Returns the digest of the calibration in use; None when there is none."""
    return _target(pointer(catalog, _CHECKS, _LIVE))


def read_calibration(catalog: Catalog, digest: str) -> Calibration:
    """Returns the calibration with this digest. Raises AssetNotFound, DigestMismatch."""
    return documents.get(catalog, digest, Calibration)


def keep_calibration(catalog: Catalog, calibration: Calibration) -> str:
    """Stores a calibration and returns its digest, by which it can be promoted."""
    (digest,) = documents.put(catalog, CALIBRATION, [calibration])
    return digest


def promote(catalog: Catalog, reference: str) -> str:
    """Makes a calibration live from the next run on; returns its digest.

    Raises AssetNotFound, InvalidRequest when it is in use, and PromotionRefused when another
    process changed the pointer first.
    """
    present = pointer(catalog, _CHECKS, _LIVE)
    wanted, before = documents.digest_of(catalog, CALIBRATION, reference), _target(present)
    if wanted == before:
        raise InvalidRequest(f"calibration {wanted[:12]} is already in use; name another one")
    reason = f"{wanted[:12]} promoted over {before[:12] if before else _NONE}"
    move(catalog, _CHECKS, _LIVE, wanted, present=present, reason=reason)
    return wanted


def roll_back(catalog: Catalog) -> str | None:
    """Restores the calibration in use before the last change; returns None if there was none."""
    present = pointer(catalog, _CHECKS, _LIVE)
    before = _target(present)
    if present is None or before is None:
        raise PromotionRefused("no calibration is in use; there is nothing to undo")
    reason = f"back from {before[:12]}"
    if present.below is None:
        return _target(move(catalog, _CHECKS, _LIVE, _NONE, present=present, reason=reason))
    return _target(step_back(catalog, present, reason=reason))


def history(catalog: Catalog) -> list[Pointer]:
    """Returns every change of the calibration in use, the newest first."""
    return moves(catalog, _CHECKS, _LIVE)


def _target(pointer: Pointer | None) -> str | None:
    return None if pointer is None or pointer.target == _NONE else pointer.target
