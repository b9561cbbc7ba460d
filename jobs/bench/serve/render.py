"""Prints and draws the figures of `bench-serve`."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from rich.text import Text

from app.cli.output import make_console
from app.cli.tables import Table, escape, number, percent, right
from jobs.bench.engine.bench import Spread
from jobs.bench.engine.traces import TraceKind
from jobs.bench.harness import Benchmark, Goal, at_least, at_most
from jobs.bench.serve.bench import Extent, bench_serve
from jobs.bench.serve.figures import (
    DRAFT_GOAL,
    GOAL_LOAD,
    PACE_GOAL,
    PATH_GOAL,
    LoadCell,
    ServeFigures,
    draft_ratio,
    pace_ratio,
)
from jobs.bench.serve.servers import OTHERS, OURS

if TYPE_CHECKING:
    from matplotlib.axes import Axes


def show_serve_figures(figures: ServeFigures) -> None:
    """Prints the overhead, every cell, the throughput, the overload, and what is missing."""
    out = make_console()
    for table in (_overhead(figures), *_cells(figures), _paces(figures), _overloads(figures)):
        out.print(table)
    for trace in figures.capacity:
        out.print(f"{trace}: between the services the engine made {_machine(figures, trace)}")
    for name, difference in figures.largest_pixel_difference.items():
        out.print(f"{name}'s image differs from the engine's by at most {difference} of 255")
    for name, why in figures.missing.items():
        for line in f"{name}: {why}".splitlines():
            out.print(escape(line), soft_wrap=True)


def _overhead(figures: ServeFigures) -> Table:
    overhead = figures.overhead
    table = Table(
        "", "p50 ms", "p99 ms",
        title=f"a draft of 8 steps, alone, {overhead.requests} times",
    )  # fmt: skip
    for name, delay in (("engine in process", overhead.in_process), ("over HTTP", overhead.http)):
        table.add(name, number(1000 * delay.p50, ".1f"), number(1000 * delay.p99, ".1f"))
    return table


def _cells(figures: ServeFigures) -> Iterator[Table]:
    for trace, capacity in figures.capacity.items():
        table = Table(
            "service", "load", "of its own", "mean s", "p95 s", "draft p95 s",
            "first preview p50 s", "p95 s", "dropped",
            title=f"trace {trace}, {figures.seconds_a_cell:g} s a cell; load 1 is "
            f"{capacity:.1f} images/s, which the engine makes in process",
        )  # fmt: skip
        for cell in figures.cells:
            if cell.trace == trace:
                table.add(
                    cell.service, number(cell.load), _share_of_capacity(figures, cell),
                    _seconds(cell.mean), _seconds(cell.p95), _seconds(cell.draft_p95),
                    _seconds(cell.first_preview_p50), _seconds(cell.first_preview_p95),
                    percent(cell.dropped_share),
                )  # fmt: skip
        yield table


def _share_of_capacity(figures: ServeFigures, cell: LoadCell) -> Text:
    """Returns the load as a share of what this service can make: beyond 1 it only falls behind."""
    where = (cell.service, cell.trace)
    (pace,) = (pace for pace in figures.paces if (pace.service, pace.trace) == where)
    asked = cell.load * figures.capacity[cell.trace]
    return number(asked / pace.images_per_second.median, ".2f")


def _paces(figures: ServeFigures) -> Table:
    table = Table(
        "service", "trace", "images/s", "of the engine's in process", "CPU ms an image",
        "in process",
        title=f"{figures.clients} clients, each asking again at once",
    )  # fmt: skip
    for pace in figures.paces:
        table.add(
            pace.service, pace.trace, _spread(pace.images_per_second), _spread(pace.of_in_process),
            number(pace.cpu_ms, ".0f"), number(pace.in_process_cpu_ms, ".0f"),
        )  # fmt: skip
    return table


def _machine(figures: ServeFigures, trace: TraceKind) -> str:
    """Returns how far the machine itself changed its pace over the run."""
    made = [pace.in_process for pace in figures.paces if pace.trace == trace]
    return f"{min(made):.1f} to {max(made):.1f} images/s in process"


def _overloads(figures: ServeFigures) -> Table:
    first = figures.overloads[0]
    table = Table(
        "service", "images served in time", "work", "shed", "answered within s (p95)",
        "timed out", "broken",
        title=f"load {first.load:g}, {first.requests} requests, clients time out after "
        f"{first.patience_seconds:.1f} s; the first two are shares of capacity",
    )  # fmt: skip
    for overload in figures.overloads:
        table.add(
            overload.service, number(overload.image_share, ".2f"),
            number(overload.work_share, ".2f"), percent(overload.shed_share),
            _seconds(overload.shed_p95), percent(overload.gave_up_share),
            percent(overload.broken_share),
        )  # fmt: skip
    return table


def serve_goals(figures: ServeFigures) -> Iterator[Goal]:
    """Yields the goals against the engine in process, and against the best of the others."""
    ours = OURS.name
    for pace in figures.paces:
        if pace.service == ours:
            share = pace.of_in_process.median
            yield at_least(f"{pace.trace}: images/s of the engine's in process", share, PATH_GOAL)
    for trace in figures.capacity:
        ratio = draft_ratio(figures, trace, ours)
        if ratio is not None:
            yield at_most(f"{trace}: drafts' p95 of the best other's", ratio, DRAFT_GOAL)
    ratio = pace_ratio(figures, "free", ours)
    if ratio is not None:
        yield at_least("free: images/s of the best other's", ratio, PACE_GOAL)


def _seconds(seconds: float | None) -> Text:
    return number(seconds, ".2f")


def _spread(spread: Spread) -> Text:
    return right(f"{spread.median:.2f} ({spread.low:.2f}-{spread.high:.2f})")


INCHES, DPI = (11.0, 7.0), 110
INK = {
    "atelier": "#c2410c",
    "ray serve": "#64748b",
    "serve.batch": "#2563eb",
    "litserve": "#15803d",
}
OTHER_INK = "#a855f7"


def draw_serve_figures(figures: ServeFigures, file: Path) -> None:
    """Writes a PNG: drafts' p95 and mean by load for each trace, and images per second as bars."""
    from matplotlib.figure import Figure

    page = Figure(figsize=INCHES, dpi=DPI, layout="constrained")
    traces = list(figures.capacity)
    rows = page.subplots(len(traces), 3, squeeze=False)
    for trace, (drafts, means, paces) in zip(traces, rows, strict=True):
        _draw_latency(drafts, figures, trace, "draft_p95", f"{trace}: drafts' p95, seconds")
        _draw_latency(means, figures, trace, "mean", f"{trace}: mean latency, seconds")
        _draw_paces(paces, figures, trace)
    rows[0][0].legend(frameon=False, fontsize=8)
    page.suptitle("Same model, same requests, same arrivals, over HTTP")
    page.savefig(file, format="png")


