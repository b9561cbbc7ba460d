"""Prints the engine's figures."""

from collections.abc import Iterator
from itertools import groupby

from rich.text import Text

from app.cli.output import make_console
from app.cli.tables import Table, number, percent, right
from jobs.bench.engine.bench import EngineFigures, Extent, Spread, bench_engine, cpu_models
from jobs.bench.engine.full_size import FULL, TINY, FullSizeFigures, bench_full_size
from jobs.bench.harness import Benchmark, Goal


def show_engine_figures(figures: EngineFigures) -> None:
    """Prints curves, then the engine against every contender; all but the curves are ratios."""
    out = make_console()
    out.print(f"{figures.rounds} rounds, medians, lowest to highest in brackets\n")
    out.print(_curves(figures))
    out.print(_pace(figures))
    for table in _traces(figures):
        out.print(table)


def _curves(figures: EngineFigures) -> Table:
    rows = next(iter(figures.curves.values())).seconds
    headers = (f"{count} rows" for count in rows)
    table = Table("model", *headers, "knee", title="milliseconds a step")
    for name, curve in figures.curves.items():
        steps = (number(1000 * seconds, ".1f") for seconds in curve.seconds.values())
        table.add(name, *steps, curve.knee)
    return table


def _pace(figures: EngineFigures) -> Table:
    table = Table(
        "model", "guidance", "of the bare loop", "of one at a time",
        title="the engine's images per second as a share",
    )  # fmt: skip
    for pace in figures.pace:
        guided = "with" if pace.guided else "without"
        table.add(pace.model, guided, _spread(pace.of_bare_loop), _spread(pace.of_one_at_a_time))
    return table


def _traces(figures: EngineFigures) -> Iterator[Table]:
    for name, ratios in groupby(figures.traces, key=lambda ratio: f"{ratio.trace}, {ratio.load}"):
        table = Table(
            "against", "mean", "p95", "draft p95", "images/s",
            title=f"the engine's latencies and images per second as a share, {name}",
        )  # fmt: skip
        for ratio in ratios:
            table.add(
                ratio.policy, _spread(ratio.mean_latency), _spread(ratio.p95_latency),
                _spread(ratio.draft_p95_latency), _spread(ratio.images_per_second),
            )  # fmt: skip
        yield table


def _spread(spread: Spread) -> Text:
    low, high = (f"{edge:.2f}".removeprefix("0") for edge in (spread.low, spread.high))
    return right(f"{spread.median:.2f} ({low}-{high})")


def show_full_size_figures(figures: FullSizeFigures) -> None:
    """Prints every figure, and how many sections were skipped and failed."""
    out = make_console()
    table = Table("section", "figure", "value", "unit", "of the floor")
    for figure in figures.figures:
        share = percent(figure.share_of_floor)
        table.add(figure.section, figure.what, number(figure.value, "g"), figure.unit, share)
    out.print(table)
    out.print(
        f"{figures.device}, torch {figures.torch}: {len(figures.figures)} figures in "
        f"{figures.seconds:.0f} s, {len(figures.skipped)} sections skipped, "
        f"{len(figures.failed)} failed"
    )


BENCHMARK = Benchmark(
    full=Extent(rounds=7),
    quick=Extent(rounds=1, trace_requests=8),
    measure=lambda extent, say: bench_engine(cpu_models(), extent, say),
    show=show_engine_figures,
)
FULL_SIZE = Benchmark(
    full=FULL,
    quick=TINY,
    measure=bench_full_size,
    show=show_full_size_figures,
    goals=lambda figures: [Goal("every section works", met=not figures.failed, required=True)],
)
