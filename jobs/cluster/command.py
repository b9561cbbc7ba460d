"""`atelier submit` and `stop`: run a plan on a Ray cluster from another machine."""

from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from app.cli.output import AllowLarge, AsJson, PlanFile, exit_codes, print_json, print_result
from app.errors import InvalidRequest
from app.settings import Settings
from jobs.render import show_summary
from jobs.runtime.summary import Summary

if TYPE_CHECKING:
    from jobs.cluster.follow import JobEnd

ClusterUrl = Annotated[
    str,
    typer.Option(
        "--cluster",
        envvar="RAY_API_SERVER_ADDRESS",
        help="Its job server: http://127.0.0.1:8265, through a tunnel.",
        metavar="URL",
    ),
]


def submit_command(
    plan: PlanFile,
    cluster: ClusterUrl,
    allow_large: AllowLarge = False,
    workers: Annotated[int | None, typer.Option(min=1, help="As for `bulk`.")] = None,
    stop: Annotated[
        bool, typer.Option("--stop", help="Ctrl-C stops the job as well, in good order.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Make PLAN as a job of a Ray cluster and follow it to its end.

    Ctrl-C only stops following. The same command follows the same job again; when that has ended,
    it continues where the job stopped. Exit codes: those of `bulk`.
    """
    with exit_codes(as_json):
        from app.flow.prepare import prepare_file
        from jobs.cluster.submit import follow_to_end, submit

        written = prepare_file(plan, Settings(), allow_large=allow_large).plan
        options = ["--allow-large"] if allow_large else []
        options += [f"--workers={workers}"] if workers else []
        submission = submit(written, plan, cluster, options, _say)
        ended = follow_to_end(submission, cluster, _say, stops=stop)
        _print_summary(ended, as_json)
    raise typer.Exit(ended.exit_code)


def stop_command(
    run: Annotated[str, typer.Argument(metavar="RUN", help="A run's id, or a job's.")],
    cluster: Annotated[
        str, typer.Option("--cluster", envvar="RAY_API_SERVER_ADDRESS", metavar="URL")
    ] = "",
    as_json: AsJson = False,
) -> None:
    """Stop a submitted run cleanly; the same plan submitted again continues it.

    A run on this machine is stopped by Ctrl-C in its terminal.
    """
    with exit_codes(as_json):
        if not cluster:
            raise InvalidRequest(
                f"run {run} can be stopped from here where it was submitted to a cluster: name it "
                "with --cluster URL; a run on this machine is stopped by Ctrl-C in its terminal, "
                "or by kill -TERM with the process id of its `jobs.commands run`"
            )
        from jobs.cluster.submit import find_job, stop_job

        ended = stop_job(find_job(run, cluster, Settings()), _say)
        _print_summary(ended, as_json)


def _print_summary(ended: "JobEnd", as_json: bool) -> None:
    """Prints the run's summary, or why there is none."""
    document = ended.document or {"error": "BackendError", "message": ended.message, "faults": []}
    if "error" not in document:
        print_result(Summary.model_validate(document), as_json, _show)
    elif as_json:
        print_json(document)
    else:
        _say(str(document["message"]))


def _show(summary: Summary) -> None:
    show_summary(summary)
    _say(f"run {summary.run_id}; its files are on the cluster's head: atelier runs show, export")


def _say(line: str) -> None:
    Console(stderr=True, highlight=False).print(line, markup=False, soft_wrap=True)
