"""How labels, calibrations and what came of them are said to a person in a terminal."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from app.accept.calibration import Limits
from app.accept.distance import Distance
from app.accept.drift import DriftReport
from app.accept.labels import Label
from app.accept.report import ChecksReport, Due
from app.cli.output import console
from app.monitor.alerts import Alert
from app.store.pointers import Pointer
from app.types import BrandRule, Status, Value

_HEIGHTS = "▁▂▃▄▅▆▇█"


class Said(Label):
    """A person's word, and what became of the asset by it."""

    status: Status


class Calibrated(Value):
    """A new calibration, and what follows from it for the rates asked for."""

    digest: str
    labels: int
    counted: int
    false_accepts: float
    confidence: float
    limits: Limits
    sorts: dict[str, int]
    """Pictures that set the limits, by model and style."""


class Drifting(Value):
    """A run held against those before it, and what to tell of it."""

    run_id: str
    alert: Alert | None
    report: DriftReport


class Deciding(Value):
    """Which calibration decides now."""

    digest: str | None


class CalibrationList(Value):
    """The calibrations of the catalog, and which of them decides."""

    live: str | None
    kept: dict[str, str]
    """When each was learned, by its digest."""
    changes: tuple[Pointer, ...]


def show_said(said: Said) -> None:
    """What was noted, and what the asset is now."""
    because = f", {said.reason}" if said.reason else ""
    console().print(
        f"{escape(said.name)} is {said.says}{escape(because)} ({said.reviewer}): {said.status}"
    )


def show_due(waiting: Sequence[Due]) -> None:
    """A line for each, in the order to look at them."""
    table = Table("asset", "status", "why", box=None)
    for one in waiting:
        table.add_row(f"{escape(one.name)}@{one.version}", one.status, one.why)
    console().print(table if waiting else "nothing waits for a person")


def show_calibrated(found: Calibrated) -> None:
    """The limits, the band between them, and what is missing."""
    out, limits = console(), found.limits
    out.print(
        f"calibration [bold]{found.digest[:12]}[/] of {found.labels} labels, "
        f"{found.counted} of them a fair sample along the ordering"
    )
    rate = f"{found.false_accepts:.2%} false accepts at {found.confidence:.0%} confidence"
    if limits.accept is None:
        missing = f", at least {limits.missing} fair labels are missing" if limits.missing else ""
        out.print(f"nothing is accepted alone: no limit keeps {rate}{missing}")
    else:
        out.print(
            f"accepted alone up to risk {limits.accept:.3g}: {limits.accepted:.0%} of the pictures "
            f"keep {rate}, {limits.escapes:.2%} as labelled"
        )
    refused = f"from risk {limits.reject:.3g}" if limits.reject is not None else "nowhere"
    out.print(f"refused alone {refused}: {limits.rejected:.0%}; for people: {limits.people:.0%}")
    for sort, images in found.sorts.items():
        out.print(f"  {escape(sort) or 'any model'}: {images}")


def show_brand(rules: Sequence[BrandRule]) -> None:
    """A line for each rule: where it stands in the brand, what is measured, and its limits."""
    table = Table("brand", "check", "rule", "otherwise", box=None)
    for rule in rules:
        limits = str(rule).partition(": ")[2]
        table.add_row(rule.pillar, rule.check, limits, rule.otherwise)
    console().print(table)


def show_drift(found: Drifting) -> None:
    """A line for each measure with its average's path, those that left their band first."""
    out, report = console(), found.report
    table = Table("measure", "was", "now", "its average within the band", "left after", box=None)
    for one in report.wanders:
        left = "" if one.left_at is None else f"[red]{one.left_at} images[/]"
        was = f"{one.middle:.3g} ± {one.spread:.2g}"
        table.add_row(one.measure, was, f"{one.now:.3g}", _spark(one.path, report.band), left)
    out.print(table)
    out.print(
        f"{report.images} pictures against {report.reference} before; without any change "
        f"{report.false_alarms:.0%} of such runs leave a band"
    )
    out.print(f"[red]{escape(found.alert.message)}[/]" if found.alert else "no drift")


def show_distance(found: Distance) -> None:
    """The distance, its interval, and what chance alone makes of so few pictures."""
    console().print(
        f"{found.distance:.3g} ({found.low:.3g} to {found.high:.3g}) over {len(found.measures)} "
        f"measures of {found.first} and {found.second} pictures; random halves of both together "
        f"are {found.by_chance:.3g} apart, and as far as this in {found.chance:.1%} of draws"
    )


def _spark(path: Sequence[float], band: float) -> str:
    """Eight heights, the middle two around nothing; the lowest and the highest are outside."""
    steps = [int((at / band + 4 / 3) * 3) if band else 4 for at in path]
    return "".join(_HEIGHTS[min(max(step, 0), len(_HEIGHTS) - 1)] for step in steps)


def show_deciding(now: Deciding) -> None:
    """Which one decides."""
    name = now.digest[:12] if now.digest else "none, everything goes to people"
    console().print(f"acceptance: {name}")


def show_calibrations(listed: CalibrationList) -> None:
    """The calibrations, which decides, and the latest changes."""
    out = console()
    table = Table("calibration", "learned", "now", box=None)
    for digest, moment in listed.kept.items():
        table.add_row(digest[:12], moment, "decides" if digest == listed.live else "")
    out.print(table if listed.kept else "nothing was calibrated yet: atelier checks calibrate")
    for change in listed.changes[:10]:
        out.print(f"  {change.moved_at}  {escape(change.reason)}")


def show_report(report: ChecksReport) -> None:
    """The runs, the escapes with their bound, agreement and shift."""
    out = console()
    table = Table("run", "accepted", "for people", "rejected", box=None)
    for run in report.runs:
        whole = max(run.accepted + run.review + run.rejected, 1)
        shares = (run.accepted, run.review, run.rejected)
        table.add_row(run.run_id, *(f"{one} ({one / whole:.0%})" for one in shares))
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
    for one in report.shift:
        state = "has shifted: nothing of it is accepted alone" if one.alarmed else "as labelled"
        out.print(
            f"{escape(one.sort)}: {state} ({one.images} pictures seen, bets at {one.won:.3g})"
        )
    out.print(f"{report.due} pictures wait for a person: atelier checks due")
