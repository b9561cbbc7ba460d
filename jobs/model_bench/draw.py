"""Draws the figures of a benchmark: small bar charts beside each other, as one PNG."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

from app.registry.benchmark import BenchmarkResult
from app.sheets.bench_report import number

if TYPE_CHECKING:
    from matplotlib.axes import Axes

INCHES, DPI = (11.0, 2.2), 110
INKS = ("#c2410c", "#2563eb", "#15803d", "#7c3aed", "#0e7490", "#a16207")


def draw_bench(benchmark: BenchmarkResult) -> bytes:
    """Returns a PNG: seconds, accepted share, legibility, accepted images per dollar or second."""
    from matplotlib.figure import Figure

    rows = benchmark.figures
    page = Figure(figsize=(INCHES[0], INCHES[1] + 0.25 * len(rows)), dpi=DPI, layout="constrained")
    alone, accepted, legible, worth = page.subplots(1, 4, sharey=True)
    _bars(alone, benchmark, [row.median_seconds for row in rows], "one image alone, s")
    _bars(accepted, benchmark, [row.acceptance for row in rows], "accepted, share")
    _bars(legible, benchmark, [row.legibility for row in rows], "text read by OCR, share")
    value = [row.accepted_per_second if benchmark.free else row.accepted_per_usd for row in rows]
    title = "accepted images a second" if benchmark.free else "accepted images for a dollar"
    _bars(worth, benchmark, value, title)
    for axes in (accepted, legible):
        axes.set_xlim(0, 1.25)
    file = io.BytesIO()
    page.savefig(file, format="png")
    return file.getvalue()


def _bars(
    axes: "Axes", benchmark: BenchmarkResult, values: Sequence[float | None], title: str
) -> None:
    """Draws the bars, the best on top; no bar where nothing was measured."""
    places = range(len(values))
    inks = [INKS[place % len(INKS)] for place in places]
    bars = axes.barh(list(places), [value or 0.0 for value in values], color=inks)
    labels = ["not measured" if value is None else number(value) for value in values]
    axes.bar_label(bars, labels, fontsize=8, padding=3)
    axes.set_yticks(list(places), [figure.named for figure in benchmark.figures], fontsize=9)
    if not axes.yaxis_inverted():
        axes.invert_yaxis()
    axes.margins(x=0.3)
    axes.set_title(title, fontsize=9, loc="left")
    axes.tick_params(labelsize=8, left=False)
    axes.tick_params(axis="y", labelsize=9)
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
