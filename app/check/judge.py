"""The judge: turns scores and rules into a verdict with every broken rule. Sees no pixels."""

import math
from collections.abc import Mapping, Sequence

from app.types import Finding, Measure, QualityReport, Rule, Verdict

_BY_SEVERITY = (Verdict.ACCEPT, Verdict.REVIEW, Verdict.RETRY, Verdict.REJECT)

_MESSAGES: dict[Measure, str] = {
    Measure.DECODES: "not a whole 8-bit RGBA PNG in sRGB",
    Measure.SIZE_ERROR: "not the requested size",
    Measure.COVERAGE: "fills too little or too much of the frame",
    Measure.SOFTNESS: "soft at the edges or translucent",
    Measure.FRAGMENTS: "in pieces or with pinholes",
    Measure.BORDER: "cut off at the border",
    Measure.CONTRAST: "flat",
    Measure.SHARPNESS: "blurred",
    Measure.FRINGE: "another colour along the edge",
    Measure.HALO: "a halo or haze around it",
    Measure.NOISE: "noisy",
    Measure.BLOTCHES: "patches of colour",
    Measure.BANDING: "shading in bands",
    Measure.BLOCKINESS: "in blocks",
    Measure.CLIPPING: "clipped to white or black",
    Measure.SEAM: "a seam where it repeats",
    Measure.AGREEMENT: "does not show what the prompt asks for",
    Measure.STYLE: "another style than the prompt names",
    Measure.ON_MODEL: "other colours than the prompt names",
    Measure.FINISHED: "looks unfinished",
    Measure.CRISP: "not crisp",
    Measure.COMPOSITION: "cut off, off centre, or too small or large in the frame",
    Measure.TEXT_ERROR: "text that OCR reads wrongly",
    Measure.TEXT_CONTRAST: "text with too little contrast",
    Measure.DUPLICATE_DISTANCE: "nearly repeats {repeats}",
    Measure.LIKENESS: "unlike its reference",
    Measure.DIFFERENCE: "visibly different from its reference",
    Measure.PALETTE_DISTANCE: "other colours than its reference",
    Measure.PALETTE_ERROR: "colours too far from the brand's",
    Measure.LIGHT_ERROR: "light from another direction than the brand's",
    Measure.SUBJECT_SHARE: "subject too small or too large for the brand",
    Measure.MARGIN: "too near the edge for the brand",
    Measure.OFF_CENTRE: "off centre for the brand",
    Measure.GROUND_ERROR: "another background than the brand's",
    Measure.RESOLUTION: "smaller than the brand allows",
    Measure.RISK: "too uncertain to accept without a person",
}


def judge(scores: Mapping[Measure, float], rules: Sequence[Rule]) -> QualityReport:
    """Applies the rules and returns one finding per broken rule, in the rules' order.

    The most severe finding decides the verdict; without findings it is accept. A rule whose measure
    has no score, or a score that is not a finite number, is broken: what was not measured is not
    accepted. Such scores are left out of the report, and the score of their finding is None.
    """
    known = {measure: float(score) for measure, score in scores.items() if math.isfinite(score)}
    broken = [rule for rule in rules if not _holds(rule, known.get(rule.check))]
    findings = tuple(_finding(rule, known.get(rule.check)) for rule in broken)
    verdict = max((finding.verdict for finding in findings), key=severity, default=Verdict.ACCEPT)
    return QualityReport(scores=known, verdict=verdict, findings=findings)


def severity(verdict: Verdict) -> int:
    """Returns the severity of a verdict: accept 0, review 1, retry 2, reject 3."""
    return _BY_SEVERITY.index(verdict)


def rank(report: QualityReport) -> tuple[int, float, float]:
    """Returns the sort key of a candidate: milder verdict, then agreement, then sharpness.

    Larger is better. A missing score ranks below every other. `max` over candidates keeps the first
    of equals.
    """
    agreement = report.scores.get(Measure.AGREEMENT, -math.inf)
    sharpness = report.scores.get(Measure.SHARPNESS, -math.inf)
    return -severity(report.verdict), agreement, sharpness


def reasons(report: QualityReport, *, repeats: str = "another image") -> tuple[str, ...]:
    """Returns the findings as text, in order: what is wrong, the number, and the rule.

    `repeats` is the name of the nearest image, for the duplicate finding.
    """
    return tuple(_in_words(finding, repeats) for finding in report.findings)


def _in_words(finding: Finding, repeats: str) -> str:
    if finding.score is None:
        return f"{finding.check} could not be measured (rule: {finding.rule})"
    complaint = _MESSAGES[finding.check].format(repeats=repeats)
    return f"{complaint}: {finding.score:.3g} (rule: {finding.rule})"


def _holds(rule: Rule, score: float | None) -> bool:
    return score is not None and rule.holds(score)


def _finding(rule: Rule, score: float | None) -> Finding:
    return Finding(check=rule.check, score=score, rule=str(rule), verdict=rule.otherwise)
