"""Prints the figures of sharing."""

from typing import TYPE_CHECKING

from rich.table import Table

from app.cli.output import make_console

if TYPE_CHECKING:
    from jobs.bench.shares.bench import RealFigure, SharesFigures


def show_shares_figures(figures: "SharesFigures") -> None:
    """Prints teams, previews under bulk, models loaded, the real run, and every missed goal."""
    out = make_console()
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
    for team in figures.teams:
        table.add_row(
            team.where, team.team, f"{team.weight:g}", f"{team.given:.1%}", f"{team.due:.1%}"
        )
    return table


def _previews(figures: "SharesFigures") -> Table:
    table = Table(
        "mode", "load", "p50", "p95", "worst p95", "bulk loses", box=None,
        title="\npreviews with bulk behind them, over previews alone",
    )  # fmt: skip
    for preview in figures.previews:
        waits = (f"{wait:.2f}" for wait in (preview.p50, preview.p95, preview.worst_p95))
        table.add_row(preview.mode, f"{preview.load:g}", *waits, f"{preview.bulk_loss:.1%}")
    return table


def _loads(figures: "SharesFigures") -> Table:
    table = Table(
        "workers", "as they come", "our order", "and all kept", "teams, our order", "and all kept",
        box=None, title="\nmodels loaded for 100 jobs of four models",
    )  # fmt: skip
    for load in figures.loads:
        table.add_row(*map(str, load.as_json().values()))
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
