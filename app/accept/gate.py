"""The acceptance gate: decides whether an image that the rules accept needs a person's review.

It receives the images in the plan's order, so the same run gives the same decisions again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.accept.calibration import Calibration
from app.accept.labels import sampling_key
from app.accept.promoted_calibration import live_digest, read_calibration
from app.accept.risk_model import own_scores
from app.accept.shift_detector import WINDOW, ShiftDetector
from app.plan.schema import AcceptPlan
from app.store.catalog import Catalog
from app.store.run_statistics import latest_verdicts
from app.types import AssetRecord, Finding, Measure, QualityReport, Verdict

_STYLE = "style="


@dataclass(frozen=True, slots=True)
class ModelStyle:
    """The group within which images are compared: their model version and style."""

    model: str
    style: str

    def __str__(self) -> str:
        return f"{self.model} in {self.style}" if self.style else self.model


def style_of(labels: Iterable[str]) -> str:
    """Returns the label that names an asset's style, such as style=ink; "" without one."""
    return next((label for label in sorted(labels) if label.startswith(_STYLE)), "")


def passes_rules(report: QualityReport) -> bool:
    """Returns whether the rules accept the image, whatever its risk."""
    return all(finding.check is Measure.RISK for finding in report.findings)


class AcceptanceGate:
    """The limits of one calibration for one plan's terms, and a shift detector for each group."""

    def __init__(
        self, terms: AcceptPlan, calibration: Calibration | None = None, digest: str = ""
    ) -> None:
        self._terms, self._calibration = terms, calibration
        self._name = f"calibration {digest[:12]}"
        self._detectors: dict[ModelStyle, ShiftDetector] = {}
        rates = terms.false_accepts, terms.confidence, terms.false_rejects
        self._limits = calibration.limits(*rates) if calibration else None

    def apply_reject_limit(self, report: QualityReport | None) -> QualityReport | None:
        """Returns the report; with the verdict RETRY for an accepted image at the reject limit."""
        if report is None or report.verdict is not Verdict.ACCEPT or self._limits is None:
            return report
        risk, limit = self._risk(report), self._limits.reject
        if risk is None or limit is None or risk < limit:
            return report
        return _with_risk(report, risk, f"risk < {limit:.3g} by {self._name}", Verdict.RETRY)

    def apply_accept_limit(
        self, report: QualityReport, model_style: ModelStyle, key: str
    ) -> QualityReport:
        """Returns the report of an asset's best image with the verdict ACCEPT or REVIEW, and why.

        Call it once for each asset: the image is also counted for shift. `key` is the image's key.
        """
        risk = self._risk(report)
        why = self._review_reason(model_style)
        if risk is not None:
            self._observe(report, model_style, risk, key)
        limit = self._limits.accept if self._limits else None
        if why or limit is None:
            return _with_risk(report, risk, why, Verdict.REVIEW)
        sure = risk is not None and risk <= limit
        rule = f"risk <= {limit:.3g} by {self._name}"
        return _with_risk(report, risk, rule, Verdict.ACCEPT if sure else Verdict.REVIEW)

    def restore(self, records: Iterable[AssetRecord]) -> None:
        """Counts the images that this calibration decided in earlier runs, the oldest first."""
        for record in records:
            report = record.report
            if report is None or not any(
                self._is_own_finding(finding) for finding in report.findings
            ):
                continue
            risk, limit = self._risk(report), self._limits.reject if self._limits else None
            if risk is not None and passes_rules(report) and (limit is None or risk < limit):
                sort = ModelStyle(record.model, style_of(record.spec.labels))
                self._observe(report, sort, risk, record.key)

    @property
    def detectors(self) -> dict[ModelStyle, ShiftDetector]:
        """Returns the shift detector of each model and style."""
        return dict(self._detectors)

    def _risk(self, report: QualityReport) -> float | None:
        if self._calibration is None:
            return None
        return self._calibration.ordering.risk(own_scores(report.scores))

    def _is_own_finding(self, finding: Finding) -> bool:
        return finding.check is Measure.RISK and finding.rule.endswith(self._name)

    def _review_reason(self, model_style: ModelStyle) -> str:
        """Returns why no image of this group is accepted without review; "" for no reason."""
        if self._calibration is None or self._limits is None:
            return "a calibration is promoted, see atelier checks"
        if self._calibration.reference(model_style.model, model_style.style) is None:
            return f"images of {model_style} were labelled for {self._name}"
        watch = self._detectors.get(model_style)
        if watch and watch.alarmed:
            return f"images of {model_style} have not shifted since {self._name}"
        if self._limits.accept is None:
            missing = self._limits.missing
            more = f"; at least {missing} more random labels are needed" if missing else ""
            rate = f"{self._terms.false_accepts:.2%} false accepts"
            return f"a limit keeps {rate}{more}: {self._name}"
        return ""

    def _observe(
        self, report: QualityReport, model_style: ModelStyle, risk: float, key: str
    ) -> None:
        known = self._calibration and self._calibration.reference(
            model_style.model, model_style.style
        )
        if not known or self._limits is None:
            return
        if model_style not in self._detectors:
            self._detectors[model_style] = ShiftDetector(known.columns_below(self._limits.reject))
        scores = own_scores(report.scores) | {Measure.RISK: risk}
        self._detectors[model_style].observe(scores, sampling_key(key, "compared"))


def _with_risk(
    report: QualityReport, risk: float | None, rule: str, verdict: Verdict
) -> QualityReport:
    finding = Finding(check=Measure.RISK, score=risk, rule=rule, verdict=verdict)
    scores = report.scores if risk is None else report.scores | {Measure.RISK: risk}
    return report.replace(scores=scores, verdict=verdict, findings=(*report.findings, finding))


def open_gate(catalog: Catalog, terms: AcceptPlan) -> AcceptanceGate:
    """Returns the gate of the current calibration, with the images of the latest runs counted."""
    digest = live_digest(catalog)
    if digest is None:
        return AcceptanceGate(terms)
    gate = AcceptanceGate(terms, read_calibration(catalog, digest), digest)
    latest: Sequence[AssetRecord] = latest_verdicts(catalog, limit=WINDOW)
    gate.restore(reversed(latest))
    return gate
