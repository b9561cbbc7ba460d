"""The benchmark's report: figures, charts and pictures side by side, as one HTML file.

It needs no script, no network and no second file; its content policy allows nothing but pictures
from within and the one style it was written with. All text is data.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from math import floor, log10

from app.check.judge import gravity
from app.registry.benchmark import Bench, Entrant, Figures, Shot, Work, ranked_for
from app.sheets.contact_sheet import environment
from app.sheets.entries import Pixels

NOTHING = "\u2013"
"""In place of a figure that nobody measured."""

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
    """One picture in its cell: the seed, what was said, and pixels where it came."""

    seed: int
    status: str
    pixels: Pixels | None


@dataclass(frozen=True, slots=True)
class Cell:
    """What one model made of one line."""

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

    work: Work
    cells: tuple[Cell, ...]


def bench_report(found: Bench, pictures: Pictures) -> str:
    """The page; the same benchmark and pictures give the same text."""
    by_reference = {one.reference: one for one in found.entrants}
    entrants = [by_reference[one.reference] for one in found.figures]
    page = environment().get_template("bench_report.html")
    return page.render(
        bench=found,
        machines=tuple(dict.fromkeys(str(one.machine) for one in found.figures)),
        panels=tuple(_panels(found)),
        complaints=_complaints(found),
        labels=tuple(_labels(found)),
        rows=tuple(_rows(found, entrants, pictures)),
        said=said,
        percent=percent,
        seconds=seconds,
        usd=usd,
    )


def said(value: float | None) -> str:
    """A figure with three digits; a dash where there is none."""
    if value is None:
        return NOTHING
    return f"{value:,.3g}" if value < 1000 else f"{float(f'{value:.3g}'):,.0f}"


def percent(share: float | None) -> str:
    """A share as whole per cents."""
    return NOTHING if share is None else f"{share:.0%}"


def seconds(value: float | None) -> str:
    """Seconds, or milliseconds below a tenth."""
    if value is None:
        return NOTHING
    return f"{value:.2f} s" if value >= 0.1 else f"{1000 * value:.3g} ms"


def usd(value: float | None) -> str:
    """Dollars to the digits that matter."""
    if value is None:
        return NOTHING
    if value == 0:
        return "free"
    digits = 2 if value >= 1 else 1 - floor(log10(value))
    return f"${value:,.{digits}f}"


def _panels(found: Bench) -> Iterator[Panel]:
    yield _panel(
        "Accepted images a second" if found.free else "Accepted images for a dollar",
        "a batch on one worker; longer is better" if found.free else "longer is better",
        [
            (one.accepted_per_second if found.free else one.accepted_per_usd)
            for one in found.figures
        ],
        found,
        said,
    )
    yield _panel(
        "One image alone", "median by the clock, the line is the 95th percentile",
        [one.median_seconds for one in found.figures], found, seconds,
        marks=[one.p95_seconds for one in found.figures],
    )  # fmt: skip
    yield _panel(
        "Accepted", "share of all that were asked for",
        [one.acceptance for one in found.figures], found, percent, whole=1.0,
    )  # fmt: skip
    if any(one.legibility is not None for one in found.figures):
        yield _panel(
            "Text read as written", "by OCR; the line is what people say",
            [one.legibility for one in found.figures], found, percent, whole=1.0,
            marks=[one.human_score for one in found.figures],
        )  # fmt: skip


def _panel(
    title: str,
    hint: str,
    values: list[float | None],
    found: Bench,
    figure: Callable[[float | None], str],
    *,
    whole: float | None = None,
    marks: list[float | None] | None = None,
) -> Panel:
    beside = marks or [None] * len(values)
    largest = whole or max((one for one in [*values, *beside] if one is not None), default=0) or 1
    bars = (
        Bar(
            one.named, place, figure(value),
            None if value is None else value / largest, None if mark is None else mark / largest,
        )
        for place, (one, value, mark) in enumerate(
            zip(found.figures, values, beside, strict=True)
        )
    )  # fmt: skip
    return Panel(title, hint, tuple(bars))


def _labels(found: Bench) -> Iterator[Panel]:
    """One chart for each label: whoever can do it, the best for the money first."""
    places = {one.reference: place for place, one in enumerate(found.figures)}
    for label in dict.fromkeys(name for one in found.figures for name in one.labels):
        rows = ranked_for(label, found.figures)
        worth = [
            one.accepted_per_second
            if found.free
            else 1 / one.usd_per_accepted
            if one.usd_per_accepted
            else None
            for _, one in rows
        ]
        largest = max((one for one in worth if one), default=1)
        bars = (
            Bar(
                row.named, places[row.reference],
                said(value) if found.free else usd(one.usd_per_accepted),
                None if value is None else value / largest,
                note=f"{one.accepted} of {one.images}",
            )
            for (row, one), value in zip(rows, worth, strict=True)
        )  # fmt: skip
        hint = "accepted images a second" if found.free else "what one accepted image costs"
        yield Panel(label, hint, tuple(bars))


def _complaints(found: Bench) -> tuple[Panel, ...]:
    """One chart for each rule that spoke, the most frequent first: shares of a model's images."""
    spoken = Counter[str]()
    for one in found.figures:
        spoken.update(one.complaints)
    return tuple(
        Panel(
            check.replace("_", " "),
            "",
            tuple(_spoke(one, check, place) for place, one in enumerate(found.figures)),
        )
        for check, _ in spoken.most_common()
    )


def _spoke(one: Figures, check: str, place: int) -> Bar:
    times = one.complaints.get(check, 0)
    figure = f"{times} of {one.images}"
    return Bar(one.named, place, figure, times / one.images if one.images else None)


def _rows(found: Bench, entrants: list[Entrant], pictures: Pictures) -> Iterator[Row]:
    for index, work in enumerate(found.works):
        cells = (
            _cell(one, place, index, pictures.get(one.reference, {}))
            for place, one in enumerate(entrants)
        )
        yield Row(work, tuple(cells))


def _cell(one: Entrant, place: int, index: int, pictures: Mapping[tuple[int, int], Pixels]) -> Cell:
    shots = [shot for shot in one.shots if shot.work == index]
    gravest = sorted(shots, key=_gravity, reverse=True)
    reasons = Counter(reason for shot in gravest for reason in map(_plain, shot.reasons))
    return Cell(
        name=one.named,
        place=place,
        refused=one.refused.get(index, ""),
        accepted=sum(shot.accepted for shot in shots),
        images=len(shots),
        reasons=tuple(reasons.most_common(3)),
        pictures=tuple(
            Picture(shot.seed, _status(shot), pictures.get((index, shot.seed)))
            for shot in shots
            if (index, shot.seed) in pictures or (shot.verdict is None and shot.seed == 0)
        ),
    )


def _gravity(shot: Shot) -> int:
    return 9 if shot.verdict is None else gravity(shot.verdict)


def _status(shot: Shot) -> str:
    return "failed" if shot.verdict is None else str(shot.verdict)


def _plain(reason: str) -> str:
    """Without its number, so that like reasons are counted together."""
    complaint, colon, rest = reason.partition(": ")
    return complaint if colon and "(rule:" in rest else reason
