"""Examine: scores generated images and judges them for the first time."""

from collections.abc import Sequence

from app.check.brand import brand_scores
from app.check.duplicates import fingerprint
from app.check.integrity import decode_or_none
from app.check.judge import judge
from app.check.scores import Critic, score_image
from app.errors import StoreError
from app.store.publish import Store
from app.types import AssetSpec, Measure
from app.types.candidate import Candidate, Outcome


def examine(
    outcomes: Sequence[Outcome], spec: AssetSpec, store: Store, critic: Critic | None
) -> list[Candidate]:
    """Returns one candidate per outcome, in order.

    An undecodable file lowers the scores; a missing or damaged one fails its candidate.
    """
    return [_examine(outcome, spec, store, critic) for outcome in outcomes]


def _examine(outcome: Outcome, spec: AssetSpec, store: Store, critic: Critic | None) -> Candidate:
    if outcome.image is None:
        return Candidate(outcome=outcome)
    try:
        data = store.blobs.get(outcome.image.digest)
    except StoreError as error:
        return Candidate(outcome=outcome.replace(image=None, error=str(error)))
    request, pixels = outcome.request, decode_or_none(data)
    scores = score_image(pixels, request, critic, prompt=request.prompt)
    if pixels is None:
        return Candidate(outcome=outcome, report=judge(scores, spec.demands))
    scores |= brand_scores(pixels, spec.brand)
    rules = [rule for rule in spec.demands if rule.check is not Measure.DUPLICATE_DISTANCE]
    return Candidate(outcome=outcome, report=judge(scores, rules), phash=fingerprint(pixels))
