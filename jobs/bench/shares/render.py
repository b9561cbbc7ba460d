"""Prints the figures of sharing."""

from app.cli.output import make_console
from app.cli.tables import Table, number, percent
from jobs.bench.harness import Benchmark
from jobs.bench.shares.bench import Extent, RealFigure, SharesFigures, bench_shares, goals


def show_shares_figures(figures: SharesFigures) -> None:
    """Prints teams, previews under bulk, models loaded, and the real run."""
    out = make_console()
    for table in (_teams(figures), _previews(figures), _loads(figures)):
        out.print(table)
    if figures.real is not None:
        out.print(_real(figures.real))


def _teams(figures: SharesFigures) -> Table:
    table = Table("of", "team", "weight", "given", "due", title="parts of row-steps")
    for team in figures.teams:
        weight = number(team.weight, "g")
        table.add(team.where, team.team, weight, percent(team.given), percent(team.due))
    return table


def _previews(figures: SharesFigures) -> Table:
    table = Table(
        "mode", "load", "p50", "p95", "worst p95", "bulk loses",
        title="previews with bulk behind them, over previews alone",
    )  # fmt: skip
    for preview in figures.previews:
        waits = (number(wait, ".2f") for wait in (preview.p50, preview.p95, preview.worst_p95))
        table.add(preview.mode, number(preview.load), *waits, percent(preview.bulk_loss))
    return table


def _loads(figures: SharesFigures) -> Table:
    table = Table(
        "workers", "as they come", "our order", "and all kept", "teams, our order", "and all kept",
        title="models loaded for 100 jobs of four models",
    )  # fmt: skip
    for load in figures.loads:
        table.add(*(count for _, count in load))
    return table


def _real(real: RealFigure) -> str:
    p50, p95 = (
        f"{1000 * alone:.0f} -> {1000 * under_bulk:.0f} ms"
        for alone, under_bulk in (
            (real.alone_p50, real.under_bulk_p50), (real.alone_p95, real.under_bulk_p95),
        )
    )  # fmt: skip
    return (
        f"\n{real.model}, mode {real.mode}, {real.previews} previews: "
        f"p50 {p50}, p95 {p95} ({real.p95:.2f}); "
        f"bulk {real.bulk_alone_row_steps:.0f} -> {real.bulk_row_steps:.0f} row-steps a second "
        f"({real.bulk_loss:.1%} less)"
    )


BENCHMARK = Benchmark(
    full=Extent(previews=40, rounds=3),
    quick=Extent(previews=8, rounds=1),
    measure=bench_shares,
    show=show_shares_figures,
    goals=lambda figures: goals(figures.teams, figures.previews, figures.loads, figures.real),
)
