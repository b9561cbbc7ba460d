"""Prints the figures of `bench-refine`."""

from collections.abc import Iterator

from app.cli.output import make_console
from app.cli.tables import Table, number, percent
from jobs.bench.harness import Benchmark, Goal, at_least
from jobs.bench.refine.bench import (
    BY_SEED,
    LEARNED,
    Extent,
    RefineFigures,
    RefineRow,
    bench_refine,
)

GOAL = 0.30
"""The share of attempts for an accepted asset that a learned reason should save."""


def show_refine_figures(figures: RefineFigures) -> None:
    """Prints a row for each setting and strategy, then what is saved over all of them."""
    out = make_console()
    table = Table(
        "asked with", "tried again by", "assets", "accepted", "attempts", "for one accepted",
        "CPU s for one", "to people", "changes: tried, passed",
    )  # fmt: skip
    for row in figures.rows:
        table.add(
            row.world if row.way == BY_SEED else "", row.way, row.asked, row.accepted,
            row.attempts, number(row.attempts_per_accepted, ".3g"),
            number(row.cpu_seconds / row.accepted if row.accepted else None, ".3g"),
            percent(row.to_people), _changes(row),
        )  # fmt: skip
    out.print(table)
    out.print(f"learned from {figures.learned_from} further attempts at other assets")
    if figures.saved is not None:
        within = figures.saved_within
        interval = f" (95 %: {within[0]:.0%} to {within[1]:.0%})" if within else ""
        out.print(
            f"over the poor settings, {LEARNED} takes {figures.saved:.0%} fewer attempts for an "
            f"accepted asset than the {BY_SEED}{interval}"
        )


def _changes(row: RefineRow) -> str:
    return ", ".join(f"{name} {tried}, {passed}" for name, (tried, passed) in row.changes.items())


def _goals(figures: RefineFigures) -> Iterator[Goal]:
    if figures.saved is not None:
        yield at_least("attempts saved for an accepted asset", figures.saved, GOAL, ".0%")


BENCHMARK = Benchmark(
    full=Extent(colours=10),
    quick=Extent(colours=1),
    measure=bench_refine,
    show=show_refine_figures,
    goals=_goals,
)
