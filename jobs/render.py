"""How a run's summary and figures are said to a person."""

from pathlib import Path
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from app.cli.output import make_console
from jobs.runtime.summary import Summary

if TYPE_CHECKING:
    from jobs.bench.bulk.bench import BenchFigures
    from jobs.bench.publish.bench import PublishFigures
    from jobs.generate_only import Generation


def show_summary(summary: Summary) -> None:
    """The fates that add up, the pace, and where to look."""
    out = make_console()
    fates = (
        f"[bold]{summary.asked}[/] asked = {summary.reused} reused + {summary.accepted} accepted "
        f"+ {summary.review} review + {summary.rejected} rejected + {summary.failed} failed"
    )
    out.print(fates if summary.adds_up else f"[bold red]does not add up:[/] {fates}")
    out.print(
        f"{summary.made} images made in {summary.seconds:.1f} s "
        f"({summary.images_per_hour:.0f} an hour), cost ${summary.cost_usd:.4f}"
    )
    if summary.cut_short:
        out.print(f"[yellow]{summary.cut_short} assets were cut short[/]: {escape(summary.budget)}")
    for page in summary.pages:
        if page.endswith(".png"):
            out.print(f"atlas          {_near(page)}  and .json", soft_wrap=True)
    out.print(f"contact sheet  {_near(summary.contact_sheet)}", soft_wrap=True)


def show_generation(generation: "Generation") -> None:
    """What was made, how fast, and how to go on."""
    out = make_console()
    out.print(
        f"[bold]{generation.asked}[/] asked = {generation.reused} reused + {generation.made} made "
        f"+ {generation.failed} failed, in {generation.seconds:.1f} s "
        f"({generation.images_per_second:.0f} a second, ${generation.cost_usd:.4f}, "
        f"driver {generation.driver_memory_mib:.0f} MiB)"
    )
    if generation.budget:
        out.print(f"[yellow]not all was begun[/]: {escape(generation.budget)}")
    out.print(f"check and finish them with: python -m jobs check {generation.run_id}")


def _near(path: str) -> str:
    """The path as one would type it here."""
    here, there = Path.cwd(), Path(path)
    return str(there.relative_to(here)) if there.is_relative_to(here) else path


def show_bulk_figures(figures: "BenchFigures") -> None:
    """Both runs side by side, then what each further image costs."""
    table = Table("", "small", "large", box=None)
    for name in type(figures.small).model_fields:
        small, large = getattr(figures.small, name), getattr(figures.large, name)
        table.add_row(name.replace("_", " "), f"{small:g}", f"{large:g}")
    out = make_console()
    out.print(table)
    out.print(
        f"each further image: {figures.further_images_per_hour:.0f} an hour, "
        f"{figures.further_other_cpu_share:.1%} of CPU time beside generation"
    )


def show_publish_figures(figures: "PublishFigures") -> None:
    """One row per size, then each image's share of what is paid for safety."""
    table = Table("rows", "a second", "seconds", "CPU ms a row", "driver MiB", box=None)
    for run in figures.runs:
        generation = run.generation
        table.add_row(
            str(generation.asked), f"{generation.images_per_second:g}", f"{generation.seconds:.0f}",
            f"{run.cpu_ms:g}", f"{generation.driver_memory_mib:.0f}",
        )  # fmt: skip
    out = make_console()
    out.print(table)
    out.print(
        f"each image: leases {figures.lease_ms:g} ms, all of it {figures.publish_ms:g} ms in one "
        f"process, {_or_unknown(figures.publish_without_disk_ms)} where syncs cost nothing"
    )


def _or_unknown(milliseconds: float | None) -> str:
    return "unknown" if milliseconds is None else f"{milliseconds:g} ms"
