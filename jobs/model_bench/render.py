"""Prints a benchmark in a terminal."""

from collections.abc import Sequence
from pathlib import Path

from app.cli.output import make_console
from app.cli.tables import Table, escape, right
from app.registry.benchmark import BenchmarkResult, ModelFigures, ranked_for
from app.sheets.bench_report import number, percent, seconds, usd
from app.types import Value
from jobs.model_bench.record import shown_rows


class StoredBenchmark(Value):
    """A benchmark and the path of its report; what `--json` prints."""

    bench: BenchmarkResult
    report: str


def show_bench(stored: StoredBenchmark) -> None:
    """Prints the table, what failed, what was compared, and the report's path."""
    bench, out = stored.bench, make_console()
    order = "accepted images a second" if bench.free else "accepted images for a dollar"
    title = f"{len(bench.works)} prompts x {bench.samples}; the most {order} first"
    out.print(_table(bench.figures, title))
    for figure in bench.figures:
        out.print(escape(_wrong(figure, bench)), soft_wrap=True)
    for label in dict.fromkeys(name for figure in bench.figures for name in figure.labels):
        out.print(escape(_by_label(label, bench)), soft_wrap=True)
    for axis in bench.axes:
        if not axis.holds:
            out.print(f"[red]worse[/]  {escape(str(axis))}", soft_wrap=True)
    for note in bench.notes:
        out.print(escape(note), soft_wrap=True)
    if bench.axes and not bench.regressions:
        out.print(f"none of {len(bench.axes)} figures is worse than {escape(bench.against)} allows")
    machines = dict.fromkeys(str(figure.machine) for figure in bench.figures)
    out.print(f"on {escape('; '.join(machines))}; s alone is the clock's, CPU s the processor's")
    out.print(f"report  {escape(_near(stored.report))}", soft_wrap=True)
    out.print(f"rate what you see: atelier bench --rate {bench.id} MODEL 0.9")


def _table(rows: Sequence[ModelFigures], title: str) -> Table:
    table = Table(
        "model", "accepted", "agreement", "OCR", "people", "s alone", "p95", "CPU s", "images/s",
        "MiB", "$/1,000", "$/accepted", title=title,
    )  # fmt: skip
    for row in rows:
        figures = (
            _accepted_of(row), number(row.agreement), percent(row.legibility), _human_score(row),
            number(row.median_seconds), number(row.p95_seconds), number(row.processor_seconds),
            number(row.images_per_second), _memory(row), usd(row.usd_per_1000),
            usd(row.usd_per_accepted),
        )  # fmt: skip
        table.add(row.named, *map(right, figures))
    return table


def _accepted_of(figures: ModelFigures) -> str:
    return f"{figures.accepted} of {figures.images}" + (
        f" ({figures.failed} failed)" if figures.failed else ""
    )


def _human_score(figures: ModelFigures) -> str:
    """Returns the score, and its difference from that of OCR."""
    if figures.human_score is None or figures.legibility is None:
        return percent(figures.human_score)
    return (
        f"{percent(figures.human_score)} ({100 * (figures.human_score - figures.legibility):+.0f})"
    )


def _memory(figures: ModelFigures) -> str:
    gpu = "" if figures.gpu_memory_mib is None else f" + {figures.gpu_memory_mib:,.0f} GPU"
    return f"{figures.memory_mib:,.0f}{gpu}"


def _wrong(figures: ModelFigures, benchmark: BenchmarkResult) -> str:
    spoke = sorted(figures.complaints.items(), key=lambda item: -item[1])
    words = ", ".join(f"{name} {times}" for name, times in spoke) or "no check spoke"
    cannot = f"; cannot do {figures.not_applicable} of {len(benchmark.works)} prompts"
    return f"{figures.named}: {words}{cannot if figures.not_applicable else ''}"


def _by_label(label: str, benchmark: BenchmarkResult) -> str:
    """Returns the models that can do it, the best for the money first."""
    able = [
        f"{row.named} {counts.accepted} of {counts.images} at {usd(counts.usd_per_accepted)}"
        if not benchmark.free
        else f"{row.named} {counts.accepted} of {counts.images}, "
        f"{number(counts.accepted_per_second)} a second"
        for row, counts in ranked_for(label, benchmark.figures)
    ]
    return f"for {label}: {'; '.join(able)}"


def show_history(rows: Sequence[ModelFigures]) -> None:
    """Prints every result of a workload, oldest first, with the change since the previous one."""
    table = Table(
        "benchmark", "model", "version", "accepted", "points", "agreement", "OCR", "people",
        "alone", "change", "$/1,000", "on",
    )  # fmt: skip
    for row, before in shown_rows(rows):
        figures = (
            percent(row.acceptance), _points(row, before), number(row.agreement),
            percent(row.legibility), _human_score(row), seconds(row.median_seconds),
            _slower(row, before), usd(row.usd_per_1000),
        )  # fmt: skip
        table.add(row.bench, row.named, row.reference, *map(right, figures), str(row.machine))
    make_console().print(table)


def _points(row: ModelFigures, before: ModelFigures | None) -> str:
    if before is None or before.acceptance is None or row.acceptance is None:
        return ""
    return f"{100 * (row.acceptance - before.acceptance):+.0f}"


def _slower(row: ModelFigures, before: ModelFigures | None) -> str:
    """Returns the change in per cent; only where both ran on one machine."""
    if before is None or before.machine != row.machine:
        return ""
    if not before.median_seconds or row.median_seconds is None:
        return ""
    return f"{100 * (row.median_seconds / before.median_seconds - 1):+.0f}%"


def show_rated(row: ModelFigures) -> None:
    """Prints both scores beside each other."""
    ocr = "was not measured" if row.legibility is None else f"is {percent(row.legibility)}"
    make_console().print(
        f"{escape(row.named)} in {row.bench}: people's score is {percent(row.human_score)}, "
        f"OCR's {ocr}"
    )


def _near(path: str) -> str:
    """Returns the path relative to the current folder where possible."""
    here, there = Path.cwd(), Path(path)
    return str(there.relative_to(here)) if there.is_relative_to(here) else path
