"""Turns: whose turn it is at an asset, what is asked then, and what each turn came to."""

from collections.abc import Callable, Sequence
from itertools import accumulate

from app.check.judge import rank
from app.refine.attempts import Attempt, Refiner, next_attempts, refined
from app.route.cascade import Rung
from app.types import AssetSpec, GenerationRequest, Refine, Retry, Status, Turn, Verdict
from app.types.candidate import Candidate, Decision


def current(rungs: Sequence[Rung], made: int) -> tuple[Rung, int]:
    """The rung whose turn it is after `made` images, and how many it may go up to."""
    ends = list(accumulate(rung.images for rung in rungs))
    at = next((index for index, end in enumerate(ends) if made < end), len(rungs) - 1)
    return rungs[at], ends[at]


def asked_now(
    spec: AssetSpec,
    rungs: Sequence[Rung],
    candidates: Sequence[Candidate],
    refiner: Refiner | None = None,
) -> tuple[GenerationRequest, ...]:
    """The next requests of an asset: see `attempts_now`."""
    return tuple(one.request for one in attempts_now(spec, rungs, candidates, refiner))


def attempts_now(
    spec: AssetSpec,
    rungs: Sequence[Rung],
    candidates: Sequence[Candidate],
    refiner: Refiner | None = None,
) -> tuple[Attempt, ...]:
    """The next attempts at `spec`, which must be that of the rung whose turn it is.

    A rung that goes on from the one before starts from its best picture, from its latents where
    they were kept; without any, anew. Within a rung further attempts follow the spec's way to
    refine; without a refiner they are further seeds.
    """
    made = len(candidates)
    rung, end = current(rungs or _alone(spec), made)
    before = end - rung.images
    if refiner is not None and spec.refine is Refine.REASON and made > before:
        return refined(spec, candidates[before:], refiner, made=made, until=end)
    requests = next_attempts(spec, made, until=end)
    start = _best_picture(candidates[:before]) if rung.strength else None
    if start is not None:
        requests = tuple(one.replace(init_image=start, strength=rung.strength) for one in requests)
    return tuple(Attempt(request) for request in requests)


def retries_of(
    spec_after: Callable[[int], AssetSpec],
    rungs: Sequence[Rung],
    candidates: Sequence[Candidate],
    decision: Decision,
    refiner: Refiner | None,
) -> tuple[Retry, ...]:
    """The further attempts among the candidates that were made with a reason, as they were asked.

    `spec_after` gives the spec whose turn it is after so many images. What was asked follows again
    from what was there.
    """
    found: list[Retry] = []
    made = 0
    while made < len(candidates):
        spec = spec_after(made)
        asked = attempts_now(spec, rungs, candidates[:made], refiner)
        if not asked:
            break
        came = candidates[made : made + len(asked)]
        made += len(asked)
        ended = decision.status is Status.ACCEPTED and made >= len(candidates)
        pairs = zip(asked, came, strict=False)
        model = refiner.scope(spec).model.reference if refiner else ""
        found += [_retry(one, is_, model, ended=ended) for one, is_ in pairs if one.change]
    return tuple(found)


def _retry(attempt: Attempt, came: Candidate, model: str, *, ended: bool) -> Retry:
    parent = attempt.parent.outcome.image if attempt.parent else None
    image = came.outcome.image
    good = came.report is not None and came.report.verdict is Verdict.ACCEPT
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


def _alone(spec: AssetSpec) -> tuple[Rung, ...]:
    """The one turn of a spec whose plan names the model."""
    return (Rung(name=spec.model, model=spec.model, images=spec.attempts),)


def turns_of(
    spec: AssetSpec, rungs: Sequence[Rung], candidates: Sequence[Candidate], decision: Decision
) -> tuple[Turn, ...]:
    """What every model's turn came to; without rungs the spec's own model had the only one.

    Only the turn that ended in acceptance has pictures that passed: those before it were refused,
    and of a picture that came too near to another one it is not the sort's chance that speaks.
    """
    turns = []
    start = 0
    for rung in rungs or _alone(spec):
        seen = [one for one in candidates[start : start + rung.images] if one.outcome.image]
        start += rung.images
        if seen:
            turns.append(_turn(rung, seen))
    accepted = decision.status is Status.ACCEPTED
    return tuple(
        turn if accepted and turn is turns[-1] else turn.replace(passed=0) for turn in turns
    )


def _turn(rung: Rung, seen: Sequence[Candidate]) -> Turn:
    images = [one.outcome.image for one in seen if one.outcome.image]
    return Turn(
        model=images[0].provenance.model,
        after=rung.after,
        tried=len(seen),
        passed=sum(one.report is not None and one.report.verdict is Verdict.ACCEPT for one in seen),
        seconds=sum(image.seconds for image in images),
    )


def _best_picture(candidates: Sequence[Candidate]) -> str | None:
    shown = [(one.outcome.image, one.report) for one in candidates]
    known = [(image, report) for image, report in shown if image is not None and report is not None]
    best = max(known, key=lambda pair: rank(pair[1]), default=None)
    return (best[0].latents or best[0].digest) if best else None
