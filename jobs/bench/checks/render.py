"""Prints the figures of the checks, and draws the defects and recalls."""

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from app.check.planes import Pixels
from app.cli.output import Say, make_console
from app.cli.tables import Table, escape, number, percent
from app.errors import BadImage, InvalidRequest
from app.image.png import read_any_png
from jobs.bench.checks.bench import (
    ALARM_GOAL,
    GOAL,
    MILLISECONDS_GOAL,
    QUICK,
    SHARE_GOAL,
    CheckFigures,
    DefectCell,
    ShownSamples,
    bench_checks,
)
from jobs.bench.checks.costs import ALL_CHECKS, SIDES
from jobs.bench.harness import Benchmark, Goal, at_least, at_most
from jobs.train.defects.make_defects import WrittenWorld
from jobs.train.defects.registry import SEVERITIES
from jobs.train.defects.world import CONTROL, WorldExtent
from jobs.train.starter.data import save_sheet

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_TILE, _LABEL = 72, 150
_INK = {1: "#94a3b8", 2: "#2563eb", 3: "#c2410c"}


def show_written(world: WrittenWorld) -> None:
    """Prints how many files and classes were written."""
    total = sum(world.classes.values())
    spoilt = len(world.classes.keys() - {CONTROL})
    make_console().print(
        f"{total} files of {spoilt} classes and controls in {escape(world.folder)}"
    )


def show_check_figures(figures: CheckFigures) -> None:
    """Prints recall by class and severity, false alarms, and costs."""
    out = make_console()
    for table in (_recalls(figures), _alarms(figures), _costs(figures)):
        out.print(table)


def check_goals(figures: CheckFigures) -> Iterator[Goal]:
    """Yields the goals of what is found, refused and spent; only the deterministic is required."""
    yield Goal(
        "every deterministic defect is found, and no clean drawing refused for one",
        figures.passes, required=True,
    )  # fmt: skip
    for cell in figures.cells:
        if cell.deterministic or cell.severity == 2:
            limit = 1.0 if cell.deterministic else GOAL
            yield at_least(
                f"{cell.defect} found at severity {cell.severity}", cell.by_limits, limit, ".0%"
            )
    for alarm in figures.alarms:
        yield at_most(f"{alarm.source} refused though good", alarm.by_limits, ALARM_GOAL, ".1%")
    large = figures.all_checks(512, opaque=True)
    yield at_most("milliseconds of all checks at 512 px", large, MILLISECONDS_GOAL, ".1f")
    if figures.share is not None:
        yield at_most("all checks over painting, at 64 px", figures.share, SHARE_GOAL, ".1%")


def _recalls(figures: CheckFigures) -> Table:
    table = Table(
        "defect", "of", "rules: 1", "2", "3", "limits: 1", "2", "3", "named: 2", "reference: 2",
        title="found, by severity",
    )  # fmt: skip
    for defect in dict.fromkeys(cell.defect for cell in figures.cells):
        cells = _of(figures, defect)
        medium = cells[1]
        table.add(
            defect + (" *" if medium.deterministic else ""),
            medium.count,
            *(number(cell.by_rules, ".0%") for cell in cells),
            *(number(cell.by_limits, ".0%") for cell in cells),
            number(medium.named, ".0%"),
            number(medium.by_reference, ".0%"),
        )
    return table


def _of(figures: CheckFigures, defect: str) -> list[DefectCell]:
    return [cell for cell in figures.cells if cell.defect == defect]


def _alarms(figures: CheckFigures) -> Table:
    table = Table(
        "untouched", "of", "by rules", "by limits", "near another", "broken limits",
        title=f"refused though good; the goal is {ALARM_GOAL:.0%}",
    )  # fmt: skip
    for alarm in figures.alarms:
        broken = ", ".join(f"{name} {count}" for name, count in alarm.limits_that_spoke.items())
        table.add(
            alarm.source, alarm.count, percent(alarm.by_rules), percent(alarm.by_limits),
            percent(alarm.near_duplicates), broken,
        )  # fmt: skip
    return table


def _costs(figures: CheckFigures) -> Table:
    sides = [f"{side} px" for side in SIDES]
    table = Table("check, ms of one core", *sides)
    for check in dict.fromkeys(cost.check for cost in figures.costs if cost.check != ALL_CHECKS):
        costs = [cost for cost in figures.costs if cost.check == check]
        table.add(check, *(number(cost.milliseconds, ".2f") for cost in costs))
    for label, opaque in ((f"{ALL_CHECKS}, without a reference", False), ("opaque", True)):
        totals = (figures.all_checks(side, opaque=opaque) for side in SIDES)
        table.add(label, *(number(total, ".2f") for total in totals))
    if figures.painting_milliseconds:
        blank = [""] * (len(SIDES) - 1)
        table.add("painting", number(figures.painting_milliseconds, ".2f"), *blank)
    return table


