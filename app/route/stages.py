"""Stages of a cascade: the current one, its next requests, and each stage's result."""

from collections.abc import Callable, Sequence
from itertools import accumulate

from app.check.judge import rank
from app.refine.attempts import Attempt, Refiner, next_attempts, refined_attempts
from app.route.cascade import Stage
from app.types import AssetSpec, GenerationRequest, Refine, Retry, StageResult, Status, Verdict
from app.types.candidate import Candidate, Decision


def current_stage(stages: Sequence[Stage], made: int) -> tuple[Stage, int]:
    """Returns the stage after `made` images, and the total number of images at its end."""
    ends = list(accumulate(stage.images for stage in stages))
    at = next((index for index, end in enumerate(ends) if made < end), len(stages) - 1)
    return stages[at], ends[at]


def next_requests(
    spec: AssetSpec,
    stages: Sequence[Stage],
    candidates: Sequence[Candidate],
    refiner: Refiner | None = None,
) -> tuple[GenerationRequest, ...]:
    """Returns the requests of `stage_attempts`."""
    return tuple(attempt.request for attempt in stage_attempts(spec, stages, candidates, refiner))


def stage_attempts(
    spec: AssetSpec,
    stages: Sequence[Stage],
    candidates: Sequence[Candidate],
    refiner: Refiner | None = None,
) -> tuple[Attempt, ...]:
    """Returns the next attempts at `spec`, which must be that of the current stage.

    A stage with a strength starts from the best image of the stages before, from its latents where
    they were stored; without any image it starts from noise. Further attempts within a stage follow
    the spec's `refine` mode; without a refiner they use further seeds.
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
    """Returns the candidates that were refined for a reason, as retries in their order.

    `spec_after` returns the spec of the current stage after a number of images. The attempts are
    computed again from the candidates before them.
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
    """Returns the only stage of a spec whose plan names the model."""
    return (Stage(name=spec.model, model=spec.model, images=spec.attempts),)


def stage_results(
    spec: AssetSpec, stages: Sequence[Stage], candidates: Sequence[Candidate], decision: Decision
) -> tuple[StageResult, ...]:
    """Returns the result of every stage; without stages the spec's own model had the only one.

    Only the stage that ended in acceptance has passed images: those of earlier stages were refused.
    Within it, an image refused only as a near-duplicate counts as passed, because that says nothing
    about the model's success probability.
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
