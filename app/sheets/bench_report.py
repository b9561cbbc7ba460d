"""The benchmark's report: figures, charts and images side by side, as one HTML file.

It needs no script, no network and no second file; its content policy allows only embedded images
and its own style. All text is escaped.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import floor, log10

from app.check.judge import severity
from app.registry.benchmark import (
    BenchmarkResult,
    ImageResult,
    ModelFigures,
    Participant,
    WorkItem,
    ranked_for,
)
from app.sheets.contact_sheet import environment
from app.sheets.entries import Pixels

MISSING = "\u2013"
"""Stands for a figure that was not measured."""

Pictures = Mapping[str, Mapping[tuple[int, int], Pixels]]
"""By reference, then by line and seed: uint8 RGBA."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One model's figure; `share` and `mark` go from 0 to 1, None where nothing was measured."""

    name: str
    place: int
    figure: str
    share: float | None
    mark: float | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Panel:
    """One chart: a bar for each model."""

    title: str
    hint: str
    bars: tuple[Bar, ...]


@dataclass(frozen=True, slots=True)
class Picture:
    """One image in its cell: the seed, the status, and the pixels if there are any."""

    seed: int
    status: str
    pixels: Pixels | None


@dataclass(frozen=True, slots=True)
class Cell:
    """One model's results on one line."""

    name: str
    place: int
    refused: str
    accepted: int
    images: int
    reasons: tuple[tuple[str, int], ...]
    pictures: tuple[Picture, ...]


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the workload."""

    work: WorkItem
    cells: tuple[Cell, ...]


def bench_report(benchmark: BenchmarkResult, pictures: Pictures) -> str:
    """Renders the page; the same benchmark and pictures give the same text."""
    by_reference = {participant.reference: participant for participant in benchmark.entrants}
    participants = [by_reference[figure.reference] for figure in benchmark.figures]
    page = environment().get_template("bench_report.html")
    return page.render(
        bench=benchmark,
        machines=tuple(dict.fromkeys(str(figure.machine) for figure in benchmark.figures)),
        panels=tuple(_panels(benchmark)),
        complaints=_rule_panels(benchmark),
        labels=tuple(_labels(benchmark)),
        rows=tuple(_rows(benchmark, participants, pictures)),
        said=number,
        percent=percent,
        seconds=seconds,
        usd=usd,
    )


def number(value: float | None) -> str:
    """Formats a figure with three digits; a dash for None."""
    if value is None:
        return MISSING
    return f"{value:,.3g}" if value < 1000 else f"{float(f'{value:.3g}'):,.0f}"


def percent(share: float | None) -> str:
    """Formats a share as a whole percentage; a dash for None."""
    return MISSING if share is None else f"{share:.0%}"


def seconds(value: float | None) -> str:
    """Formats seconds, or milliseconds below a tenth of a second; a dash for None."""
    if value is None:
        return MISSING
    return f"{value:.2f} s" if value >= 0.1 else f"{1000 * value:.3g} ms"


def usd(value: float | None) -> str:
    """Formats dollars with the digits that matter; a dash for None."""
    if value is None:
        return MISSING
    if value == 0:
        return "free"
    digits = 2 if value >= 1 else 1 - floor(log10(value))
    return f"${value:,.{digits}f}"


def _panels(benchmark: BenchmarkResult) -> Iterator[Panel]:
    yield _panel(
        "Accepted images a second" if benchmark.free else "Accepted images for a dollar",
        "a batch on one worker; longer is better" if benchmark.free else "longer is better",
        [
            (figure.accepted_per_second if benchmark.free else figure.accepted_per_usd)
            for figure in benchmark.figures
        ],
        benchmark,
        number,
    )
    yield _panel(
        "One image alone", "median by the clock, the line is the 95th percentile",
        [figure.median_seconds for figure in benchmark.figures], benchmark, seconds,
        marks=[figure.p95_seconds for figure in benchmark.figures],
    )  # fmt: skip
    yield _panel(
        "Accepted", "share of all requested images",
        [figure.acceptance for figure in benchmark.figures], benchmark, percent, whole=1.0,
    )  # fmt: skip
    if any(figure.legibility is not None for figure in benchmark.figures):
        yield _panel(
            "Text read as written", "by OCR; the line is people's rating",
            [figure.legibility for figure in benchmark.figures], benchmark, percent, whole=1.0,
            marks=[figure.human_score for figure in benchmark.figures],
        )  # fmt: skip


def _panel(
    title: str,
    hint: str,
    values: list[float | None],
    benchmark: BenchmarkResult,
    figure: Callable[[float | None], str],
    *,
    whole: float | None = None,
    marks: list[float | None] | None = None,
) -> Panel:
    beside = marks or [None] * len(values)
    largest = (
        whole or max((value for value in [*values, *beside] if value is not None), default=0) or 1
    )
    bars = (
        Bar(
            figures.named, place, figure(value),
            None if value is None else value / largest, None if mark is None else mark / largest,
        )
        for place, (figures, value, mark) in enumerate(
            zip(benchmark.figures, values, beside, strict=True)
        )
    )  # fmt: skip
    return Panel(title, hint, tuple(bars))


def _labels(benchmark: BenchmarkResult) -> Iterator[Panel]:
    """Yields one chart for each label: the models that can do it, the best value first."""
    places = {figure.reference: place for place, figure in enumerate(benchmark.figures)}
    for label in dict.fromkeys(name for figure in benchmark.figures for name in figure.labels):
        rows = ranked_for(label, benchmark.figures)
        worth = [
            label_figures.accepted_per_second
            if benchmark.free
            else 1 / label_figures.usd_per_accepted
            if label_figures.usd_per_accepted
            else None
            for _, label_figures in rows
        ]
        largest = max((value for value in worth if value), default=1)
        bars = (
            Bar(
                row.named, places[row.reference],
                number(value) if benchmark.free else usd(label_figures.usd_per_accepted),
                None if value is None else value / largest,
                note=f"{label_figures.accepted} of {label_figures.images}",
            )
            for (row, label_figures), value in zip(rows, worth, strict=True)
        )  # fmt: skip
        hint = "accepted images a second" if benchmark.free else "cost of one accepted image"
        yield Panel(label, hint, tuple(bars))


def _rule_panels(benchmark: BenchmarkResult) -> tuple[Panel, ...]:
    """Returns one chart for each rule that was broken, the most frequent first."""
    spoken = Counter[str]()
    for figure in benchmark.figures:
        spoken.update(figure.complaints)
    return tuple(
        Panel(
            check.replace("_", " "),
            "",
            tuple(
                _rule_bar(figure, check, place) for place, figure in enumerate(benchmark.figures)
            ),
        )
        for check, _ in spoken.most_common()
    )


def _rule_bar(figures: ModelFigures, check: str, place: int) -> Bar:
    times = figures.complaints.get(check, 0)
    figure = f"{times} of {figures.images}"
    return Bar(figures.named, place, figure, times / figures.images if figures.images else None)


def _rows(
    benchmark: BenchmarkResult, participants: list[Participant], pictures: Pictures
) -> Iterator[Row]:
    for index, work in enumerate(benchmark.works):
        cells = (
            _cell(participant, place, index, pictures.get(participant.reference, {}))
            for place, participant in enumerate(participants)
        )
        yield Row(work, tuple(cells))


def _cell(
    participant: Participant, place: int, index: int, pictures: Mapping[tuple[int, int], Pixels]
) -> Cell:
    shots = [shot for shot in participant.shots if shot.work == index]
    gravest = sorted(shots, key=_gravity, reverse=True)
    reasons = Counter(reason for shot in gravest for reason in map(_plain, shot.reasons))
    return Cell(
        name=participant.named,
        place=place,
        refused=participant.refused.get(index, ""),
        accepted=sum(shot.accepted for shot in shots),
        images=len(shots),
        reasons=tuple(reasons.most_common(3)),
        pictures=tuple(
            Picture(shot.seed, _status(shot), pictures.get((index, shot.seed)))
            for shot in shots
            if (index, shot.seed) in pictures or (shot.verdict is None and shot.seed == 0)
        ),
    )


def _gravity(shot: ImageResult) -> int:
    return 9 if shot.verdict is None else severity(shot.verdict)


def _status(shot: ImageResult) -> str:
    return "failed" if shot.verdict is None else str(shot.verdict)


def _plain(reason: str) -> str:
    """Returns the reason without its number, so that equal reasons are counted together."""
    complaint, colon, rest = reason.partition(": ")
    return complaint if colon and "(rule:" in rest else reason
