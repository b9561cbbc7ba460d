"""Attempts: which requests follow; each after the first names its parent and what it changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from random import Random

from app.check.judge import rank
from app.digest import digest
from app.fleet.versions import resolve
from app.plan.schema import Bounds
from app.refine.changes import Change, Scope, Start, bears, changed, cost
from app.refine.statistics import Experience
from app.types import AssetSpec, GenerationRequest, Measure, ModelVersion
from app.types.candidate import Candidate


@dataclass(frozen=True, slots=True)
class Attempt:
    """A request, and why it is asked; the first ones have no change."""

    request: GenerationRequest
    change: Change | None = None
    parent: Candidate | None = None
    """The picture that was not good enough, where there is one."""
    after: tuple[Measure, ...] = ()
    """What was wrong with it."""


@dataclass(frozen=True, slots=True)
class Refiner:
    """What is known where attempts are made with a reason."""

    experience: Experience
    models: Mapping[str, ModelVersion]
    """By the references that specs bear."""
    bounds: Bounds = field(default_factory=Bounds)

    def scope(self, spec: AssetSpec) -> Scope:
        """Inside what the spec's requests may be changed. Raises NoRoute for an unknown model."""
        return Scope(model=resolve(spec.model, self.models), bounds=self.bounds)


def next_attempts(
    spec: AssetSpec, made: int, *, until: int | None = None
) -> tuple[GenerationRequest, ...]:
    """The next requests after `made` images of this asset, empty when its attempts are used up.

    At most `spec.candidates` at a time and `until` or `spec.attempts` images in all; the seeds
    follow each other, so the same call always gives the same requests.
    """
    return tuple(spec.candidate(index) for index in _indices(spec, made, until))


def refined(
    spec: AssetSpec,
    candidates: Sequence[Candidate],
    refiner: Refiner,
    *,
    made: int | None = None,
    until: int | None = None,
) -> tuple[Attempt, ...]:
    """The next attempts after these candidates of one model: as many as `next_attempts` gives.

    Each changes one parameter of the best candidate so far. `made` counts the asset's images of
    all models. Pure: the same spec, candidates and experience give the same attempts, and none of
    them was asked for before.
    """
    seen = [one.outcome.request for one in candidates]
    parent = _best(candidates)
    attempts: list[Attempt] = []
    for index in _indices(spec, len(candidates) if made is None else made, until):
        anew = Attempt(request=spec.candidate(index), change=Change.SEED)
        one = _attempt(spec, index, parent, seen, refiner) if parent else anew
        seen.append(one.request)
        attempts.append(one)
    return tuple(attempts)


def _attempt(
    spec: AssetSpec,
    index: int,
    parent: Candidate,
    seen: Sequence[GenerationRequest],
    refiner: Refiner,
) -> Attempt:
    """The change that most probably mends the parent for what it costs; `seen` failed or waits."""
    scope, base, after = refiner.scope(spec), seen[0], _wrong(parent)
    rng = Random(int(digest([base.id, index])[:16], 16))
    worth: dict[Change, float] = {}
    possible = _possible(spec.candidate(index).seed, parent, seen, scope)
    for change, request in possible.items():
        failed = sum(bears(change, one, base) for one in seen)
        drawn = refiner.experience.draw(
            scope.model.reference, after, change, failed=failed, rng=rng
        )
        worth[change] = drawn / cost(request)
    best = max(worth, key=lambda change: worth[change])
    return Attempt(request=possible[best], change=best, parent=parent, after=after)


def _possible(
    seed: int, parent: Candidate, seen: Sequence[GenerationRequest], scope: Scope
) -> dict[Change, GenerationRequest]:
    """The requests that follow by one change each; another seed is always among them."""
    picture = parent.outcome.image
    start = Start(scope.model, seed, (picture.latents or picture.digest) if picture else None)
    asked = {one.id for one in seen}
    found: dict[Change, GenerationRequest] = {}
    for change in Change:
        request = changed(parent.outcome.request, change, start)
        fresh = request.id not in asked and scope.allows(request, seen[0])
        if fresh or change is Change.SEED:
            found[change] = request
    return found


def _best(candidates: Sequence[Candidate]) -> Candidate | None:
    """The candidate that came nearest; of equals the first."""
    known = [(one, one.report) for one in candidates if one.outcome.image and one.report]
    best = max(known, key=lambda pair: rank(pair[1]), default=None)
    return best[0] if best else None


def _wrong(candidate: Candidate) -> tuple[Measure, ...]:
    """The rules it broke; one that broke none alone came too near to another asset's picture."""
    findings = candidate.report.findings if candidate.report else ()
    return tuple(dict.fromkeys(one.check for one in findings)) or (Measure.DUPLICATE_DISTANCE,)


def _indices(spec: AssetSpec, made: int, until: int | None) -> range:
    end = spec.attempts if until is None else min(until, spec.attempts)
    return range(made, min(made + spec.candidates, end))
