"""`python -m jobs ...`: the bulk jobs, for a terminal, a build machine or a cluster's job queue."""

import sys
from typing import Annotated

import typer
from rich.console import Console

from app.doors import AllowLarge, AsJson, PlanFile, answer, doors
from app.plan.read import read_plan
from app.plan.schema import Plan
from app.settings import Settings
from jobs.show import show_figures, show_summary
from jobs.summary import Summary

jobs = typer.Typer(
    help="Atelier in bulk: stages on Ray, one row per micro-batch.",
    no_args_is_help=True,
    add_completion=False,
)


@jobs.command()
def bulk(
    plan: PlanFile,
    allow_large: AllowLarge = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Generation workers; by default as many as pay.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make every asset of PLAN that does not stand yet, check, finish and pack it.

    Run it again after any interruption: what stands is reused.

    Exit codes: 0 all is well, 1 something failed, 2 the plan is faulty, 3 the numbers do not
    add up, 130 interrupted.
    """
    with doors(as_json):
        written = read_plan(plan, allow_large=allow_large)  # before Ray is even imported
        summary = _run(written, workers)
        answer(summary, as_json, show_summary)
    raise typer.Exit(summary.exit_code)


def _run(plan: Plan, workers: int | None) -> Summary:
    from jobs.bulk import bulk as run_bulk
    from jobs.progress import RunProgress

    progress = RunProgress(Console(stderr=True))
    return run_bulk(plan, Settings(), progress, workers=workers)


@jobs.command("bench-bulk")
def bench_bulk(
    assets: Annotated[int, typer.Option(min=1, help="How many assets to make.")] = 300,
    as_json: AsJson = False,
) -> None:
    """Run a plan in a fresh folder and print what generation takes of its wall and CPU time."""
    from jobs.bench_bulk import bench

    with doors(as_json):
        answer(bench(assets), as_json, show_figures)


@jobs.command(
    "train-starter",
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    },
)
def train_starter(context: typer.Context) -> None:
    """Draw the data, train the starter model and its critic, score them, write the folder."""
    from jobs.train_starter import main

    sys.exit(main(context.args))


if __name__ == "__main__":
    jobs()
