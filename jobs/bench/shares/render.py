"""How the figures of sharing are said to a person."""

from typing import TYPE_CHECKING

from rich.table import Table

from app.cli.output import console

if TYPE_CHECKING:
    from jobs.bench.shares.bench import RealFigure, SharesFigures


def show_shares_figures(figures: "SharesFigures") -> None:
    """Teams, previews under bulk, models loaded, the real run, and every goal that was missed."""
    out = console()
    for table in (_teams(figures), _previews(figures), _loads(figures)):
        out.print(table)
    if figures.real is not None:
        out.print(_real(figures.real))
    for goal in figures.missed:
        out.print(f"[yellow]missed[/]: {goal}", soft_wrap=True)
    if not figures.missed:
        out.print("\nevery goal is met")


def _teams(figures: "SharesFigures") -> Table:
    table = Table("of", "team", "weight", "given", "due", box=None, title="parts of row-steps")
    for one in figures.teams:
        table.add_row(one.where, one.team, f"{one.weight:g}", f"{one.given:.1%}", f"{one.due:.1%}")
    return table


def _previews(figures: "SharesFigures") -> Table:
    table = Table(
        "mode", "load", "p50", "p95", "worst p95", "bulk loses", box=None,
        title="\npreviews with bulk behind them, over previews alone",
    )  # fmt: skip
    for one in figures.previews:
        waits = (f"{wait:.2f}" for wait in (one.p50, one.p95, one.worst_p95))
        table.add_row(one.mode, f"{one.load:g}", *waits, f"{one.bulk_loss:.1%}")
    return table


def _loads(figures: "SharesFigures") -> Table:
    table = Table(
        "workers", "as they come", "our order", "and all kept", "teams, our order", "and all kept",
        box=None, title="\nmodels loaded for 100 jobs of four models",
    )  # fmt: skip
    for one in figures.loads:
        table.add_row(*map(str, one.as_json().values()))
    return table


def _real(real: "RealFigure") -> str:
    alone50, alone95, under50, under95 = (
        f"{1000 * seconds:.0f}"
        for seconds in (
            real.alone_p50,
            real.alone_p95,
            real.under_bulk_p50,
            real.under_bulk_p95,
        )
    )
    return (
        f"\n{real.model}, mode {real.mode}, {real.previews} previews: "
        f"p50 {alone50} -> {under50} ms, p95 {alone95} -> {under95} ms ({real.p95:.2f}); "
        f"bulk {real.bulk_alone_row_steps:.0f} -> {real.bulk_row_steps:.0f} row-steps a second "
        f"({real.bulk_loss:.1%} less)"
    )
