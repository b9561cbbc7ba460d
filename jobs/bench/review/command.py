"""The commands `bench-review` and `label-defects`: their options and their output."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

from app.cli.output import AsJson, exit_codes, make_console, print_result
from jobs.bench.checks.command import Painted, PartOf, Seed
from jobs.bench.review.bench import FULL, QUICK, ReviewFigures, bench_review
from jobs.train.defects.labels import WrittenLabels, write_labels
from jobs.train.defects.sources import WorldPart
from jobs.train.defects.world import WorldExtent


def bench_review_command(
    quick: Annotated[bool, typer.Option(help="Little of everything, to try it out.")] = False,
    as_json: AsJson = False,
) -> None:
    """Simulate a reviewer who errs over three rounds of images with defects, twenty times.

    Prints the share left for people in each round, what escapes, and how often the rate of false
    accepts on held-out images is above the promised one. Some minutes on one core.

    Exit codes: 0 all is well, 1 the share for people rose, or the rate was not kept.
    """
    from app.cli.output import FAILED
    from jobs.bench.checks.bench import starter_critic

    with exit_codes(as_json):
        say = Console(stderr=True, highlight=False, soft_wrap=True, markup=False).print
        figures = bench_review(QUICK if quick else FULL, starter_critic(), say)
        print_result(figures, as_json, show_review_figures)
    if not (quick or (figures.share_falls and figures.within_rate)):
        raise typer.Exit(FAILED)


def label_defects_command(
    out: Annotated[Path, typer.Option(dir_okay=False, help="A new file, in JSON lines.")],
    count: Annotated[
        int, typer.Option(min=1, max=1000, help="Pictures of each class and severity.")
    ] = 10,
    controls: Annotated[int, typer.Option(min=0, max=50_000, help="Untouched drawings.")] = 1000,
    seed: Seed = 0,
    part: PartOf = WorldPart.TRAINING,
    image: Painted = True,
    as_json: AsJson = False,
) -> None:
    """Write the scores of a set of defects with the truth about each image.

    `atelier checks calibrate --from FILE` learns from it. The shares of good and bad images follow
    the options: a calibration from the file keeps its rates where images fail as often, and in the
    same ways.
    """
    from jobs.bench.checks.bench import starter_critic
    from jobs.train.defects.judging import SampleJudge

    with exit_codes(as_json):
        extent = WorldExtent(count, controls, seed, part, painted=image)
        print_result(
            write_labels(out, extent, SampleJudge(starter_critic())), as_json, _show_written
        )


def show_review_figures(figures: ReviewFigures) -> None:
    """Prints a row for each round, and whether the promises were kept."""
    out = make_console()
    out.print(
        f"{figures.passed} of {figures.pictures} pictures pass the rules, "
        f"{figures.bad / figures.passed:.1%} of them bad; reviewers err at {figures.errors:.0%}; "
        f"promised: {figures.false_accepts:.0%} false accepts at {figures.confidence:.0%}"
    )
    table = Table(
        "round", "for people", "of resamples", "accepted alone", "refused alone", "escapes",
        "held out", "at most", "beyond the rate", box=None,
    )  # fmt: skip
    for row in figures.rounds:
        table.add_row(
            str(row.number), f"{row.people:.1%}", f"{row.least:.0%} to {row.most:.0%}",
            f"{row.accepted:.1%}", f"{row.refused:.1%}", _share(row.escapes),
            _share(row.held_out), f"{row.highest:.2%}", f"{row.beyond} of {figures.resamples}",
        )  # fmt: skip
    out.print(table)
    falls = "falls" if figures.share_falls else "does not fall"
    kept = "is kept" if figures.within_rate else "is not kept"
    out.print(f"the share for people {falls} with every round; the rate {kept}")


def _show_written(written: WrittenLabels) -> None:
    make_console().print(
        f"{written.file}: {written.good} good, {written.bad} bad; the rules accept {written.passed}"
    )


def _share(rate: float | None) -> str:
    return "-" if rate is None else f"{rate:.2%}"
