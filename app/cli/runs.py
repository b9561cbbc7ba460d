"""`atelier runs ...`: list the runs; show, watch or stop one."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.live import Live

from app.cli.forward import FORWARDED, RUNS, forwarded
from app.cli.input import open_catalog, read_settings
from app.cli.output import (
    FAILED,
    INTERRUPTED,
    AsJson,
    exit_codes,
    print_json,
    print_result,
    print_results,
)
from app.types import Status

if TYPE_CHECKING:
    from app.monitor.watch import RunStatus

runs = typer.Typer(help="List the runs; show, watch or stop one.")
runs.command("stop", context_settings=FORWARDED)(
    forwarded(RUNS, "runs stop", "Stop a submitted run cleanly.")
)


@runs.callback(epilog="Example: atelier runs --limit 5")
def list_runs(
    context: typer.Context,
    limit: Annotated[int, typer.Option(min=1, help="The most runs to list.")] = 20,
    as_json: AsJson = False,
) -> None:
    """List the runs, the newest first."""
    from app.cli.render.runs import show_runs

    if context.invoked_subcommand is not None:
        return
    with exit_codes(as_json):
        print_results(open_catalog().runs(limit=limit), as_json, show_runs)


@runs.command("show", epilog="Example: atelier runs show RUN")
def show_one_run(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")],
    as_json: AsJson = False,
) -> None:
    """Show a run: the status of each asset, the run's time, and its cost."""
    from app.cli.render.runs import show_run
    from app.monitor.history import history

    with exit_codes(as_json):
        print_result(history(open_catalog(), run_id), as_json, show_run)


@runs.command(epilog="Example: atelier runs watch RUN")
def watch(
    run_id: Annotated[str, typer.Argument(metavar="RUN", help="The run's id.")],
    as_json: AsJson = False,
) -> None:
    """Show the progress of a run until it ends; Ctrl-C ends this command, not the run.

    Exit codes: 0 no asset failed, 1 an asset failed, 130 the run was stopped.
    """
    from app.monitor.watch import watch_progress, watch_run

    with exit_codes(as_json):
        last = _show_progress(watch_progress(watch_run(run_id, read_settings())), as_json)
        if as_json:
            print_json(last.as_json())
    if last.state == "stopped":
        raise typer.Exit(INTERRUPTED)
    raise typer.Exit(FAILED if last.decided.get(Status.FAILED) else 0)


def _show_progress(statuses: "Iterator[RunStatus]", as_json: bool) -> "RunStatus":
    """Updates one line on a terminal; elsewhere prints a line for each change."""
    from app.monitor.watch import progress_line

    console = Console(stderr=as_json, highlight=False, soft_wrap=True)
    before = next(statuses)
    if not console.is_terminal:
        console.print(progress_line(before), markup=False)
        for seen in statuses:
            if seen.signature != before.signature:
                console.print(progress_line(seen), markup=False)
            before = seen
        return before
    with Live(progress_line(before), console=console, auto_refresh=False) as live:
        for before in statuses:
            live.update(progress_line(before), refresh=True)
    return before
