"""`python -m jobs dev ...`: benchmarks of Atelier itself, training, and crash tests."""

import signal
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from app.cli.output import FAILED, AsJson, exit_codes, print_result
from app.errors import InvalidRequest
from jobs.bench.checks.command import bench_checks_command, make_defects_command
from jobs.bench.cluster.command import bench_cluster
from jobs.bench.refine.command import bench_refine_command
from jobs.bench.review.command import bench_review_command, label_defects_command
from jobs.bench.shares.command import shares_command
from jobs.bench.typography.command import bench_typography_command
from jobs.crash_tests.counters import CrashTestKind

dev = typer.Typer(
    help="For developers of Atelier: benchmarks of itself, training, crash tests.",
    no_args_is_help=True,
    add_completion=False,
)
dev.command("bench-shares")(shares_command)
dev.command("bench-cluster")(bench_cluster)
dev.command("make-defects")(make_defects_command)
dev.command("bench-checks")(bench_checks_command)
dev.command("bench-refine")(bench_refine_command)
dev.command("bench-review")(bench_review_command)
dev.command("label-defects")(label_defects_command)
dev.command("bench-typography")(bench_typography_command)


@dev.command("bench-bulk")
def bench_bulk(
    assets: Annotated[int, typer.Option(min=1, help="How many assets to make.")] = 300,
    as_json: AsJson = False,
) -> None:
    """Run a plan in a fresh folder and print the share of generation in its wall and CPU time."""
    from jobs.bench.bulk.bench import bench_bulk as bench
    from jobs.bench.bulk.bench import show_bulk_figures

    with exit_codes(as_json):
        print_result(bench(assets), as_json, show_bulk_figures)


@dev.command("bench-publish")
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
    from jobs.bench.publish.bench import show_publish_figures

    say = Console(stderr=True, highlight=False).print
    with exit_codes(as_json):
        print_result(bench(rows or [10_000, 100_000], say), as_json, show_publish_figures)


@dev.command("bench-rows")
def bench_rows(
    threads: Annotated[int, typer.Option(min=1, help="CPU threads of a pass.")] = 1,
    rounds: Annotated[int, typer.Option(min=1, help="Passes of each row count.")] = 9,
    as_json: AsJson = False,
) -> None:
    """Measure a pass of the starter by its rows, and find the row counts with the same bits.

    In MKL's strict mode; MKL_CBWR=OFF in the environment measures without it.
    """
    from jobs.bench.engine.row_counts import measure_row_counts, show_row_counts

    with exit_codes(as_json):
        print_result(measure_row_counts(threads, rounds), as_json, show_row_counts)


@dev.command("bench-engine")
def bench_engine(
    rounds: Annotated[int, typer.Option(min=1, help="How often the contenders take turns.")] = 7,
    full_size: Annotated[
        bool, typer.Option("--full-size", help="SD3.5 Medium and Large on a GPU, nine minutes.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Compare the step engine with a bare loop, diffusers' pipeline and whole-batch policies.

    Weights are random and nothing is downloaded; Ray is not needed. Only the ratios within one run
    count.
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
    """Prints figures as they are measured: the machine may be gone before the end."""
    from jobs.bench.engine.full_size import FULL, bench_full_size
    from jobs.bench.engine.render import show_full_size_figures

    say = Console(stderr=as_json, highlight=False, soft_wrap=True).print
    figures = bench_full_size(FULL, say)
    print_result(figures, as_json, show_full_size_figures)
    if figures.failed:
        raise typer.Exit(FAILED)


@dev.command("bench-serve")
def bench_serve(
    seconds: Annotated[
        float | None, typer.Option(min=1, help="Of arrivals, for each service, trace and load.")
    ] = None,
    quick: Annotated[bool, typer.Option(help="Little of everything, to try it out.")] = False,
    chart: Annotated[Path | None, typer.Option(help="Draw the figures into this PNG.")] = None,
    as_json: AsJson = False,
) -> None:
    """Compare the service with others over HTTP, on one model and the same arrivals.

    The others are Ray Serve as in its own example, the same with batches, and LitServe where the
    extra `bench` is installed. Takes a quarter of an hour on two cores; on a busy machine the
    figures mean little.
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


@dev.command("bench-routing")
def bench_routing(
    quick: Annotated[bool, typer.Option(help="Little of everything, to try it out.")] = False,
    chart: Annotated[Path | None, typer.Option(help="Draw the figures into this PNG.")] = None,
    as_json: AsJson = False,
) -> None:
    """Make one plan by each model alone, at random, and by the router; print what passed and cost.

    The router learns from another plan first. Comparisons follow: the value of draft and polish, of
    text set as text, and of polish for winners alone. Some minutes on one core; CPU time is
    counted, so other work on the machine changes little.
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


@dev.command("crash-tests")
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


@dev.command(
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


@dev.command(
    "train-upscaler",
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    },
)
def train_upscaler(context: typer.Context) -> None:
    """Draw pairs, train the starter's upscaler, compare it with plain enlarging, write it."""
    from jobs.train.upscaler.train import main

    sys.exit(main(context.args))


@dev.command(
    "train-looks",
    context_settings={
        "allow_extra_args": True,
        "ignore_unknown_options": True,
        "help_option_names": [],
    },
)
def train_looks(context: typer.Context) -> None:
    """Damage drawings and the starter's images, train the looks model on them, write its folder."""
    from jobs.train.looks.train import main

    sys.exit(main(context.args))
