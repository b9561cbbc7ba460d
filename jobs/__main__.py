"""`python -m jobs ...`: the bulk jobs, for a terminal, a build machine or a cluster's job queue."""

import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from app.cli.output import FAILED, AllowLarge, AsJson, PlanFile, exit_codes, print_result
from app.environment import use_strict_blas
from app.errors import InvalidRequest
from app.plan.read import read_plan
from app.plan.schema import Plan
from app.settings import Settings
from jobs.bench.checks.command import bench_checks_command, make_defects_command
from jobs.bench.cluster.command import bench_cluster
from jobs.bench.refine.command import bench_refine_command
from jobs.bench.review.command import bench_review_command, label_defects_command
from jobs.bench.shares.command import shares_command
from jobs.bench.typography.command import bench_typography_command
from jobs.cluster.command import stop_command, submit_command
from jobs.cluster.min_machines_command import floor_command
from jobs.crash_tests.counters import CrashTestKind
from jobs.model_bench.command import bench
from jobs.options import read_pack, read_rule, read_size
from jobs.render import show_bulk_figures, show_summary
from jobs.runtime.summary import Summary

if TYPE_CHECKING:
    from jobs.runtime.progress import RunProgress

jobs = typer.Typer(
    help="Atelier in bulk: stages on Ray, one row per micro-batch.",
    no_args_is_help=True,
    add_completion=False,
)


Workers = Annotated[
    int | None, typer.Option(min=1, help="Generation workers; by default as many as pay.")
]
RunId = Annotated[str, typer.Argument(metavar="RUN", help="A run's id: see `atelier runs`.")]


