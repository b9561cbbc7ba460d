"""Decide: of all candidates of one asset the best accepted one wins, or another attempt is due.

Pure, and called in the plan's order: the same candidates and neighbours give the same decision.
"""

from collections.abc import Iterator, Sequence

from app.accept.gate import Guard, Sort, style_of
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
    guard: Guard | None = None,
    more: bool = False,
    last: bool = False,
) -> Decision:
    """The asset's fate so far; an accepted winner's hash joins the neighbours.

    `guard` has the second word on what the rules accept. `more` says that another model may still
    make what this one could not, `last` that no further attempt will be made, whatever the spec
    allows.
    """
    judged = [(candidate, _judge(spec, candidate, neighbours)) for candidate in candidates]
    if guard:
        judged = [(candidate, guard.refuse(report)) for candidate, report in judged]
    best = _best(judged, Verdict.ACCEPT)
    if best and guard:
        # Only the winner, whom rules and rank have chosen, is weighed: labels are of winners too.
        best = best[0], _admitted(guard, spec, *best)
    if best and best[1].verdict is Verdict.REVIEW:
        told = reasons(best[1], repeats=_repeated(spec, best[0], neighbours))
        return Decision(status=Status.REVIEW, winner=best[0], report=best[1], reasons=told)
    if best:
        neighbours.add(best[0].phash, spec.name)
        return Decision(status=Status.ACCEPTED, winner=best[0], report=best[1], reasons=())
    said = tuple(dict.fromkeys(_reasons(spec, judged, neighbours)))
    if any(candidate.outcome.refused for candidate, _ in judged):
        # Not the judge's last word: with more money the remaining attempts are made.
        return Decision(status=Status.FAILED, winner=None, report=None, reasons=said)
    open_end = not last and len(candidates) < spec.attempts
    if open_end and (more or _worth_another(judged)):
        return Decision(status=None, winner=None, report=None, reasons=said)
    return _ended(judged, said)


Judged = tuple[Candidate, QualityReport | None]


def _judge(spec: AssetSpec, candidate: Candidate, neighbours: Neighbours) -> QualityReport | None:
    if candidate.report is None:
        return None
    nearest = neighbours.nearest(candidate.phash, besides=spec.name)
    distance = nearest[0] if nearest else HASH_BITS
    scores = candidate.report.scores | {Measure.DUPLICATE_DISTANCE: float(distance)}
    return judge(scores, spec.demands)


def _repeated(spec: AssetSpec, candidate: Candidate, neighbours: Neighbours) -> str:
    """Whom the candidate is nearest to: by name and, from another run, by that as well."""
    nearest = neighbours.nearest(candidate.phash, besides=spec.name)
    return nearest[1] if nearest else "another picture"


def _admitted(
    guard: Guard, spec: AssetSpec, candidate: Candidate, report: QualityReport
) -> QualityReport:
    image = candidate.outcome.image
    sort = Sort(image.provenance.model if image else "", style_of(spec.labels))
    return guard.admit(report, sort, candidate.outcome.request.id)


def _best(judged: Sequence[Judged], verdict: Verdict) -> tuple[Candidate, QualityReport] | None:
    """The highest-ranking candidate with this verdict; ties go to the earlier seed."""
    with_verdict = [
        (candidate, report)
        for candidate, report in judged
        if report is not None and report.verdict is verdict
    ]
    return max(with_verdict, key=lambda pair: rank(pair[1]), default=None)


def _worth_another(judged: Sequence[Judged]) -> bool:
    """Whether any candidate failed in a way that another seed may mend."""
    return any(report is None or report.verdict is Verdict.RETRY for _, report in judged)


def _reasons(spec: AssetSpec, judged: Sequence[Judged], neighbours: Neighbours) -> Iterator[str]:
    for candidate, report in judged:
        if report is None:
            yield candidate.outcome.error
        else:
            yield from reasons(report, repeats=_repeated(spec, candidate, neighbours))


def _ended(judged: Sequence[Judged], said: tuple[str, ...]) -> Decision:
    """No attempts are left: for people, rejected, or failed when no image came at all."""
    review = _best(judged, Verdict.REVIEW)
    if review:
        return Decision(status=Status.REVIEW, winner=review[0], report=review[1], reasons=said)
    shown = _best(judged, Verdict.RETRY) or _best(judged, Verdict.REJECT)
    if shown:
        return Decision(status=Status.REJECTED, winner=shown[0], report=shown[1], reasons=said)
    return Decision(status=Status.FAILED, winner=None, report=None, reasons=said)
