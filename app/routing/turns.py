"""Turns: whose turn it is at an asset, what is asked then, and what each turn came to."""

from collections.abc import Sequence
from itertools import accumulate

from app.attempt import Candidate, Decision
from app.check.judge import rank
from app.refine import next_attempts
from app.routing.ladder import Rung
from app.types import AssetSpec, GenerationRequest, Status, Turn, Verdict


def current(rungs: Sequence[Rung], made: int) -> tuple[Rung, int]:
    """The rung whose turn it is after `made` images, and how many it may go up to."""
    ends = list(accumulate(rung.images for rung in rungs))
    at = next((index for index, end in enumerate(ends) if made < end), len(rungs) - 1)
    return rungs[at], ends[at]


def asked_now(
    spec: AssetSpec, rungs: Sequence[Rung], candidates: Sequence[Candidate]
) -> tuple[GenerationRequest, ...]:
    """The next requests for `spec`, which must be that of the rung whose turn it is.

    A rung that goes on from the one before starts from its best picture, from its latents where
    they were kept; without any, anew.
    """
    rung, end = current(rungs, len(candidates))
    requests = next_attempts(spec, len(candidates), until=end)
    start = _best_picture(candidates[: end - rung.images]) if rung.strength else None
    if start is None:
        return requests
    return tuple(one.replace(init_image=start, strength=rung.strength) for one in requests)


def turns_of(
    spec: AssetSpec, rungs: Sequence[Rung], candidates: Sequence[Candidate], decision: Decision
) -> tuple[Turn, ...]:
    """What every model's turn came to; without rungs the spec's own model had the only one.

    Only the turn that ended in acceptance has pictures that passed: those before it were refused,
    and of a picture that came too near to another one it is not the sort's chance that speaks.
    """
    turns = []
    start = 0
    for rung in rungs or (Rung(name=spec.model, model=spec.model, images=spec.attempts),):
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
