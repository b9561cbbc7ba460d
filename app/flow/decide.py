"""Decide: of an asset's candidates the best accepted one wins, or another attempt is due.

Pure, and called in the plan's order: the same candidates and neighbours give the same decision.
"""

from collections.abc import Iterator, Sequence

from app.accept.gate import AcceptanceGate, ModelStyle, style_of
from app.check.duplicates import Neighbours
from app.check.judge import judge, rank, reasons
from app.types import AssetSpec, Measure, QualityReport, Status, Verdict
from app.types.candidate import Candidate, Decision

HASH_BITS = 64


def decide(
    spec: AssetSpec,
    candidates: Sequence[Candidate],
    neighbours: Neighbours,
    *,
    gate: AcceptanceGate | None = None,
    more: bool = False,
    last: bool = False,
) -> Decision:
    """Returns the asset's decision so far; adds an accepted winner's hash to `neighbours`.

    `gate` decides whether an accepted image needs review or another attempt. `more` says that
    another model may still make the asset, `last` that no further attempt will be made, whatever
    the spec allows.
    """
    judged = [(candidate, _judge(spec, candidate, neighbours)) for candidate in candidates]
    if gate:
        judged = [(candidate, gate.apply_reject_limit(report)) for candidate, report in judged]
    best = _best_with_verdict(judged, Verdict.ACCEPT)
    if best and gate:
        # Only the winner is passed to the accept limit: labels are of winners too.
        best = best[0], _gated(gate, spec, *best)
    if best and best[1].verdict is Verdict.REVIEW:
        notes = reasons(best[1], repeats=_repeated(spec, best[0], neighbours))
        return Decision(status=Status.REVIEW, winner=best[0], report=best[1], reasons=notes)
    if best:
        neighbours.add(best[0].phash, spec.name)
        return Decision(status=Status.ACCEPTED, winner=best[0], report=best[1], reasons=())
    messages = tuple(dict.fromkeys(_reasons(spec, judged, neighbours)))
    if any(candidate.outcome.refused for candidate, _ in judged):
        # Not final: when there is budget again, the remaining attempts are made.
        return Decision(status=Status.FAILED, winner=None, report=None, reasons=messages)
    open_end = not last and len(candidates) < spec.attempts
    if open_end and (more or _retry_may_help(judged)):
        return Decision(status=None, winner=None, report=None, reasons=messages)
    return _final_decision(judged, messages)


JudgedCandidate = tuple[Candidate, QualityReport | None]


def _judge(spec: AssetSpec, candidate: Candidate, neighbours: Neighbours) -> QualityReport | None:
    if candidate.report is None:
        return None
    nearest = neighbours.nearest(candidate.phash, exclude=spec.name)
    distance = nearest[0] if nearest else HASH_BITS
    scores = candidate.report.scores | {Measure.DUPLICATE_DISTANCE: float(distance)}
    return judge(scores, spec.demands)


def _repeated(spec: AssetSpec, candidate: Candidate, neighbours: Neighbours) -> str:
    """Returns the name of the nearest image, which may come from another run."""
    nearest = neighbours.nearest(candidate.phash, exclude=spec.name)
    return nearest[1] if nearest else "another picture"


def _gated(
    gate: AcceptanceGate, spec: AssetSpec, candidate: Candidate, report: QualityReport
) -> QualityReport:
    image = candidate.outcome.image
    sort = ModelStyle(image.provenance.model if image else "", style_of(spec.labels))
    return gate.apply_accept_limit(report, sort, candidate.outcome.request.id)


def _best_with_verdict(
    judged: Sequence[JudgedCandidate], verdict: Verdict
) -> tuple[Candidate, QualityReport] | None:
    """Returns the highest-ranking candidate with this verdict; ties go to the earlier seed."""
    with_verdict = [
        (candidate, report)
        for candidate, report in judged
        if report is not None and report.verdict is verdict
    ]
    return max(with_verdict, key=lambda pair: rank(pair[1]), default=None)


def _retry_may_help(judged: Sequence[JudgedCandidate]) -> bool:
    """Returns whether any candidate failed in a way that another seed may fix."""
    return any(report is None or report.verdict is Verdict.RETRY for _, report in judged)


def _reasons(
    spec: AssetSpec, judged: Sequence[JudgedCandidate], neighbours: Neighbours
) -> Iterator[str]:
    for candidate, report in judged:
        if report is None:
            yield candidate.outcome.error
        else:
            yield from reasons(report, repeats=_repeated(spec, candidate, neighbours))


def _final_decision(judged: Sequence[JudgedCandidate], messages: tuple[str, ...]) -> Decision:
    """Returns the final decision: review, rejected, or failed when no image was made."""
    review = _best_with_verdict(judged, Verdict.REVIEW)
    if review:
        return Decision(status=Status.REVIEW, winner=review[0], report=review[1], reasons=messages)
    shown = _best_with_verdict(judged, Verdict.RETRY) or _best_with_verdict(judged, Verdict.REJECT)
    if shown:
        return Decision(status=Status.REJECTED, winner=shown[0], report=shown[1], reasons=messages)
    return Decision(status=Status.FAILED, winner=None, report=None, reasons=messages)
