"""How labels, calibrations and what came of them are said to a person in a terminal."""

from collections.abc import Sequence

from rich.markup import escape
from rich.table import Table

from app.assurance.calibration import Limits
from app.assurance.labels import Label
from app.assurance.report import ChecksReport, Due
from app.console import console
from app.store.pointers import Pointer
from app.types import Value


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


class Deciding(Value):
    """Which calibration decides now."""

    digest: str | None


class CalibrationList(Value):
    """The calibrations of the catalog, and which of them decides."""

    live: str | None
    kept: dict[str, str]
    """When each was learned, by its digest."""
    changes: tuple[Pointer, ...]


def show_label(label: Label) -> None:
    """What was noted."""
    because = f", {label.reason}" if label.reason else ""
    console().print(f"{escape(label.name)} is {label.says}{escape(because)} ({label.reviewer})")


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