@jobs.command()
def bulk(
    plan: PlanFile,
    allow_large: AllowLarge = False,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Make every asset of PLAN that does not stand yet, check, finish and pack it.

    Run it again after any interruption: what stands is reused.

    Exit codes: 0 all is well, 1 something failed, 2 the plan is faulty, 3 the numbers do not
    add up, 130 interrupted.
    """
    with exit_codes(as_json):
        written = _read(plan, allow_large)  # before Ray is even imported
        summary = _run(written, workers)
        print_result(summary, as_json, show_summary)
    raise typer.Exit(summary.exit_code)


@jobs.command("generate")
def generate_stage(
    plan: PlanFile,
    allow_large: AllowLarge = False,
    workers: Workers = None,
    as_json: AsJson = False,
) -> None:
    """Only make the images of PLAN's first round; check, finish and pack them later."""
    with exit_codes(as_json):
        written = _read(plan, allow_large)
        from jobs.generate_only import generate_only
        from jobs.render import show_generation

        generation = generate_only(written, Settings(), _progress(), workers=workers)
        print_result(generation, as_json, show_generation)
    raise typer.Exit(0 if generation.adds_up and not generation.failed else FAILED)


@jobs.command("check")
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


@jobs.command("finish")
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


@jobs.command("pack")
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


def _read(plan: Path, allow_large: bool) -> Plan:
    from app.registry.references import available_models

    return read_plan(plan, allow_large=allow_large, models=available_models(Settings()))


def _run(plan: Plan, workers: int | None) -> Summary:
    from jobs.bulk import bulk as run_bulk

    return run_bulk(plan, Settings(), _progress(), workers=workers)


jobs.command("submit")(submit_command)
jobs.command("stop")(stop_command)
jobs.command("floor")(floor_command)
jobs.command("bench")(bench)
jobs.command("bench-shares")(shares_command)
jobs.command("bench-cluster")(bench_cluster)
jobs.command("make-defects")(make_defects_command)
jobs.command("bench-checks")(bench_checks_command)
jobs.command("bench-refine")(bench_refine_command)
jobs.command("bench-review")(bench_review_command)
jobs.command("label-defects")(label_defects_command)
jobs.command("bench-typography")(bench_typography_command)


@jobs.command("bench-bulk")
def bench_bulk(
    assets: Annotated[int, typer.Option(min=1, help="How many assets to make.")] = 300,
    as_json: AsJson = False,
) -> None:
    """Run a plan in a fresh folder and print what generation takes of its wall and CPU time."""
    from jobs.bench.bulk.bench import bench_bulk

    with exit_codes(as_json):
        print_result(bench_bulk(assets), as_json, show_bulk_figures)


@jobs.command("bench-publish")
def bench_publish(
    rows: Annotated[
        list[int] | None, typer.Option(min=1, help="A size to run; repeat for more.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Stream plans of growing size through claim, echo and publish: rate and driver memory.

    A million rows take about an hour on two cores and 12 GB of temporary disk.
    """
    from jobs.bench.publish.bench import bench_publish as bench
    from jobs.render import show_publish_figures

    say = Console(stderr=True, highlight=False).print
    with exit_codes(as_json):
        print_result(bench(rows or [10_000, 100_000], say), as_json, show_publish_figures)


@jobs.command("bench-engine")
def bench_engine(
    rounds: Annotated[int, typer.Option(min=1, help="How often the contenders take turns.")] = 7,
    full_size: Annotated[
        bool, typer.Option("--full-size", help="SD3.5 Medium and Large on a GPU, nine minutes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Hold the step engine against a bare loop, diffusers' pipeline and whole-batch policies.

    Weights are random and nothing is downloaded; Ray is not needed. What counts are the ratios
    inside one run.
    """
    with exit_codes(as_json):
        if full_size:
            _bench_full_size(as_json)
        else:
            from jobs.bench.engine.bench import bench_engine as bench
            from jobs.bench.engine.bench import cpu_models
            from jobs.bench.engine.render import show_engine_figures

            say = Console(stderr=True, highlight=False).print
            print_result(bench(cpu_models(), rounds, say), as_json, show_engine_figures)


def _bench_full_size(as_json: bool) -> None:
    """Figures are told as they come: the machine may be gone before the end."""
    from jobs.bench.engine.full_size import FULL, bench_full_size
    from jobs.bench.engine.render import show_full_size_figures

    say = Console(stderr=as_json, highlight=False, soft_wrap=True).print
    figures = bench_full_size(FULL, say)
    print_result(figures, as_json, show_full_size_figures)
    if figures.failed:
        raise typer.Exit(FAILED)


@jobs.command("bench-serve")
def bench_serve(
    seconds: Annotated[
        float | None, typer.Option(min=1, help="Of arrivals, for each service, trace and load.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Little of everything, to try it out.")] = False,
    chart: Annotated[Path | None, typer.Option(help="Draw the figures into this PNG.")] = None,
    as_json: AsJson = False,
) -> None:
    """Hold the service against others over HTTP, on one model and the same arrivals.

    The others are Ray Serve as its own example has it, the same with batches, and LitServe
    where the extra `bench` is installed. Takes a quarter of an hour on two cores; on a machine
    that is busy otherwise it says little.
    """
    import asyncio

    from jobs.bench.serve.servers import missing_package

    signal.signal(signal.SIGTERM, signal.default_int_handler)  # what it started ends with it
    with exit_codes(as_json):
        if missing_package("httpx"):
            raise InvalidRequest(missing_package("httpx"))
        from jobs.bench.serve.bench import FULL, QUICK
        from jobs.bench.serve.bench import bench_serve as bench
        from jobs.bench.serve.render import draw_serve_figures, show_serve_figures

        say = Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print
        extent = QUICK if quick else FULL
        asked = extent.replace(seconds=seconds) if seconds else extent
        figures = asyncio.run(bench(asked, say))
        print_result(figures, as_json, show_serve_figures)
        if chart:
            draw_serve_figures(figures, chart)


@jobs.command("bench-routing")
def bench_routing(
    quick: Annotated[bool, typer.Option(help="Little of everything, to try it out.")] = False,
    chart: Annotated[Path | None, typer.Option(help="Draw the figures into this PNG.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make one plan by each model alone, by chance, and by the router; say what passed and cost.

    The router learns from another plan first. Contrasts follow: what draft and polish, type set
    as text, and polish for winners alone are worth. Some minutes on one core; CPU time is what
    counts, so other work on the machine changes little.
    """
    from jobs.bench.routing.bench import FULL, QUICK
    from jobs.bench.routing.bench import bench_routing as bench
    from jobs.bench.routing.render import draw_routing_figures, show_routing_figures

    with exit_codes(as_json):
        say = Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print
        figures = bench(QUICK if quick else FULL, say)
        print_result(figures, as_json, show_routing_figures)
        if chart:
            draw_routing_figures(figures, chart)


@jobs.command("trials")
def crash_tests_command(
    kind: Annotated[CrashTestKind, typer.Option(help="What is broken.")] = CrashTestKind.ALL,
    n: Annotated[int, typer.Option("--n", min=1, help="How many of each kind, at most.")] = 2,
    seed: Annotated[int, typer.Option(help="Chooses the moments and victims.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Break everything around a run in turn, and count what must never happen.

    N is, by kind: driver and worker, runs that are killed; poison, runs with a deadly and an
    endless request; point and syscall, points and calls of a publish at which it is killed or
    failed (all of them when N is large); writers, commits of each of four processes; rot, bits
    flipped. Everything is in temporary homes, with the echo in place of a model.

    Exit codes: 0 nothing broke, 1 a counter that must be 0 is not.
    """
    from jobs.crash_tests.command import run_crash_tests, show_crash_tests

    with exit_codes(as_json):
        say = Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print
        report = run_crash_tests(kind, n, seed, say)
        print_result(report, as_json, show_crash_tests)
    raise typer.Exit(0 if report.holds else FAILED)


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
    from jobs.train.starter.train import main

    sys.exit(main(context.args))


@jobs.command(
    "train-upscaler",
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    },
)
def train_upscaler(context: typer.Context) -> None:
    """Draw pairs, train the starter's upscaler, hold it against plain enlarging, write it."""
    from jobs.train.upscaler.train import main

    sys.exit(main(context.args))


@jobs.command(
    "train-looks",
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    },
)
def train_looks(context: typer.Context) -> None:
    """Spoil drawings and the starter's pictures, learn what is wrong, write the looks' folder."""
    from jobs.train.looks.train import main

    sys.exit(main(context.args))


if __name__ == "__main__":
    use_strict_blas()
    jobs()
