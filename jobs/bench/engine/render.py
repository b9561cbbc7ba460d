"""Prints the engine's figures."""

from collections.abc import Iterator
from itertools import groupby
from typing import TYPE_CHECKING

from rich.table import Table

from app.cli.output import make_console

if TYPE_CHECKING:
    from jobs.bench.engine.bench import EngineFigures, Spread
    from jobs.bench.engine.full_size import FullSizeFigures


def show_engine_figures(figures: "EngineFigures") -> None:
    """Prints curves, then the engine beside every contender; all but the curves are ratios."""
    out = make_console()
    out.print(f"{figures.rounds} rounds, medians, lowest to highest in brackets\n")
    out.print(_curves(figures))
    out.print(_pace(figures))
    for table in _traces(figures):
        out.print(table)


def _curves(figures: "EngineFigures") -> Table:
    rows = next(iter(figures.curves.values())).seconds
    table = Table(
        "model", *(f"{count} rows" for count in rows), "knee", box=None, title="milliseconds a step"
    )
    for name, curve in figures.curves.items():
        steps = (f"{1000 * seconds:.1f}" for seconds in curve.seconds.values())
        table.add_row(name, *steps, str(curve.knee))
    return table


def _pace(figures: "EngineFigures") -> Table:
    table = Table(
        "model", "guidance", "of the bare loop", "of one at a time", box=None,
        title="\nthe engine's images per second as a share",
    )  # fmt: skip
    for pace in figures.pace:
        guided = "with" if pace.guided else "without"
        table.add_row(
            pace.model, guided, _spread_text(pace.of_bare_loop), _spread_text(pace.of_one_at_a_time)
        )
    return table


def _traces(figures: "EngineFigures") -> Iterator[Table]:
    for name, ratios in groupby(figures.traces, key=lambda ratio: f"{ratio.trace}, {ratio.load}"):
        table = Table(
            "against", "mean", "p95", "draft p95", "images/s", box=None, padding=(0, 1, 0, 0),
            title=f"\nthe engine's latencies and images per second as a share, {name}",
        )  # fmt: skip
        for ratio in ratios:
            table.add_row(
                ratio.policy, _spread_text(ratio.mean_latency), _spread_text(ratio.p95_latency),
                _spread_text(ratio.draft_p95_latency), _spread_text(ratio.images_per_second),
            )  # fmt: skip
        yield table


def _spread_text(spread: "Spread") -> str:
    low, high = (f"{edge:.2f}".removeprefix("0") for edge in (spread.low, spread.high))
    return f"{spread.median:.2f} ({low}-{high})"


def show_full_size_figures(figures: "FullSizeFigures") -> None:
    """Prints where the figures are from; they were printed one by one as they were measured."""
    make_console().print(
        f"{figures.device}, torch {figures.torch}: {len(figures.figures)} figures in "
        f"{figures.seconds:.0f} s, {len(figures.skipped)} sections skipped, "
        f"{len(figures.failed)} failed"
    )