def _draw_latency(
    axes: "Axes", figures: ServeFigures, trace: TraceKind, field: str, title: str
) -> None:
    for service in dict.fromkeys(cell.service for cell in figures.cells):
        cells = [cell for cell in figures.cells if (cell.service, cell.trace) == (service, trace)]
        points = [(cell.load, getattr(cell, field)) for cell in cells]
        known = [(load, seconds) for load, seconds in points if seconds is not None]
        axes.plot(
            [load for load, _ in known], [seconds for _, seconds in known],
            marker="o", label=service, color=INK.get(service, OTHER_INK),
        )  # fmt: skip
    axes.set_yscale("log")
    axes.yaxis.set_major_formatter("{x:g}")
    axes.yaxis.set_minor_formatter("")
    axes.grid(axis="y", which="both", linewidth=0.4, alpha=0.5)
    axes.set_xlim(0, 1)
    axes.set_xticks(sorted({cell.load for cell in figures.cells}))
    axes.set_xlabel("load, 1 is what the engine makes in process", fontsize=8)
    _plain(axes, title)


def _draw_paces(axes: "Axes", figures: ServeFigures, trace: TraceKind) -> None:
    for throughput in (throughput for throughput in figures.paces if throughput.trace == trace):
        pace = throughput.images_per_second.median
        bar = axes.bar(throughput.service, pace, color=INK.get(throughput.service, OTHER_INK))
        axes.bar_label(bar, fmt="%.1f", fontsize=8)
    dashes = axes.axhline(figures.capacity[trace], color="black", linewidth=0.8, linestyle="--")
    axes.legend([dashes], ["the engine in process"], frameon=False, fontsize=8)
    axes.margins(y=0.2)
    _plain(axes, f"{trace}: images/s, saturated")


def _plain(axes: "Axes", title: str) -> None:
    axes.set_title(title, fontsize=9, loc="left")
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


BENCHMARK = Benchmark(
    full=Extent(
        seconds=12, loads=(0.3, GOAL_LOAD, 0.85), overload_seconds=8, saturating=64, rounds=2,
        lone=80,
    ),
    quick=Extent(
        seconds=2, loads=(GOAL_LOAD,), overload_seconds=2, saturating=16, rounds=1, lone=5,
        others=OTHERS[:1],
    ),
    measure=lambda extent, say: asyncio.run(bench_serve(extent, say)),
    show=show_serve_figures,
    goals=serve_goals,
    draw=draw_serve_figures,
)  # fmt: skip
