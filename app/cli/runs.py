"""`atelier submit`, `atelier runs watch` and `atelier runs stop`: runs that are made elsewhere."""

import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live

from app.cli.output import FAILED, INTERRUPTED, AsJson, exit_codes, print_json
from app.settings import Settings
from app.types import Status

if TYPE_CHECKING:
    from app.monitor.watch import RunStatus

PASSED_THROUGH = {
    "allow_extra_args": True,
    "ignore_unknown_options": True,
    "help_option_names": [],
}


def submit(context: typer.Context) -> None:
    """Make PLAN on a Ray cluster: `python -m jobs submit PLAN --cluster URL` (see --help)."""
    os.execv(sys.executable, [sys.executable, "-m", "jobs", "submit", *context.args])


def stop(context: typer.Context) -> None:
    """Stop a submitted run: the same as `python -m jobs stop RUN --cluster URL` (see --help)."""
    os.execv(sys.executable, [sys.executable, "-m", "jobs", "stop", *context.args])


def watch(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")],
    as_json: AsJson = False,
) -> None:
    """Show how far a run is, wherever it is made, until it ends; Ctrl-C only ends the watching.

    Exit codes: 0 it ended well, 1 something in it failed, 130 it was stopped.
    """
    from app.monitor.watch import watch_progress, watch_run

    with exit_codes(as_json):
        last = _shown(watch_progress(watch_run(run_id, Settings())), as_json)
        if as_json:
            print_json(last.as_json())
    if last.state == "stopped":
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(FAILED if last.decided.get(Status.FAILED) else 0)


def _shown(looks: "Iterator[RunStatus]", as_json: bool) -> "RunStatus":
    """One line that changes on a terminal, elsewhere a line for each change."""
    from app.monitor.watch import progress_line

    console = Console(stderr=as_json, highlight=False, soft_wrap=True)
    before = next(looks)
    if not console.is_terminal:
        console.print(progress_line(before), markup=False)
        for seen in looks:
            if seen.signature != before.signature:
                console.print(progress_line(seen), markup=False)
            before = seen
        return before
    with Live(progress_line(before), console=console, auto_refresh=False) as live:
        for before in looks:
            live.update(progress_line(before), refresh=True)
    return before
