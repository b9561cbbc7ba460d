"""How a benchmark is said to a person in a terminal."""

from collections.abc import Sequence
from pathlib import Path

from rich.markup import escape
from rich.table import Table

from app.cli.output import console
from app.registry.benchmark import Bench, Figures, ranked_for
from app.sheets.bench_report import percent, said, seconds, usd
from app.types import Value
from jobs.model_bench.record import shown_rows


class Kept(Value):
    """A benchmark and where its files stand; what `--json` says."""

    bench: Bench
    report: str


def show_bench(kept: Kept) -> None:
    """The table, what was wrong, what was compared, and where to look."""
    found, out = kept.bench, console()
    order = "accepted images a second" if found.free else "accepted images for a dollar"
    title = f"{len(found.works)} prompts x {found.samples}; the most {order} first"
    out.print(_table(found.figures, title))
    for one in found.figures:
        out.print(escape(_wrong(one, found)), soft_wrap=True)
    for label in dict.fromkeys(name for one in found.figures for name in one.labels):
        out.print(escape(_by_label(label, found)), soft_wrap=True)
    for axis in found.axes:
        if not axis.holds:
            out.print(f"[red]worse[/]  {escape(str(axis))}", soft_wrap=True)
    for note in found.notes:
        out.print(escape(note), soft_wrap=True)
    if found.axes and not found.regressions:
        out.print(f"none of {len(found.axes)} figures is worse than {escape(found.against)} allows")
    machines = dict.fromkeys(str(one.machine) for one in found.figures)
    out.print(f"on {escape('; '.join(machines))}; s alone is the clock's, CPU s the processor's")
    out.print(f"report  {_near(kept.report)}", soft_wrap=True)
    out.print(f"rate what you see: python -m jobs bench --rate {found.id} MODEL 0.9")


def _table(rows: Sequence[Figures], title: str) -> Table:
    table = Table(
        "model", "accepted", "agreement", "OCR", "people", "s alone", "p95", "CPU s", "images/s",
        "MiB", "$/1,000", "$/accepted", box=None, title=title, title_justify="left",
    )  # fmt: skip
    for one in rows:
        table.add_row(
            escape(one.named), _of(one), said(one.agreement), percent(one.legibility), _people(one),
            said(one.median_seconds), said(one.p95_seconds), said(one.processor_seconds),
            said(one.images_per_second), _memory(one), usd(one.usd_per_1000),
            usd(one.usd_per_accepted),
        )  # fmt: skip
    return table


def _of(one: Figures) -> str:
    return f"{one.accepted} of {one.images}" + (f" ({one.failed} failed)" if one.failed else "")


def _people(one: Figures) -> str:
    """The score, and how far it is from what OCR says."""
    if one.human_score is None or one.legibility is None:
        return percent(one.human_score)
    return f"{percent(one.human_score)} ({100 * (one.human_score - one.legibility):+.0f})"


def _memory(one: Figures) -> str:
    gpu = "" if one.gpu_memory_mib is None else f" + {one.gpu_memory_mib:,.0f} GPU"
    return f"{one.memory_mib:,.0f}{gpu}"


def _wrong(one: Figures, found: Bench) -> str:
    spoke = sorted(one.complaints.items(), key=lambda item: -item[1])
    words = ", ".join(f"{name} {times}" for name, times in spoke) or "no check spoke"
    cannot = f"; cannot do {one.not_applicable} of {len(found.works)} prompts"
    return f"{one.named}: {words}{cannot if one.not_applicable else ''}"


def _by_label(label: str, found: Bench) -> str:
    """Whoever can do it, the best for the money first."""
    able = [
        f"{row.named} {one.accepted} of {one.images} at {usd(one.usd_per_accepted)}"
        if not found.free
        else f"{row.named} {one.accepted} of {one.images}, {said(one.accepted_per_second)} a second"
        for row, one in ranked_for(label, found.figures)
    ]
    return f"for {label}: {'; '.join(able)}"


def show_history(rows: Sequence[Figures]) -> None:
    """Every result of a workload, the oldest first, and what changed since the one before."""
    table = Table(
        "benchmark", "model", "version", "accepted", "points", "agreement", "OCR", "people",
        "alone", "change", "$/1,000", "on", box=None,
    )  # fmt: skip
    for row, before in shown_rows(rows):
        table.add_row(
            row.bench, escape(row.named), escape(row.reference), percent(row.acceptance),
            _points(row, before), said(row.agreement), percent(row.legibility), _people(row),
            seconds(row.median_seconds), _slower(row, before), usd(row.usd_per_1000),
            escape(str(row.machine)),
        )  # fmt: skip
    console().print(table)


def _points(row: Figures, before: Figures | None) -> str:
    if before is None or before.acceptance is None or row.acceptance is None:
        return ""
    return f"{100 * (row.acceptance - before.acceptance):+.0f}"


def _slower(row: Figures, before: Figures | None) -> str:
    """In per cent; only where both ran on one machine."""
    if before is None or before.machine != row.machine:
        return ""
    if not before.median_seconds or row.median_seconds is None:
        return ""
    return f"{100 * (row.median_seconds / before.median_seconds - 1):+.0f}%"


def show_rated(row: Figures) -> None:
    """Both scores beside each other."""
    ocr = "was not measured" if row.legibility is None else f"is {percent(row.legibility)}"
    console().print(
        f"{row.named} in {row.bench}: people's score is {percent(row.human_score)}, OCR's {ocr}"
    )


def _near(path: str) -> str:
    """The path as one would type it here."""
    here, there = Path.cwd(), Path(path)
    return str(there.relative_to(here)) if there.is_relative_to(here) else path
