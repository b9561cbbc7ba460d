"""Prints a run's summary and figures for a person."""

from pathlib import Path
from typing import TYPE_CHECKING

from app.cli.output import make_console
from app.cli.tables import Table, escape
from jobs.runtime.summary import Summary

if TYPE_CHECKING:
    from jobs.generate_only import Generation
    from jobs.stages.graph import StageGraph


def show_summary(summary: Summary) -> None:
    """Prints the counts by outcome, the pace, and where the results are."""
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
    """Prints what was made, how fast, and the command to continue with."""
    out = make_console()
    out.print(
        f"[bold]{generation.asked}[/] asked = {generation.reused} reused + {generation.made} made "
        f"+ {generation.failed} failed, in {generation.seconds:.1f} s "
        f"({generation.images_per_second:.0f} a second, ${generation.cost_usd:.4f}, "
        f"driver {generation.driver_memory_mib:.0f} MiB)"
    )
    if generation.budget:
        out.print(f"[yellow]not all was begun[/]: {escape(generation.budget)}")
    out.print(f"check and finish them with: atelier recheck {generation.run_id}")


def _near(path: str) -> str:
    """Returns the path relative to the current folder where possible."""
    here, there = Path.cwd(), Path(path)
    return str(there.relative_to(here)) if there.is_relative_to(here) else path


def show_stages(graph: "StageGraph") -> None:
    """Prints one row per stage in the order of the flow, then where an undecided asset goes."""
    table = Table("", "stage", "runs in", "workers", "CPU each", "GPU each", "does")
    for number, stage in enumerate(graph.stages, 1):
        table.add(
            number, stage.name, stage.runs_in, stage.workers or "-",
            f"{stage.num_cpus:g}" if stage.workers else "-", stage.num_gpus or "-", stage.does,
        )  # fmt: skip
    out = make_console()
    out.print(f"{graph.plan}: {' -> '.join(stage.name for stage in graph.stages)}", markup=False)
    out.print(table)
    out.print("an asset that is not decided goes from refine back to generate", markup=False)
