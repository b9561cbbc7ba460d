"""The commands `bench-...`: the options that only one benchmark has, and the help of each.

Every command imports its benchmark when it runs, so that help is quick.
"""

from pathlib import Path
from typing import Annotated, Literal

import typer

from app.errors import InvalidRequest
from jobs.bench.harness import AnyBenchmark, benchmark_command

Seed = Annotated[int, typer.Option(min=0, max=99, help="Which of the hundred worlds.")]
Part = Annotated[
    Literal["evaluation", "training"],
    typer.Option(help="Whose seeds: what is learned from one is measured on the other."),
]
Painted = Annotated[
    bool, typer.Option("--painted/--drawn", help="With the starter's images, or only drawn ones.")
]


@benchmark_command()
def bench_bulk(
    assets: Annotated[
        int | None, typer.Option(min=1, help="Assets to make.", show_default="300")
    ] = None,
) -> AnyBenchmark:
    """Run a plan in a fresh folder and print the share of generation in its wall and CPU time."""
    from jobs.bench.bulk.bench import BENCHMARK

    return BENCHMARK.given(assets=assets)


@benchmark_command()
def bench_publish(
    rows: Annotated[
        list[int] | None,
        typer.Option(min=1, help="A size to run; repeat for more.", show_default="10000, 100000"),
    ] = None,
) -> AnyBenchmark:
    """Stream plans of growing size through claim, echo and publish: rate and driver memory.

    A million rows take about an hour on two cores and 12 GB of temporary disk.
    """
    from jobs.bench.publish.bench import BENCHMARK

    return BENCHMARK.given(rows=rows or None)


@benchmark_command()
def bench_engine(
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Turns of each contender.", show_default="7")
    ] = None,
    full_size: Annotated[
        bool,
        typer.Option(
            "--full-size",
            help="SD3.5 Medium and Large on a GPU, nine minutes; exit code 1 when a section fails.",
        ),
    ] = False,
) -> AnyBenchmark:
    """Compare the step engine with a bare loop, diffusers' pipeline and whole-batch policies.

    Weights are random and nothing is downloaded; Ray is not needed. Only the ratios within one run
    count.
    """
    from jobs.bench.engine.render import BENCHMARK, FULL_SIZE

    return FULL_SIZE if full_size else BENCHMARK.given(rounds=rounds)


@benchmark_command()
def bench_rows(
    threads: Annotated[
        int | None, typer.Option(min=1, help="CPU threads of a pass.", show_default="1")
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Passes of each row count.", show_default="9")
    ] = None,
) -> AnyBenchmark:
    """Measure a pass of the starter by its rows, and find the row counts with the same bits.

    In MKL's strict mode; MKL_CBWR=OFF in the environment measures without it.
    """
    from jobs.bench.engine.row_counts import BENCHMARK

    return BENCHMARK.given(threads=threads, rounds=rounds)


@benchmark_command(charts=True)
def bench_serve(
    seconds: Annotated[
        float | None,
        typer.Option(
            min=1, help="Of arrivals, for each service, trace and load.", show_default="12"
        ),
    ] = None,
) -> AnyBenchmark:
    """Compare the service with others over HTTP, on one model and the same arrivals.

    The others are Ray Serve as in its own example, the same with batches, and LitServe where the
    extra `bench` is installed. Takes a quarter of an hour on two cores; on a busy machine the
    figures mean little.
    """
    from jobs.bench.serve.servers import missing_package

    if problem := missing_package("httpx"):
        raise InvalidRequest(problem)
    from jobs.bench.serve.render import BENCHMARK

    return BENCHMARK.given(seconds=seconds)


@benchmark_command(charts=True)
def bench_routing() -> AnyBenchmark:
    """Make one plan by each model alone, at random, and by the router; print what passed and cost.

    The router learns from another plan first. Comparisons follow: the value of draft and polish, of
    text set as text, and of polish for winners alone. Some minutes on one core; CPU time is
    counted, so other work on the machine changes little.
    """
    from jobs.bench.routing.render import BENCHMARK

    return BENCHMARK


@benchmark_command()
def bench_refine() -> AnyBenchmark:
    """Try failed assets again by the next seed and with a reason; count attempts for an accepted
    asset.

    Plans with poor settings and a weakened model are made in this process; which changes help is
    learned from one set of assets and tested on another. Some minutes on one core.
    """
    from jobs.bench.refine.render import BENCHMARK

    return BENCHMARK


