"""Learned: what the catalog's outcomes teach, and which of it a plan keeps to.

What was learned is a document under its digest. A plan keeps to the one of its first run: however
often it is stopped and begun again, it asks for the same attempts, and finds those it has made.
"""

from app.errors import PromotionRefused
from app.refine.statistics import Experience, learn
from app.store import documents
from app.store.catalog import Catalog
from app.store.pointers import Pointer, move, pointer
from app.store.verdicts import retries

EXPERIENCE = "experience"
"""The kind of document."""
_REFINE = "refine"


def experience_of(catalog: Catalog, plan_digest: str) -> Experience:
    """The experience that a plan's attempts are made by, learned now where it has none yet.

    Of many who ask for one plan at once all get the same.
    """
    kept = pointer(catalog, _REFINE, plan_digest) or _kept(catalog, plan_digest)
    return documents.get(catalog, kept.target, Experience)


def _kept(catalog: Catalog, plan_digest: str) -> Pointer:
    learned = learn(retries(catalog))
    (digest,) = documents.put(catalog, EXPERIENCE, [learned])
    reason = f"learned from {learned.retries} attempts"
    try:
        return move(catalog, _REFINE, plan_digest, digest, present=None, reason=reason)
    except PromotionRefused:
        faster = pointer(catalog, _REFINE, plan_digest)
        if faster is None:
            raise
        return faster
