"""Renders labels, calibrations and acceptance reports for a person in a terminal."""

from collections.abc import Sequence

from app.accept.calibration import RiskLimits
from app.accept.distance import FrechetDistance
from app.accept.drift import DriftReport
from app.accept.labels import Label
from app.accept.report import ChecksReport, PendingLabel
from app.cli.output import make_console
from app.cli.tables import Table, escape, number, right, styled
from app.monitor.alerts import Alert
from app.store.pointers import Pointer
from app.types import BrandRule, Status, Value

_HEIGHTS = "▁▂▃▄▅▆▇█"


class LabelResult(Label):
    """A person's label, and the asset's status after it."""

    status: Status


class CalibrationResult(Value):
    """A new calibration, and its limits for the requested rates."""

    digest: str
    labels: int
    counted: int
    false_accepts: float
    confidence: float
    limits: RiskLimits
    sorts: dict[str, int]
    """Images that set the limits, by model and style."""


class DriftResult(Value):
    """A run compared with those before it, and the alert, if any."""

    run_id: str
    alert: Alert | None
    report: DriftReport


class LiveCalibration(Value):
    """Which calibration decides now."""

    digest: str | None


class CalibrationList(Value):
    """The calibrations of the catalog, and which of them decides."""

    live: str | None
    kept: dict[str, str]
    """When each was learned, by its digest."""
    changes: tuple[Pointer, ...]


def show_label(label: LabelResult) -> None:
    """Prints the label, and the asset's status now."""
    because = f", {label.reason}" if label.reason else ""
    make_console().print(
        f"{escape(label.name)} is {label.says}{escape(because)} ({label.reviewer}): {label.status}"
    )


def show_pending(waiting: Sequence[PendingLabel]) -> None:
    """Prints a line for each image, in the order to look at them."""
    table = Table("asset", "status", "why")
    for pending in waiting:
        table.add(f"{pending.name}@{pending.version}", pending.status, pending.why)
    make_console().print(table if waiting else "nothing waits for a person")


def show_calibration(result: CalibrationResult) -> None:
    """Prints the limits, the band between them, and what is missing."""
    out, limits = make_console(), result.limits
    out.print(
        f"calibration [bold]{result.digest[:12]}[/] of {result.labels} labels, "
        f"{result.counted} of them a fair sample along the ordering"
    )
    rate = f"{result.false_accepts:.2%} false accepts at {result.confidence:.0%} confidence"
    if limits.accept is None:
        missing = f", at least {limits.missing} fair labels are missing" if limits.missing else ""
        out.print(f"nothing is accepted alone: no limit keeps {rate}{missing}")
    else:
        out.print(
            f"accepted alone up to risk {limits.accept:.3g}: {limits.accepted:.0%} of the pictures "
            f"keep {rate}, {limits.escapes:.2%} as labelled"
        )
    refused = f"from risk {limits.reject:.3g}" if limits.reject is not None else "nowhere"
    out.print(
        f"refused alone {refused}: {limits.rejected:.0%}; for people: {limits.review_share:.0%}"
    )
    for sort, images in result.sorts.items():
        out.print(f"  {escape(sort) or 'any model'}: {images}")


def show_brand(rules: Sequence[BrandRule]) -> None:
    """Prints a line for each rule: its place in the brand, its measure, and its limits."""
    table = Table("brand", "check", "rule", "otherwise")
    for rule in rules:
        limits = str(rule).partition(": ")[2]
        table.add(rule.pillar, rule.check, limits, rule.otherwise)
    make_console().print(table)


def show_drift(result: DriftResult) -> None:
    """Prints a line for each measure with its average's path; those that left come first."""
    out, report = make_console(), result.report
    table = Table("measure", "was", "now", "its average within the band", "left after")
    for drift in report.wanders:
        left = "" if drift.left_at is None else styled(f"{drift.left_at} images", "red")
        was, now = f"{drift.middle:.3g} ± {drift.spread:.2g}", number(drift.now, ".3g")
        table.add(drift.measure, was, now, _spark(drift.path, report.band), left)
    out.print(table)
    out.print(
        f"{report.images} pictures against {report.reference} before; without any change "
        f"{report.false_alarms:.0%} of such runs leave a band"
    )
    out.print(f"[red]{escape(result.alert.message)}[/]" if result.alert else "no drift")


def show_distance(gap: FrechetDistance) -> None:
    """Prints the distance, its interval, and what chance alone gives for so few images."""
    make_console().print(
        f"{gap.distance:.3g} ({gap.low:.3g} to {gap.high:.3g}) over {len(gap.measures)} "
        f"measures of {gap.first} and {gap.second} pictures; random halves of both together "
        f"are {gap.by_chance:.3g} apart, and as far as this in {gap.chance:.1%} of draws"
    )


def _spark(path: Sequence[float], band: float) -> str:
    """Draws the path in eight heights: the middle two around zero, the outer two out of band."""
    steps = [int((at / band + 4 / 3) * 3) if band else 4 for at in path]
    return "".join(_HEIGHTS[min(max(step, 0), len(_HEIGHTS) - 1)] for step in steps)


def show_live_calibration(now: LiveCalibration) -> None:
    """Prints which calibration decides."""
    name = now.digest[:12] if now.digest else "none, everything goes to people"
    make_console().print(f"acceptance: {name}")


def show_calibrations(listed: CalibrationList) -> None:
    """Prints the calibrations, which decides, and the latest changes."""
    out = make_console()
    table = Table("calibration", "learned", "now")
    for digest, moment in listed.kept.items():
        table.add(digest[:12], moment, "decides" if digest == listed.live else "")
    out.print(table if listed.kept else "nothing was calibrated yet: atelier checks calibrate")
    for change in listed.changes[:10]:
        out.print(f"  {change.moved_at}  {escape(change.reason)}")


def show_report(report: ChecksReport) -> None:
    """Prints the runs, the escapes with their bound, agreement and shift."""
    out = make_console()
    table = Table("run", "accepted", "for people", "rejected")
    for run in report.runs:
        whole = max(run.accepted + run.review + run.rejected, 1)
        shares = (run.accepted, run.review, run.rejected)
        table.add(run.run_id, *(right(f"{share} ({share / whole:.0%})") for share in shares))
    out.print(table if report.runs else "no asset was decided yet")
    escapes, agreement = report.escapes, report.agreement
    out.print(
        f"escapes: {escapes.bad} of {escapes.checked} fair spot checks of accepted pictures are "
        f"bad, at most {escapes.at_most:.2%} of all"
    )
    if agreement.errors is not None:
        out.print(
            f"agreement: {agreement.agreed} of {agreement.pairs} pairs of labels, as if each erred "
            f"at {agreement.errors:.1%}"
        )
    for row in report.shift:
        state = "has shifted: nothing of it is accepted alone" if row.alarmed else "as labelled"
        out.print(
            f"{escape(row.sort)}: {state} ({row.images} pictures seen, bets at {row.won:.3g})"
        )
    out.print(f"{report.due} pictures wait for a person: atelier checks due")
