"""Attempts: chooses the next requests; each after the first names its parent and its change."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from app.check.judge import rank
from app.digest import digest
from app.fleet.versions import resolve
from app.plan.schema import Bounds
from app.refine.changes import Change, ChangeContext, Scope, apply_change, attempt_cost, differs_by
from app.refine.statistics import RefineStatistics
from app.types import AssetSpec, GenerationRequest, Measure, ModelVersion
from app.types.candidate import Candidate


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request and the reason for it; first attempts have no change."""

    request: GenerationRequest
    change: Change | None = None
    parent: Candidate | None = None
    """The candidate that was not good enough, if there is one."""
    after: tuple[Measure, ...] = ()
    """The rules that the parent broke."""


@dataclass(frozen=True, slots=True)
class Refiner:
    """The statistics, models and bounds that refined attempts are chosen with."""

    statistics: RefineStatistics
    models: Mapping[str, ModelVersion]
    """By the references that specs name."""
    bounds: Bounds = field(default_factory=Bounds)

    def scope(self, spec: AssetSpec) -> Scope:
        """Returns the scope within which the spec's requests may change.

        Raises NoRoute for an unknown model.
        """
        return Scope(model=resolve(spec.model, self.models), bounds=self.bounds)


def next_attempts(
    spec: AssetSpec, made: int, *, until: int | None = None
) -> tuple[GenerationRequest, ...]:
    """Returns the next requests after `made` images of this asset; empty when no attempts are left.

    At most `spec.candidates` at a time and `until` or `spec.attempts` images in all. Seeds are
    consecutive, so the same call always gives the same requests.
    """
    return tuple(spec.candidate(index) for index in _indices(spec, made, until))


def refined_attempts(
    spec: AssetSpec,
    candidates: Sequence[Candidate],
    refiner: Refiner,
    *,
    made: int | None = None,
    until: int | None = None,
) -> tuple[Attempt, ...]:
    """Returns the next attempts after these candidates of one model, as many as `next_attempts`.

    Each changes one parameter of the best candidate so far. `made` counts the asset's images of all
    models. Pure: the same spec, candidates and statistics give the same attempts, and none repeats
    an earlier request.
    """
    seen = [candidate.outcome.request for candidate in candidates]
    parent = _best(candidates)
    attempts: list[Attempt] = []
    for index in _indices(spec, len(candidates) if made is None else made, until):
        anew = Attempt(request=spec.candidate(index), change=Change.SEED)
        attempt = _attempt(spec, index, parent, seen, refiner) if parent else anew
        seen.append(attempt.request)
        attempts.append(attempt)
    return tuple(attempts)


def _attempt(
    spec: AssetSpec,
    index: int,
    parent: Candidate,
    seen: Sequence[GenerationRequest],
    refiner: Refiner,
) -> Attempt:
    """Returns the change most likely to fix the parent per cost; `seen` failed or are pending."""
    scope, base, after = refiner.scope(spec), seen[0], _broken_rules(parent)
    rng = Random(int(digest([base.id, index])[:16], 16))
    worth: dict[Change, float] = {}
    possible = _possible(spec.candidate(index).seed, parent, seen, scope)
    for change, request in possible.items():
        failed = sum(differs_by(change, request, base) for request in seen)
        drawn = refiner.statistics.sample_chance(
            scope.model.reference, after, change, failed=failed, rng=rng
        )
        worth[change] = drawn / attempt_cost(request)
    best = max(worth, key=lambda change: worth[change])
    return Attempt(request=possible[best], change=best, parent=parent, after=after)


def _possible(
    seed: int, parent: Candidate, seen: Sequence[GenerationRequest], scope: Scope
) -> dict[Change, GenerationRequest]:
    """Returns the requests that differ by one change each; another seed is always among them."""
    picture = parent.outcome.image
    start = ChangeContext(
        scope.model, seed, (picture.latents or picture.digest) if picture else None
    )
    asked = {request.id for request in seen}
    requests: dict[Change, GenerationRequest] = {}
    for change in Change:
        request = apply_change(parent.outcome.request, change, start)
        fresh = request.id not in asked and scope.allows(request, seen[0])
        if fresh or change is Change.SEED:
            requests[change] = request
    return requests


def _best(candidates: Sequence[Candidate]) -> Candidate | None:
    """Returns the candidate that ranks highest; the first of equals."""
    known = [
        (candidate, candidate.report)
        for candidate in candidates
        if candidate.outcome.image and candidate.report
    ]
    best = max(known, key=lambda pair: rank(pair[1]), default=None)
    return best[0] if best else None


def _broken_rules(candidate: Candidate) -> tuple[Measure, ...]:
    """Returns the broken rules; without any, the image was too close to another asset's."""
    findings = candidate.report.findings if candidate.report else ()
    return tuple(dict.fromkeys(finding.check for finding in findings)) or (
        Measure.DUPLICATE_DISTANCE,
    )


def _indices(spec: AssetSpec, made: int, until: int | None) -> range:
    end = spec.attempts if until is None else min(until, spec.attempts)
    return range(made, min(made + spec.candidates, end))
