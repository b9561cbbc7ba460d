"""How the figures of `bench-serve` are drawn: latencies by load, images per second as bars."""

from pathlib import Path
from typing import TYPE_CHECKING

from jobs.bench.engine.traces import TraceKind
from jobs.bench.serve.figures import ServeFigures

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES, DPI = (11.0, 7.0), 110
INK = {
    "atelier": "#c2410c",
    "ray serve": "#64748b",
    "serve.batch": "#2563eb",
    "litserve": "#15803d",
}
OTHER_INK = "#a855f7"


def draw_serve_figures(figures: ServeFigures, file: Path) -> None:
    """A PNG: drafts' p95 and the mean by load for each trace, and images per second as bars."""
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
    for service in dict.fromkeys(one.service for one in figures.cells):
        cells = [one for one in figures.cells if (one.service, one.trace) == (service, trace)]
        points = [(one.load, getattr(one, field)) for one in cells]
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
    axes.set_xticks(sorted({one.load for one in figures.cells}))
    axes.set_xlabel("load, 1 is what the engine makes in process", fontsize=8)
    _plain(axes, title)


def _draw_paces(axes: "Axes", figures: ServeFigures, trace: TraceKind) -> None:
    for one in (one for one in figures.paces if one.trace == trace):
        pace = one.images_per_second.median
        bar = axes.bar(one.service, pace, color=INK.get(one.service, OTHER_INK))
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
