"""The defect world: deterministic, named, its parts apart; and the laws of the checks in small."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from app.check.integrity import decode_or_none
from app.check.judge import judge
from app.check.limits import LIMITS
from app.check.measures import measures
from app.errors import InvalidRequest
from app.types import Kind, Measure
from jobs.bench.checks.bench import DETERMINISTIC, QUICK, bench_checks, starter_critic
from jobs.bench.checks.render import draw_chart, draw_sheet, show_check_figures
from jobs.train.defects.judging import SampleJudge, merge_rules_for
from jobs.train.defects.make_defects import MANIFEST, make_defects
from jobs.train.defects.registry import SEVERITIES, classes
from jobs.train.defects.semantic import other_colour, other_object, other_style
from jobs.train.defects.sources import WorldPart, drawn, label_of, seeds
from jobs.train.defects.world import CONTROL, DefectWorld, WorldExtent, WorldSample
from jobs.train.starter import data
from tests.scale import scaled, size

SMALL = WorldExtent(count=2, controls=6, number=7, texts=1, painted=False)
EXPECTED = (
    "alpha_fringe", "holes_filled", "halo", "specks", "truncated_file", "wrong_size", "misspelt",
    "low_contrast_text", "palette_drift", "style_mismatch", "wrong_object", "wrong_colour",
    "near_duplicate", "seam", "clipping", "blur", "noise", "flat", "few_steps",
)  # fmt: skip


@pytest.fixture(scope="module")
def spoilt() -> list[WorldSample]:
    return list(DefectWorld(SMALL).spoilt())


def test_every_promised_class_is_there_by_its_name() -> None:
    assert set(classes()) >= set(EXPECTED)
    assert all(
        name == defect_class.name and defect_class.measures
        for name, defect_class in classes().items()
    )


def test_every_class_comes_at_every_severity_on_the_same_pictures(
    spoilt: list[WorldSample],
) -> None:
    for name in {made.sample.defect for made in spoilt}:
        rows = [made.sample for made in spoilt if made.sample.defect == name]
        by_severity = [[row.seed for row in rows if row.severity == s] for s in SEVERITIES]
        assert by_severity[0] == by_severity[1] == by_severity[2] != []


def test_no_defect_leaves_its_picture_as_it_was(spoilt: list[WorldSample]) -> None:
    for made in spoilt:
        pixels = decode_or_none(made.spoilt.data)
        same = pixels is not None and np.array_equal(pixels, made.good.pixels)
        asked_otherwise = made.spoilt.prompt != made.good.prompt or made.spoilt.twin is not None
        assert not same or asked_otherwise, made.sample.file


def test_the_same_world_is_written_byte_for_byte_and_only_into_a_new_folder(tmp_path: Path) -> None:
    written = make_defects(tmp_path / "one", SMALL)
    make_defects(tmp_path / "two", SMALL)
    rows = [json.loads(line) for line in (tmp_path / "one" / MANIFEST).read_text().splitlines()]
    assert len(rows) == sum(written.classes.values()) == len({row["file"] for row in rows})
    for row in rows:
        first, second = (tmp_path / name / row["file"] for name in ("one", "two"))
        assert first.read_bytes() == second.read_bytes()
    assert written.classes[CONTROL] == 6 + 6 + 1
    with pytest.raises(InvalidRequest, match="not empty"):
        make_defects(tmp_path / "one", SMALL)


def test_no_seed_is_in_two_parts_nor_in_what_the_starter_learned_from() -> None:
    worlds = [seeds(part, number) for part in WorldPart for number in (0, 1, 99)]
    every = [seed for world in worlds for seed in world]
    assert len(every) == len(set(every))
    assert min(every) >= data.PARTNERS + 10_000_000
    with pytest.raises(ValueError, match="0 to 99"):
        seeds(WorldPart.EVALUATION, 100)


def test_another_world_holds_other_pictures() -> None:
    first, other = (next(DefectWorld(replace(SMALL, number=n)).controls()) for n in (1, 2))
    assert first.spoilt.data != other.spoilt.data


@pytest.mark.parametrize("severity", SEVERITIES)
def test_what_was_asked_instead_differs_in_one_thing(severity: int) -> None:
    for seed in range(60_000_000, 60_000_060):
        label = label_of(seed)
        mine = {label.kind, label.colour, label.style}
        for other, part in (
            (other_object, label.kind), (other_colour, label.colour), (other_style, label.style),
        ):  # fmt: skip
            assert mine - set(other(label, severity).split()) == {part}


def test_deterministic_defects_of_drawings_are_all_found(spoilt: list[WorldSample]) -> None:
    judge_ = SampleJudge(starter_critic())
    missed = [
        made.sample.file
        for made in spoilt
        if made.sample.deterministic and not judge_.judge(made).by_limits & {*made.sample.ought}
    ]
    assert missed == []


@scaled
def test_no_clean_drawing_breaks_a_deterministic_limit() -> None:
    rules = [
        rule for rule in merge_rules_for(LIMITS[Kind.ICON], ()) if rule.check in DETERMINISTIC
    ]  # fmt: skip
    refused = [
        seed
        for seed in seeds(WorldPart.TRAINING, 5)[: size(200, 1000)]
        if judge(measures(drawn(seed).pixels), rules).findings
    ]
    assert refused == []


@pytest.mark.slow
def test_the_starter_paints_few_steps_of_the_same_seeds_and_the_same_each_time() -> None:
    world = DefectWorld(replace(SMALL, count=1, painted=True))
    few = next(defect_class for defect_class in world.classes if defect_class.name == "few_steps")
    first, again = ([*world.pictures(few, 3)] for _ in range(2))
    assert [good.prompt for good in first] == [drawn(good.seed).prompt for good in first]
    assert np.array_equal(first[0].pixels, again[0].pixels)


@pytest.mark.slow
def test_the_bench_counts_what_it_judged_and_draws_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    extent = replace(QUICK, count=1, controls=3, texts=1, painted=False)
    figures, shown = bench_checks(extent, lambda _: None, rounds=1)
    assert figures.passes
    assert {(cell.defect, cell.severity) for cell in figures.cells} == set(shown)
    assert all(0 <= cell.named <= cell.by_limits <= 1 for cell in figures.cells)
    assert all(alarms.by_rules <= alarms.by_limits for alarms in figures.alarms)
    assert figures.painting_milliseconds is figures.share is None
    show_check_figures(figures)
    assert "truncated_file *" in capsys.readouterr().out
    draw_sheet(shown, tmp_path / "sheet.png")
    draw_chart(figures, tmp_path / "chart.png")
    assert all((tmp_path / name).stat().st_size > 10_000 for name in ("sheet.png", "chart.png"))


def test_limits_take_the_place_of_rules_for_the_same_measure() -> None:
    limits = LIMITS[Kind.ICON]
    assert merge_rules_for(limits, limits) == limits
    assert Measure.DECODES not in {rule.check for rule in limits}
