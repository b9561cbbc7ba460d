"""`python -m jobs dev ...`: benchmarks of Atelier itself, training, and crash tests."""

import sys
from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from app.cli.forward import FORWARDED
from app.cli.output import FAILED, AsJson, exit_codes, print_result, say
from jobs.bench.benchmarks import BENCHMARKS, Painted, Part, Seed
from jobs.crash_tests.counters import CrashTestKind

dev = typer.Typer(
    help="For developers of Atelier: benchmarks of itself, training, crash tests.",
    no_args_is_help=True,
    add_completion=False,
)
for benchmark in BENCHMARKS:
    dev.command()(benchmark)

Count = Annotated[int, typer.Option(min=1, max=1000, help="Images of each class and severity.")]
Controls = Annotated[int, typer.Option(min=0, max=50_000, help="Untouched drawings.")]


@dev.command("make-defects")
def make_defects_command(
    out: Annotated[Path, typer.Option(file_okay=False, help="A new folder.")],
    count: Count = 10,
    controls: Controls = 100,
    seed: Seed = 0,
    part: Part = "evaluation",
    painted: Painted = True,
    as_json: AsJson = False,
) -> None:
    """Make images with every named defect at three severities, with untouched controls.

    Each file has a line in `manifest.jsonl`: the defect, its severity, what it was made from and
    which measure should find it. The same options write the same bytes.
    """
    with exit_codes(as_json):
        from jobs.bench.checks.render import show_written
        from jobs.train.defects.make_defects import make_defects
        from jobs.train.defects.sources import WorldPart
        from jobs.train.defects.world import WorldExtent

        extent = WorldExtent(count, controls, seed, WorldPart(part), painted=painted)
        print_result(make_defects(out, extent), as_json, show_written)


@dev.command("label-defects")
def label_defects_command(
    out: Annotated[Path, typer.Option(dir_okay=False, help="A new file, in JSON lines.")],
    count: Count = 10,
    controls: Controls = 1000,
    seed: Seed = 0,
    part: Part = "training",
    painted: Painted = True,
    as_json: AsJson = False,
) -> None:
    """Write the scores of a set of defects with the truth about each image.

    `atelier checks calibrate --from FILE` learns from it. The shares of good and bad images follow
    the options: a calibration from the file keeps its rates where images fail as often, and in the
    same ways.
    """
    with exit_codes(as_json):
        from jobs.bench.checks.bench import starter_critic
        from jobs.bench.review.render import show_labels
        from jobs.train.defects.judging import SampleJudge
        from jobs.train.defects.labels import write_labels
        from jobs.train.defects.sources import WorldPart
        from jobs.train.defects.world import WorldExtent

        extent = WorldExtent(count, controls, seed, WorldPart(part), painted=painted)
        labels = write_labels(out, extent, SampleJudge(starter_critic()))
        print_result(labels, as_json, show_labels)


@dev.command("crash-tests")
def crash_tests_command(
    kind: Annotated[CrashTestKind, typer.Option(help="What is broken.")] = CrashTestKind.ALL,
    n: Annotated[int, typer.Option("--n", min=1, help="How many of each kind, at most.")] = 2,
    seed: Annotated[int, typer.Option(help="Chooses the moments and victims.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Break every part of a run in turn, and count what must never happen.

    N is, by kind: driver and worker, runs that are killed; poison, runs with a request that kills
    its worker and one that hangs it; point and syscall, points and calls of a publish at which it
    is killed or failed (all of them when N is large); writers, commits of each of four processes;
    rot, bits flipped. Everything is in temporary homes, with the echo in place of a model.

    Exit codes: 0 nothing broke, 1 a counter that must be 0 is not.
    """
    with exit_codes(as_json):
        from jobs.crash_tests.command import run_crash_tests, show_crash_tests

        report = run_crash_tests(kind, n, seed, say)
        print_result(report, as_json, show_crash_tests)
    raise typer.Exit(0 if report.holds else FAILED)


TRAININGS = {
    "starter": "Draw the data, train the starter model and its critic, score them, write the "
    "folder.",
    "upscaler": "Draw pairs, train the starter's upscaler, compare it with plain enlarging, write "
    "it.",
    "looks": "Damage drawings and the starter's images, train the looks model on them, write its "
    "folder.",
}


def _add_training(name: str, summary: str) -> None:
    """Adds a command that passes all its arguments, with --help, to the training's own program."""

    def train(context: typer.Context) -> None:
        sys.exit(import_module(f"jobs.train.{name}.train").main(context.args))

    dev.command(f"train-{name}", help=summary, context_settings=FORWARDED)(train)


for name, summary in TRAININGS.items():
    _add_training(name, summary)
