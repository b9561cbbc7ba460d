"""Prints the figures of `bench-review`, and says which promises they must keep."""

from collections.abc import Iterator

from app.cli.output import make_console
from app.cli.tables import Table, escape, number, percent, right
from jobs.bench.checks.bench import starter_critic
from jobs.bench.harness import Benchmark, Goal
from jobs.bench.review.bench import ReviewFigures, ReviewSettings, bench_review
from jobs.train.defects.labels import WrittenLabels

FULL = ReviewSettings()


def show_review_figures(figures: ReviewFigures) -> None:
    """Prints a row for each round."""
    out = make_console()
    out.print(
        f"{figures.passed} of {figures.pictures} images pass the rules, "
        f"{figures.bad / figures.passed:.1%} of them bad; reviewers err at {figures.errors:.0%}; "
        f"promised: {figures.false_accepts:.0%} false accepts at {figures.confidence:.0%}"
    )
    table = Table(
        "round", "for people", "of resamples", "accepted alone", "refused alone", "escapes",
        "held out", "at most", "beyond the rate",
    )  # fmt: skip
    for row in figures.rounds:
        table.add(
            row.number, percent(row.people), right(f"{row.least:.0%} to {row.most:.0%}"),
            percent(row.accepted), percent(row.refused), number(row.escapes, ".2%"),
            number(row.held_out, ".2%"), number(row.highest, ".2%"),
            right(f"{row.beyond} of {figures.resamples}"),
        )  # fmt: skip
    out.print(table)


def show_labels(written: WrittenLabels) -> None:
    """Prints how many labels of good and bad images were written, and where."""
    make_console().print(
        f"{escape(written.file)}: {written.good} good, {written.bad} bad; the rules accept "
        f"{written.passed}"
    )


def review_goals(figures: ReviewFigures) -> Iterator[Goal]:
    """Yields the promises; few resamples, as in a quick run, prove neither."""
    required = figures.resamples >= FULL.resamples
    yield Goal("the share for people falls with every round", figures.share_falls, required)
    yield Goal("the rate of false accepts is kept", figures.within_rate, required)


BENCHMARK = Benchmark(
    full=FULL,
    quick=ReviewSettings(pictures=900, each=200, resamples=2, false_accepts=0.1),
    measure=lambda settings, say: bench_review(settings, starter_critic(), say),
    show=show_review_figures,
    goals=review_goals,
)
