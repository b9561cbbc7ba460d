"""Renders costs for a person in a terminal."""

from app.cli.output import make_console
from app.cli.tables import Cell, Table, escape, number, styled, usd
from app.costs.estimate import Band, Estimate
from app.costs.invoice import Reconciliation
from app.store.costs import Cost, Costs
from app.types import CostGroup

LISTED = 40
UNKNOWN_NAMES = {
    CostGroup.TEAM: "(no team)",
    CostGroup.RUN: "(no run)",
    CostGroup.MODEL: "(no model)",
    CostGroup.ASSET: "(no asset)",
}


def show_costs(costs: Costs) -> None:
    """Prints one row per group, the most expensive first, and the total below."""
    table = Table(
        costs.by, "USD", "attempts", "made", "failed", "lost", "seconds", "assets", "accepted",
        "USD an asset", "USD accepted",
    )  # fmt: skip
    for cost in costs.groups[:LISTED]:
        table.add(cost.name or UNKNOWN_NAMES[costs.by], *_numbers(cost))
    table.add(styled("total", "bold"), *_numbers(costs.total))
    out = make_console()
    out.print(table if costs.groups else "nothing was booked yet")
    if len(costs.groups) > LISTED:
        out.print(f"... and {len(costs.groups) - LISTED} more; --json lists them all")


def show_bill(bill: Reconciliation) -> None:
    """Prints the sums, and the calls on which invoice and ledger disagree."""
    out = make_console()
    for line in bill.differing[:LISTED]:
        billed, booked = map(_call, (line.billed_usd, line.booked_usd))
        out.print(f"{escape(line.key[:16])}  billed {billed}, booked {booked}")
    if len(bill.differing) > LISTED:
        out.print(f"... and {len(bill.differing) - LISTED} more; --json lists them all")
    out.print(
        f"{escape(bill.model)}: billed ${bill.billed_usd:.6f}, booked ${bill.booked_usd:.6f}; "
        f"{bill.agreeing} calls agree, {len(bill.differing)} differ"
    )


def _call(dollars: float | None) -> str:
    return "nothing" if dollars is None else f"${dollars:.6f}"


def _numbers(cost: Cost) -> tuple[Cell, ...]:
    return (
        usd(cost.usd), cost.attempts, cost.made, cost.failed, cost.lost,
        number(cost.seconds, ".1f"), cost.assets, cost.accepted, usd(cost.usd_per_asset),
        usd(cost.usd_per_accepted),
    )  # fmt: skip


def cost_band(estimate: Estimate) -> str:
    """Formats an estimate's cost with its band."""
    return f"${estimate.cost_usd.expected:.4f} ({dollars(estimate.cost_usd)})"


def dollars(band: Band) -> str:
    """Formats the ends of a band of money."""
    return f"${band.low:.4f} to ${band.high:.4f}"


def estimate_accuracy(estimate: Estimate, *, seconds: float, cost_usd: float) -> str:
    """Formats a run's estimate beside its actual figures."""
    time, money = estimate.seconds, estimate.cost_usd
    return (
        f"expected {time.expected:.1f} s of generation ({time.low:.1f} to {time.high:.1f}), "
        f"took {seconds:.1f}: {_place(seconds, time)}; "
        f"expected {cost_band(estimate)}, cost ${cost_usd:.4f}: {_place(cost_usd, money)}"
    )


def _place(number: float, band: Band) -> str:
    if number in band:
        return "inside the band"
    return "below the band" if number < band.low else "above the band"
