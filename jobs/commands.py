"""The commands of `atelier` that need Ray: run, generate, recheck, refinish, repack, bench ...

`atelier NAME` starts them as `python -m jobs.commands NAME`, so that its help loads no Ray.
"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from app.cli.output import FAILED, AllowLarge, AsJson, PlanFile, exit_codes, print_result
from app.environment import use_strict_blas
from app.settings import Settings
from jobs.cluster.command import stop_command, submit_command
from jobs.cluster.min_machines_command import floor_command
from jobs.model_bench.command import bench
from jobs.options import read_pack, read_rule, read_size
from jobs.render import show_stages, show_summary
from jobs.runtime.summary import Summary

if TYPE_CHECKING:
    from app.flow.prepare import PreparedPlan
    from jobs.runtime.progress import RunProgress

commands = typer.Typer(no_args_is_help=True, add_completion=False)


Workers = Annotated[
    int | None, typer.Option(min=1, help="Generation workers; by default as many as pay.")
]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id: see `atelier runs`.")]


@commands.command("run", epilog="Example: atelier run jobs/plans/icons.yaml")
def bulk(
    plan: PlanFile,
    allow_large: AllowLarge = False,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Make every asset of PLAN that does not exist yet, check, finish and pack it.

    Run it again after any interruption: existing results are reused.

    Exit codes: 0 all is well, 1 something failed, 2 the plan is faulty, 3 the numbers do not add
    up, 130 interrupted.
    """
    with exit_codes(as_json):
        prepared = _prepare(plan, allow_large)  # before Ray is even imported
        summary = _run(prepared, workers)
        print_result(summary, as_json, show_summary)
    raise typer.Exit(summary.exit_code)


@commands.command("generate", epilog="Example: atelier generate jobs/plans/one.yaml")
def generate_stage(
    plan: PlanFile,
    allow_large: AllowLarge = False,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Make only the images of PLAN's first round; check, finish and pack them later."""
    with exit_codes(as_json):
        prepared = _prepare(plan, allow_large)
        from jobs.generate_only import generate_only
        from jobs.render import show_generation

        generation = generate_only(prepared, Settings(), _progress(), workers=workers)
        print_result(generation, as_json, show_generation)
    raise typer.Exit(0 if generation.adds_up and not generation.failed else FAILED)


@commands.command("recheck", epilog="Example: atelier recheck RUN --rule 'agreement>=0.9'")
def check_stage(
    run_id: RunId,
    rule: Annotated[
        list[str] | None,
        typer.Option(help="In place of the plan's: 'agreement>=0.9'; repeat for more."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Judge the stored images of RUN again, by other rules; nothing is generated."""
    with exit_codes(as_json):
        rules = [read_rule(text) for text in rule or []]
        from jobs.rerun import recheck

        summary = recheck(run_id, Settings(), _progress(), rules=rules)
        print_result(summary, as_json, show_summary)
    raise typer.Exit(summary.exit_code)


@commands.command("refinish", epilog="Example: atelier refinish RUN --size 48 --size 96")
def finish_stage(
    run_id: RunId,
    size: Annotated[list[str], typer.Option(help="48x48, or 48; repeat for more.")],
    as_json: AsJson = False,
) -> None:
    """Finish the images that RUN chose at other sizes; nothing is generated or checked."""
    with exit_codes(as_json):
        sizes = [read_size(text) for text in size]
        from jobs.rerun import refinish

        summary = refinish(run_id, Settings(), _progress(), sizes=sizes)
        print_result(summary, as_json, show_summary)
    raise typer.Exit(summary.exit_code)


@commands.command("repack", epilog="Example: atelier repack RUN --max-page-size 1024")
def pack_stage(
    run_id: RunId,
    max_page_size: Annotated[int | None, typer.Option(help="Pixels, 16 to 4096.")] = None,
    padding: Annotated[int | None, typer.Option(help="Pixels between sprites.")] = None,
    extrude: Annotated[int | None, typer.Option(help="Edge pixels repeated outwards.")] = None,
    power_of_two: Annotated[bool | None, typer.Option(help="Page sides are powers of 2.")] = None,
    as_json: AsJson = False,
) -> None:
    """Pack what RUN accepted with other options; nothing else is done again."""
    given = {
        "max_page_size": max_page_size,
        "padding": padding,
        "extrude": extrude,
        "power_of_two": power_of_two,
    }
    with exit_codes(as_json):
        options = read_pack({name: value for name, value in given.items() if value is not None})
        from jobs.rerun import repack

        summary = repack(run_id, Settings(), _progress(), options=options)
        print_result(summary, as_json, show_summary)
    raise typer.Exit(summary.exit_code)


def _progress() -> "RunProgress":
    from jobs.runtime.progress import RunProgress

    return RunProgress(Console(stderr=True))


def _prepare(plan: Path, allow_large: bool) -> "PreparedPlan":
    from app.flow.prepare import prepare_file

    return prepare_file(plan, Settings(), allow_large=allow_large)


def _run(prepared: "PreparedPlan", workers: int | None) -> Summary:
    from jobs.bulk import bulk as run_bulk

    return run_bulk(prepared, Settings(), _progress(), workers=workers)


@commands.command("stages", hidden=True)
def stages(plan: PlanFile, allow_large: AllowLarge = False, as_json: AsJson = False) -> None:
    """Print the graph of PLAN's stages, with the resources of each. Makes nothing."""
    with exit_codes(as_json):
        from jobs.stages.graph import stage_graph

        graph = stage_graph(_prepare(plan, allow_large).plan, Settings())
        print_result(graph, as_json, show_stages)


def _example(name: str, arguments: str) -> str:
    return f"Example: atelier {name} {arguments}"


commands.command("submit", epilog=_example("submit", "PLAN --cluster http://127.0.0.1:8265"))(
    submit_command
)
runs = typer.Typer()
runs.command("stop", epilog=_example("runs stop", "RUN --cluster http://127.0.0.1:8265"))(
    stop_command
)
commands.add_typer(runs, name="runs")
commands.command("floor", epilog=_example("floor", "floor.yaml"))(floor_command)
commands.command("bench", epilog=_example("bench", "--models starter,polish --samples 4"))(bench)

if __name__ == "__main__":
    use_strict_blas()
    commands(prog_name="atelier")
