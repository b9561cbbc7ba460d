"""Turns: whose turn it is at an asset, what is asked then, and what each turn came to."""

from collections.abc import Callable, Sequence
from itertools import accumulate

from app.check.judge import rank
from app.refine.attempts import Attempt, Refiner, next_attempts, refined_attempts
from app.route.cascade import Stage
from app.types import AssetSpec, GenerationRequest, Refine, Retry, StageResult, Status, Verdict
from app.types.candidate import Candidate, Decision


def current_stage(stages: Sequence[Stage], made: int) -> tuple[Stage, int]:
    """The rung whose turn it is after `made` images, and how many it may go up to."""
    ends = list(accumulate(stage.images for stage in stages))
    at = next((index for index, end in enumerate(ends) if made < end), len(stages) - 1)
    return stages[at], ends[at]


def next_requests(
    spec: AssetSpec,
    stages: Sequence[Stage],
    candidates: Sequence[Candidate],
    refiner: Refiner | None = None,
) -> tuple[GenerationRequest, ...]:
    """The next requests of an asset: see `attempts_now`."""
    return tuple(attempt.request for attempt in stage_attempts(spec, stages, candidates, refiner))


def stage_attempts(
    spec: AssetSpec,
    stages: Sequence[Stage],
    candidates: Sequence[Candidate],
    refiner: Refiner | None = None,
) -> tuple[Attempt, ...]:
    """The next attempts at `spec`, which must be that of the rung whose turn it is.

    A rung that goes on from the one before starts from its best picture, from its latents where
    they were kept; without any, anew. Within a rung further attempts follow the spec's way to
    refine; without a refiner they are further seeds.
    """
    made = len(candidates)
    stage, end = current_stage(stages or _single_stage(spec), made)
    before = end - stage.images
    if refiner is not None and spec.refine is Refine.REASON and made > before:
        return refined_attempts(spec, candidates[before:], refiner, made=made, until=end)
    requests = next_attempts(spec, made, until=end)
    start = _best_image(candidates[:before]) if stage.strength else None
    if start is not None:
        requests = tuple(
            request.replace(init_image=start, strength=stage.strength) for request in requests
        )
    return tuple(Attempt(request) for request in requests)


def retries_of(
    spec_after: Callable[[int], AssetSpec],
    stages: Sequence[Stage],
    candidates: Sequence[Candidate],
    decision: Decision,
    refiner: Refiner | None,
) -> tuple[Retry, ...]:
    """The further attempts among the candidates that were made with a reason, as they were asked.

    `spec_after` gives the spec whose turn it is after so many images. What was asked follows again
    from what was there.
    """
    retries: list[Retry] = []
    made = 0
    while made < len(candidates):
        spec = spec_after(made)
        attempts = stage_attempts(spec, stages, candidates[:made], refiner)
        if not attempts:
            break
        results = candidates[made : made + len(attempts)]
        made += len(attempts)
        ended = decision.status is Status.ACCEPTED and made >= len(candidates)
        pairs = zip(attempts, results, strict=False)
        model = refiner.scope(spec).model.reference if refiner else ""
        retries += [
            _retry(attempt, is_, model, ended=ended) for attempt, is_ in pairs if attempt.change
        ]
    return tuple(retries)


def _retry(attempt: Attempt, candidate: Candidate, model: str, *, ended: bool) -> Retry:
    parent = attempt.parent.outcome.image if attempt.parent else None
    image = candidate.outcome.image
    good = candidate.report is not None and candidate.report.verdict is Verdict.ACCEPT
    return Retry(
        model=model,
        change=str(attempt.change),
        parent=parent.digest if parent else None,
        after=attempt.after,
        image=image.digest if image else None,
        key=image.key if image else None,
        passed=ended and good,
        seconds=image.seconds if image else 0.0,
    )


def _single_stage(spec: AssetSpec) -> tuple[Stage, ...]:
    """The one turn of a spec whose plan names the model."""
    return (Stage(name=spec.model, model=spec.model, images=spec.attempts),)


def stage_results(
    spec: AssetSpec, stages: Sequence[Stage], candidates: Sequence[Candidate], decision: Decision
) -> tuple[StageResult, ...]:
    """What every model's turn came to; without rungs the spec's own model had the only one.

    Only the turn that ended in acceptance has pictures that passed: those before it were refused,
    and of a picture that came too near to another one it is not the sort's chance that speaks.
    """
    turns = []
    start = 0
    for stage in stages or _single_stage(spec):
        seen = [
            candidate
            for candidate in candidates[start : start + stage.images]
            if candidate.outcome.image
        ]
        start += stage.images
        if seen:
            turns.append(_stage_result(stage, seen))
    accepted = decision.status is Status.ACCEPTED
    return tuple(
        turn if accepted and turn is turns[-1] else turn.replace(passed=0) for turn in turns
    )


def _stage_result(stage: Stage, seen: Sequence[Candidate]) -> StageResult:
    images = [candidate.outcome.image for candidate in seen if candidate.outcome.image]
    return StageResult(
        model=images[0].provenance.model,
        after=stage.after,
        tried=len(seen),
        passed=sum(
            candidate.report is not None and candidate.report.verdict is Verdict.ACCEPT
            for candidate in seen
        ),
        seconds=sum(image.seconds for image in images),
    )


def _best_image(candidates: Sequence[Candidate]) -> str | None:
    shown = [(candidate.outcome.image, candidate.report) for candidate in candidates]
    known = [(image, report) for image, report in shown if image is not None and report is not None]
    best = max(known, key=lambda pair: rank(pair[1]), default=None)
    return (best[0].latents or best[0].digest) if best else None
