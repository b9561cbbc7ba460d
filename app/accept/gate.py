"""The guard: in a run, whether what the rules accept is sure enough to go without a person.

It is given the pictures in the plan's order, so the same run comes to the same word again.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from app.accept.calibration import Calibration
from app.accept.labels import lot
from app.accept.promoted_calibration import live, read
from app.accept.risk_model import own_scores
from app.accept.shift_detector import WINDOW, Watch
from app.plan.schema import AcceptPlan
from app.store.catalog import Catalog
from app.store.run_statistics import verdicts
from app.types import AssetRecord, Finding, Measure, QualityReport, Verdict

_STYLE = "style="


@dataclass(frozen=True, slots=True)
class Sort:
    """What pictures are compared within: the model version that made them, and their style."""

    model: str
    style: str

    def __str__(self) -> str:
        return f"{self.model} in {self.style}" if self.style else self.model


def style_of(labels: Iterable[str]) -> str:
    """The label that names an asset's style, style=ink say; "" without one."""
    return next((label for label in sorted(labels) if label.startswith(_STYLE)), "")


def passed(report: QualityReport) -> bool:
    """Whether the rules accept it, whatever its risk."""
    return all(finding.check is Measure.RISK for finding in report.findings)


class Guard:
    """The limits of one calibration for one plan's terms, and what was seen of each sort since."""

    def __init__(
        self, terms: AcceptPlan, calibration: Calibration | None = None, digest: str = ""
    ) -> None:
        self._terms, self._calibration = terms, calibration
        self._by = f"calibration {digest[:12]}"
        self._watches: dict[Sort, Watch] = {}
        rates = terms.false_accepts, terms.confidence, terms.false_rejects
        self._limits = calibration.limits(*rates) if calibration else None

    def refuse(self, report: QualityReport | None) -> QualityReport | None:
        """The report; of a picture that the rules accept and that surely fails, another attempt."""
        if report is None or report.verdict is not Verdict.ACCEPT or self._limits is None:
            return report
        risk, limit = self._risk(report), self._limits.reject
        if risk is None or limit is None or risk < limit:
            return report
        return _said(report, risk, f"risk < {limit:.3g} by {self._by}", Verdict.RETRY)

    def admit(self, report: QualityReport, sort: Sort, key: str) -> QualityReport:
        """The report of an asset's best picture: accepted still, or for people, and why.

        To be asked once for each asset; `key` is the picture's.
        """
        risk = self._risk(report)
        why = self._against(sort)
        if risk is not None:
            self._see(report, sort, risk, key)
        limit = self._limits.accept if self._limits else None
        if why or limit is None:
            return _said(report, risk, why, Verdict.REVIEW)
        sure = risk is not None and risk <= limit
        rule = f"risk <= {limit:.3g} by {self._by}"
        return _said(report, risk, rule, Verdict.ACCEPT if sure else Verdict.REVIEW)

    def recall(self, records: Iterable[AssetRecord]) -> None:
        """See again what was decided by this calibration before, the oldest first."""
        for record in records:
            report = record.report
            if report is None or not any(self._spoke(finding) for finding in report.findings):
                continue
            risk, limit = self._risk(report), self._limits.reject if self._limits else None
            if risk is not None and passed(report) and (limit is None or risk < limit):
                sort = Sort(record.model, style_of(record.spec.labels))
                self._see(report, sort, risk, record.key)

    @property
    def watches(self) -> dict[Sort, Watch]:
        """What was seen of each sort."""
        return dict(self._watches)

    def _risk(self, report: QualityReport) -> float | None:
        if self._calibration is None:
            return None
        return self._calibration.ordering.risk(own_scores(report.scores))

    def _spoke(self, finding: Finding) -> bool:
        return finding.check is Measure.RISK and finding.rule.endswith(self._by)

    def _against(self, sort: Sort) -> str:
        """Why no picture of this sort is accepted alone; empty when nothing speaks against it."""
        if self._calibration is None or self._limits is None:
            return "a calibration is promoted, see atelier checks"
        if self._calibration.reference(sort.model, sort.style) is None:
            return f"pictures of {sort} were labelled for {self._by}"
        watch = self._watches.get(sort)
        if watch and watch.alarmed:
            return f"pictures of {sort} have not shifted since {self._by}"
        if self._limits.accept is None:
            missing = self._limits.missing
            more = f"; at least {missing} fair labels more are needed" if missing else ""
            rate = f"{self._terms.false_accepts:.2%} false accepts"
            return f"a limit surely keeps {rate}{more}: {self._by}"
        return ""

    def _see(self, report: QualityReport, sort: Sort, risk: float, key: str) -> None:
        known = self._calibration and self._calibration.reference(sort.model, sort.style)
        if not known or self._limits is None:
            return
        if sort not in self._watches:
            self._watches[sort] = Watch(known.below(self._limits.reject))
        scores = own_scores(report.scores) | {Measure.RISK: risk}
        self._watches[sort].see(scores, lot(key, "compared"))


def _said(report: QualityReport, risk: float | None, rule: str, verdict: Verdict) -> QualityReport:
    finding = Finding(check=Measure.RISK, score=risk, rule=rule, verdict=verdict)
    scores = report.scores if risk is None else report.scores | {Measure.RISK: risk}
    return report.replace(scores=scores, verdict=verdict, findings=(*report.findings, finding))


def open_guard(catalog: Catalog, terms: AcceptPlan) -> Guard:
    """The guard by the calibration that decides now, with what it saw in the latest runs."""
    digest = live(catalog)
    if digest is None:
        return Guard(terms)
    guard = Guard(terms, read(catalog, digest), digest)
    latest: Sequence[AssetRecord] = verdicts(catalog, limit=WINDOW)
    guard.recall(reversed(latest))
    return guard