@benchmark_command()
def bench_review() -> AnyBenchmark:
    """Simulate a reviewer who errs over three rounds of images with defects, twenty times.

    Prints the share left for people in each round, what escapes, and how often the rate of false
    accepts on held-out images is above the promised one. Some minutes on one core.

    Exit codes: 0 all is well, 1 the share for people rose, or the rate was not kept.
    """
    from jobs.bench.review.render import BENCHMARK

    return BENCHMARK


@benchmark_command()
def bench_typography(
    count: Annotated[
        int | None, typer.Option(min=1, max=100, help="Read the first texts.", show_default="100")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(file_okay=False, help="For the images that were misread.")
    ] = None,
) -> AnyBenchmark:
    """Let the starter draw a hundred texts, and the typography role set them; read both by OCR.

    Some minutes on one core. Exit codes: 0 all is well, 1 set text is misread, plain print is not.
    """
    from jobs.bench.typography.bench import BENCHMARK

    return BENCHMARK.given(count=count, out=out)


@benchmark_command(charts=True)
def bench_checks(
    count: Annotated[
        int | None,
        typer.Option(min=1, max=1000, help="Images of each class and severity.", show_default="60"),
    ] = None,
    controls: Annotated[
        int | None,
        typer.Option(min=1, max=50_000, help="Untouched drawings.", show_default="1000"),
    ] = None,
    seed: Seed = 0,
    part: Part = "evaluation",
    painted: Painted = True,
    out: Annotated[
        Path | None,
        typer.Option(file_okay=False, help="For figures.json, a chart and a sheet to look at."),
    ] = None,
) -> AnyBenchmark:
    """Measure the checks on a set of defects: what is found, false alarms, and the cost of each
    check.

    Costs are CPU time of one thread, so other work on the machine changes them little.

    Exit codes: 0 all is well, 1 a deterministic defect was missed or a clean drawing refused.
    """
    from jobs.bench.checks.render import checks_benchmark
    from jobs.train.defects.sources import WorldPart

    return checks_benchmark(out).given(
        count=count, controls=controls, number=seed, part=WorldPart(part), painted=painted
    )


@benchmark_command()
def bench_cluster(
    section: Annotated[
        list[str] | None,
        typer.Option(
            help="One of those below; repeat for more.", show_default="all, or kills with --quick"
        ),
    ] = None,
) -> AnyBenchmark:
    """Kill, drain, add and remove machines under runs, and count what must never happen.

    The machines are Ray's own nodes as processes of this one, and an image is a fixed sleep in
    place of a GPU's time. scaling runs a plan on 1, 2, 4 and 8 of them; kills and drains hit 20
    each under 400 images; widths compares every byte made on 1, 2 and 3; siege removes all CPUs
    while images are made; pool lets Ray's autoscaler add machines and remove them; schedule raises
    their minimum ahead of a window; replicas scales a role of the service from none to several and
    back; exposure calls every socket of a cluster without its token. Takes most of an hour on two
    cores; another Ray on this machine is left alone.

    Exit codes: 0 nothing broke, 1 a counter that must be 0 is not.
    """
    from jobs.bench.cluster.bench import Section
    from jobs.bench.cluster.render import BENCHMARK

    known = [section.value for section in Section]
    if unknown := sorted(set(section or []) - set(known)):
        raise InvalidRequest(f"no section {', '.join(unknown)}; use {', '.join(known)}")
    return BENCHMARK.given(sections=tuple(map(Section, section or [])) or None)


@benchmark_command()
def bench_shares(
    virtual: Annotated[bool, typer.Option("--virtual", help="Leave the real model out.")] = False,
) -> AnyBenchmark:
    """Measure the shares of teams by weight, the wait of previews under bulk, and model loads.

    In virtual time, so the figures are the same everywhere; then the starter for real, a minute or
    two of CPU time, which other work on the machine changes little. Missed goals are named.
    """
    from jobs.bench.shares.render import BENCHMARK

    return BENCHMARK.given(rounds=0 if virtual else None)


BENCHMARKS = (
    bench_bulk, bench_publish, bench_engine, bench_rows, bench_serve, bench_routing, bench_refine,
    bench_review, bench_typography, bench_checks, bench_cluster, bench_shares,
)  # fmt: skip
