"""Prints and draws the figures of `bench-routing`."""

from pathlib import Path

from app.cli.output import make_console
from app.cli.tables import Table, number, right, usd
from jobs.bench.harness import Benchmark
from jobs.bench.routing.bench import Extent, RoutingFigures, bench_routing

INCHES, DPI = (7.5, 4.2), 110
ROUTED, SINGLE, CHANCE = "#c2410c", "#2563eb", "#64748b"


def show_routing_figures(figures: RoutingFigures) -> None:
    """Prints a row per strategy, the saving, the calibration error, and the ablations."""
    out = make_console()
    table = Table(
        "models chosen", "asked", "refused", "accepted", "at first", "images", "CPU s",
        "USD per 1,000 accepted", "images by",
    )  # fmt: skip
    for row in figures.rows:
        table.add(
            row.way, row.asked, row.refused, number(row.accepted, ".3f"),
            number(row.first_accepted, ".3f"), row.images, number(row.cpu_seconds, ".1f"),
            usd(None if row.usd_per_accepted is None else 1000 * row.usd_per_accepted),
            " ".join(f"{name} {count}" for name, count in row.by_model.items()),
        )  # fmt: skip
    out.print(table)
    single, routed = figures.best_single, figures.rows[-1]
    if figures.saving is not None:
        out.print(
            f"{routed.way}, an accepted asset costs {figures.saving:.0%} less than {single.way}, "
            f"at {routed.accepted:.3f} accepted against {single.accepted:.3f}"
        )
    out.print(
        f"learned from {figures.learned_from} assets of another plan; the expected calibration "
        f"error of {figures.foretold} chances predicted for this one is "
        f"{figures.calibration_error:.3f}"
    )
    out.print(_contrasts(figures))


def _contrasts(figures: RoutingFigures) -> Table:
    table = Table("contrast", "before", "after", "", "others published", "note")
    for row in figures.contrasts:
        ratio = f"{max(row.ratio, 1 / row.ratio):.1f}x" if row.ratio else "-"
        table.add(
            row.what, right(f"{row.before:.3g} {row.unit}"), number(row.after, ".3g"),
            right(ratio), row.published, row.note,
        )  # fmt: skip
    return table


def draw_routing_figures(figures: RoutingFigures, file: Path) -> None:
    """Writes a PNG of the cost of an accepted asset against the share that is accepted."""
    from matplotlib.figure import Figure

    page = Figure(figsize=INCHES, dpi=DPI, layout="constrained")
    axes = page.subplots()
    for row in figures.rows:
        if row.usd_per_accepted is None:
            continue
        single = row.way.startswith("all by")
        ink = ROUTED if row.way.startswith("routed") else SINGLE if single else CHANCE
        axes.scatter(row.accepted, 1000 * row.usd_per_accepted, color=ink, s=50, zorder=3)
        crowded = 0.9 <= row.accepted < 1
        axes.annotate(
            row.way, (row.accepted, 1000 * row.usd_per_accepted), fontsize=8, color=ink,
            textcoords="offset points", xytext=(-6 if crowded else 6, 5),
            ha="right" if crowded else "left",
        )  # fmt: skip
    axes.set_xlabel("accepted, of all assets of the plan", fontsize=8)
    axes.set_ylabel("USD for 1,000 accepted assets", fontsize=8)
    axes.set_xlim(0, 1.25)
    axes.set_xticks([0, 0.2, 0.4, 0.6, 0.8, 1])
    axes.set_ylim(bottom=0)
    axes.margins(y=0.12)
    axes.grid(linewidth=0.4, alpha=0.5)
    axes.set_title("One plan, its models chosen in different ways", fontsize=9, loc="left")
    axes.tick_params(labelsize=8)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    page.savefig(file, format="png")


BENCHMARK = Benchmark(
    full=Extent(colours=10, posters=6, heroes=4),
    quick=Extent(colours=1, posters=1, heroes=1),
    measure=bench_routing,
    show=show_routing_figures,
    draw=draw_routing_figures,
)