def draw_sheet(shown: ShownSamples, file: Path) -> None:
    """Writes a PNG with a row for each class: two images before, then by severity."""
    names = list(dict.fromkeys(defect for defect, _ in shown))
    rows = [_row(name, shown) for name in names]
    width = max(row.shape[1] for row in rows)
    padded = [np.pad(row, ((0, 0), (0, width - row.shape[1]), (0, 0))) for row in rows]
    save_sheet(np.concatenate(padded, axis=0)[None], 1, file)


def _row(name: str, shown: ShownSamples) -> Pixels:
    label = np.zeros((_TILE, _LABEL, 4), np.uint8)
    cv2.putText(label, name, (4, _TILE // 2), cv2.FONT_HERSHEY_SIMPLEX, 0.42, (20, 20, 20, 255), 1)
    tiles = [label]
    for index in range(max(len(shown[name, severity]) for severity in SEVERITIES)):
        cells = [shown[name, severity] for severity in SEVERITIES]
        some = [cell[min(index, len(cell) - 1)] for cell in cells]
        tiles += [
            _tile(some[0].good.pixels),
            *(_tile(_decodable_pixels(sample.spoilt.data)) for sample in some),
        ]
    return np.concatenate(tiles, axis=1)


def _decodable_pixels(data: bytes) -> Pixels:
    """Returns the image as far as it can be decoded; black where it cannot."""
    try:
        return read_any_png(data)
    except BadImage:
        pixels = np.zeros((_TILE, _TILE, 4), np.uint8)
        pixels[..., 3] = 255
        return pixels


def _tile(pixels: Pixels) -> Pixels:
    side = _TILE - 4
    scale = side / max(pixels.shape[:2])
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    small = cv2.resize(
        pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
    )
    tile = np.zeros((_TILE, _TILE, 4), np.uint8)
    tile[2 : 2 + size[1], 2 : 2 + size[0]] = small
    return tile


def draw_chart(figures: CheckFigures, file: Path) -> None:
    """Writes a PNG with the share found at each severity, for each class."""
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(cell.defect for cell in figures.cells))
    page = Figure(figsize=(8.5, 0.26 * len(names) + 1.4), dpi=110, layout="constrained")
    axes = page.subplots()
    for severity in SEVERITIES:
        cells = [cell for cell in figures.cells if cell.severity == severity]
        axes.scatter(
            [cell.by_limits for cell in cells],
            [names.index(cell.defect) for cell in cells],
            color=_INK[severity], s=18 + 12 * severity, label=f"severity {severity}", zorder=3,
        )  # fmt: skip
    _style_axes(axes, names)
    page.savefig(file, format="png")


def _style_axes(axes: "Axes", names: list[str]) -> None:
    axes.axvline(GOAL, color="black", linewidth=0.8, linestyle="--")
    axes.set_yticks(range(len(names)), names, fontsize=8)
    axes.invert_yaxis()
    axes.set_xlim(-0.02, 1.02)
    axes.set_xlabel("share found, with the recommended limits; dashed: the goal", fontsize=8)
    axes.grid(linewidth=0.4, alpha=0.5)
    axes.legend(frameon=False, fontsize=8, loc="lower left")
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _measure(extent: WorldExtent, say: Say, *, out: Path | None) -> CheckFigures:
    """Measures, and writes figures.json, a chart and a sheet of samples into a new folder."""
    if out is None:
        return bench_checks(extent, say)[0]
    if out.exists() and any(out.iterdir()):
        raise InvalidRequest(f"{out} is not empty; give a new folder, or empty this one")
    figures, shown = bench_checks(extent, say)
    out.mkdir(parents=True, exist_ok=True)
    (out / "figures.json").write_text(json.dumps(figures.as_json(), indent=1), "utf-8")
    draw_chart(figures, out / "chart.png")
    draw_sheet(shown, out / "sheet.png")
    return figures


def checks_benchmark(out: Path | None) -> Benchmark[WorldExtent, CheckFigures]:
    """Returns the benchmark; with a folder, what is drawn and counted is also written there."""
    return Benchmark(
        full=WorldExtent(count=60, controls=1000),
        quick=QUICK,
        measure=partial(_measure, out=out),
        show=show_check_figures,
        goals=check_goals,
        draw=draw_chart,
    )
