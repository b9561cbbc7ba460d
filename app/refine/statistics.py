"""Refine statistics: how often each change fixed each fault; priors and observed counts.

For every model version, broken rule and change, the probability that the image then passes all
rules is Beta distributed: prior pseudo-counts plus observed counts.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from random import Random
from typing import Annotated

from pydantic import Field

from app.errors import PromotionRefused
from app.refine.changes import Change
from app.store import documents
from app.store.catalog import Catalog
from app.store.pointers import Pointer, move, pointer
from app.store.run_statistics import latest_retries
from app.types import Measure, Retry, Value

WEIGHT = 4.0
"""The weight of the prior, in attempts."""
_RARE_RATE = 0.15
_PRIOR_RATES: Mapping[Change, float] = {
    Change.SEED: 0.4,
    Change.STEPS: 0.45,
    Change.SAMPLER: 0.35,
    Change.GUIDANCE_UP: 0.2,
    Change.GUIDANCE_DOWN: 0.25,
    Change.CLAUSE: 0.2,
    Change.PICTURE: 0.2,
    Change.PLATE: _RARE_RATE,
}
"""The prior probability that a change fixes a fault that `_PRIOR_BY_MEASURE` does not list."""
_PRIOR_BY_MEASURE: Mapping[Measure, Mapping[Change, float]] = {
    # too little guidance shows another object, too much breaks it; too few steps cannot follow it
    Measure.AGREEMENT: {Change.GUIDANCE_UP: 0.45, Change.GUIDANCE_DOWN: 0.4, Change.STEPS: 0.5},
    # unfinished images
    Measure.SHARPNESS: {Change.STEPS: 0.6, Change.SAMPLER: 0.45, Change.SEED: 0.3},
    Measure.SOFTNESS: {Change.STEPS: 0.55, Change.GUIDANCE_DOWN: 0.4, Change.SEED: 0.3},
    Measure.NOISE: {Change.STEPS: 0.6, Change.SAMPLER: 0.45, Change.SEED: 0.3},
    Measure.FRAGMENTS: {Change.STEPS: 0.5, Change.PICTURE: 0.35},
    Measure.HALO: {Change.STEPS: 0.5, Change.GUIDANCE_DOWN: 0.35},
    # oversaturated colours
    Measure.CLIPPING: {Change.GUIDANCE_DOWN: 0.6, Change.SEED: 0.3},
    Measure.BLOTCHES: {Change.GUIDANCE_DOWN: 0.5, Change.STEPS: 0.5},
    Measure.CONTRAST: {Change.GUIDANCE_UP: 0.45},
    # position and size of the object
    Measure.COVERAGE: {Change.CLAUSE: 0.45, Change.SEED: 0.5},
    Measure.BORDER: {Change.CLAUSE: 0.45, Change.SEED: 0.5},
    # the same image with other settings is still the same image
    Measure.DUPLICATE_DISTANCE: {
        Change.SEED: 0.8, Change.STEPS: 0.1, Change.SAMPLER: 0.1, Change.GUIDANCE_UP: 0.15,
        Change.GUIDANCE_DOWN: 0.15, Change.PICTURE: 0.05,
    },
    Measure.TEXT_ERROR: {Change.PLATE: 0.7, Change.SEED: 0.3},
}  # fmt: skip
OWN_WEIGHT = 2.0
"""How many failures one failure on this same asset counts as."""


class ChangeCounts(Value):
    """How often a change was tried after one broken rule, and how often the image then passed."""

    model: str
    after: Measure
    change: Change
    tried: Annotated[int, Field(ge=1)]
    passed: Annotated[int, Field(ge=0)]


class RefineStatistics(Value):
    """The observed counts; without tallies only the priors apply."""

    tallies: tuple[ChangeCounts, ...] = ()
    retries: Annotated[int, Field(ge=0)] = 0
    """The number of attempts the counts come from."""

    def beta_parameters(self, model: str, after: Measure, change: Change) -> tuple[float, float]:
        """Returns the Beta parameters (passes, failures), priors included."""
        seen = self._seen.get((model, after, change))
        tried, passed = (seen.tried, seen.passed) if seen else (0, 0)
        mean = _PRIOR_BY_MEASURE.get(after, {}).get(change, _PRIOR_RATES[change])
        return WEIGHT * mean + passed, WEIGHT * (1 - mean) + tried - passed

    def sample_chance(
        self, model: str, after: Sequence[Measure], change: Change, *, failed: int, rng: Random
    ) -> float:
        """Samples the probability that the change fixes all broken rules (Thompson 1933).

        It is the smallest sample over the rules. `failed` is how often the change failed on this
        asset.
        """
        beliefs = [self.beta_parameters(model, measure, change) for measure in after]
        return min(rng.betavariate(good, bad + OWN_WEIGHT * failed) for good, bad in beliefs)

    @cached_property
    def _seen(self) -> dict[tuple[str, Measure, Change], ChangeCounts]:
        return {(counts.model, counts.after, counts.change): counts for counts in self.tallies}


def count_retries(retries: Iterable[Retry]) -> RefineStatistics:
    """Returns the statistics of these retries; their order does not matter.

    An attempt after several broken rules counts for each of them. Changes that this version of
    Atelier does not know are skipped.
    """
    known = {change.value: change for change in Change}
    tried: Counter[tuple[str, Measure, Change]] = Counter()
    passed: Counter[tuple[str, Measure, Change]] = Counter()
    number = 0
    for retry in retries:
        change = known.get(retry.change)
        if change is None or retry.image is None or not retry.after:
            continue  # without an image before and after, the change cannot be judged
        number += 1
        for measure in retry.after:
            tried[retry.model, measure, change] += 1
            passed[retry.model, measure, change] += retry.passed
    tallies = (
        ChangeCounts(
            model=key[0], after=key[1], change=key[2], tried=tried[key], passed=passed[key]
        )
        for key in sorted(tried)
    )
    return RefineStatistics(tallies=tuple(tallies), retries=number)


STATISTICS = "experience"
"""The document kind."""
_REFINE = "refine"


def load_statistics(catalog: Catalog, plan_digest: str) -> RefineStatistics:
    """Returns the statistics that a plan's attempts use, computed now if the plan has none yet.

    Safe to call concurrently: all callers for one plan get the same statistics.
    """
    kept = pointer(catalog, _REFINE, plan_digest) or _kept(catalog, plan_digest)
    return documents.get(catalog, kept.target, RefineStatistics)


def _kept(catalog: Catalog, plan_digest: str) -> Pointer:
    learned = count_retries(latest_retries(catalog))
    (digest,) = documents.put(catalog, STATISTICS, [learned])
    reason = f"learned from {learned.retries} attempts"
    try:
        return move(catalog, _REFINE, plan_digest, digest, present=None, reason=reason)
    except PromotionRefused:
        faster = pointer(catalog, _REFINE, plan_digest)
        if faster is None:
            raise
        return faster
