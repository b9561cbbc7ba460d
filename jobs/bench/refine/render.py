"""Prints the figures of `bench-refine`."""

from rich.markup import escape
from rich.table import Table

from app.cli.output import make_console
from jobs.bench.refine.bench import BY_SEED, LEARNED, RefineFigures, RefineRow


def show_refine_figures(figures: RefineFigures) -> None:
    """Prints a row for each setting and strategy, then what is saved over all of them."""
    out = make_console()
    table = Table(
        "asked with", "tried again by", "assets", "accepted", "attempts", "for one accepted",
        "CPU s for one", "to people", "changes: tried, passed", box=None,
    )  # fmt: skip
    for row in figures.rows:
        table.add_row(
            escape(row.world) if row.way == BY_SEED else "", escape(row.way), str(row.asked),
            str(row.accepted), str(row.attempts), _number(row.attempts_per_accepted),
            _number(row.cpu_seconds / row.accepted if row.accepted else None),
            f"{row.to_people:.1%}", _changes(row),
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


def _number(number: float | None) -> str:
    return "-" if number is None else f"{number:.3g}"
