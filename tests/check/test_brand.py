"""What a brand asks for: each number knows its own violation, and a clean picture has none."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.check.brand import brand_scores
from app.check.framing import framing, ground_error
from app.check.integrity import integrity
from app.check.judge import judge, reasons
from app.check.light_direction import light_angle, light_error
from app.check.measures import measures
from app.check.palette import palette_error
from app.check.planes import Pixels
from app.plan.brand import PILLARS, brand_rules
from app.plan.read import read_plan
from app.types import Measure, Verdict
from jobs.train.starter.drawings import Label, draw

PLANS = Path(__file__).parents[2] / "jobs" / "plans"
RULES = brand_rules(read_plan(PLANS / "tavern.yaml").brand)
SEEDS = range(60_000_000, 60_000_006)


def clean(colour: str = "red", seed: int = SEEDS[0]) -> Pixels:
    return draw(Label("potion", colour, "shaded"), seed)


def broken_rules(pixels: Pixels) -> set[str]:
    """The brand's rules that a picture breaks, by their pillars."""
    scores = integrity(pixels, width=64, height=64) | measures(pixels)
    report = judge(scores | brand_scores(pixels, RULES), RULES)
    assert all("brand." in reason for reason in reasons(report))
    return {finding.rule.partition(":")[0].removeprefix("brand.") for finding in report.findings}


def moved(pixels: Pixels, right: int, down: int) -> Pixels:
    """The picture shifted, and clear where it came from."""
    shift = np.array([[1, 0, right], [0, 1, down]], np.float32)
    return np.asarray(cv2.warpAffine(pixels, shift, (64, 64)), np.uint8)


def scaled(pixels: Pixels, side: int) -> Pixels:
    """The picture at a smaller size in the middle of the same canvas."""
    page, low = np.zeros_like(pixels), (64 - side) // 2
    page[low : low + side, low : low + side] = cv2.resize(pixels, (side, side))
    return page


def grounded(pixels: Pixels, colour: tuple[int, int, int]) -> Pixels:
    """The picture over a plain ground."""
    share = pixels[..., 3:] / 255
    seen = np.rint(pixels[..., :3] * share + np.array(colour) * (1 - share)).astype(np.uint8)
    return np.dstack([seen, np.full((64, 64), 255, np.uint8)])


def flattened(pixels: Pixels) -> Pixels:
    """The picture in one colour."""
    page = pixels.copy()
    page[..., :3] = (210, 48, 44)
    return page


@pytest.mark.parametrize("seed", SEEDS)
def test_a_clean_picture_of_the_house_breaks_no_rule_of_the_brand(seed: int) -> None:
    assert broken_rules(clean(seed=seed)) == set()


@pytest.mark.parametrize(
    ("pillar", "planted"),
    [
        ("palette", clean("blue")),
        ("light", clean()[::-1, ::-1]),
        ("framing.share", scaled(clean(), 28)),
        ("framing.margin", moved(clean(), 0, 3)),
        ("framing.centring", moved(scaled(clean(), 40), 10, 0)),
        ("background", grounded(clean(), (40, 60, 200))),
        ("technical.resolution", np.asarray(cv2.resize(clean(), (48, 48)), np.uint8)),
        ("technical.contrast", flattened(clean())),
        ("technical.format", None),
    ],
)
def test_a_planted_violation_is_named_by_its_rule(pillar: str, planted: Pixels | None) -> None:
    if planted is None:
        report = judge(integrity(None, width=64, height=64), RULES)
        assert "brand.technical.format: decodes >= 1" in {
            finding.rule for finding in report.findings
        }
        return
    assert pillar in broken_rules(planted)


def test_every_rule_of_the_brand_has_one_check_and_says_both() -> None:
    assert [rule.pillar for rule in RULES] == list(PILLARS)
    assert len(set(PILLARS.values())) == len(PILLARS)
    assert str(RULES[0]) == "brand.palette: palette_error <= 40"
    assert {rule.otherwise for rule in RULES} == {Verdict.RETRY}


@given(st.floats(0, 359.9))
def test_a_ball_tells_where_its_light_comes_from(angle: float) -> None:
    y, x = np.mgrid[-1:1:48j, -1:1:48j]
    turned = np.deg2rad(angle)
    lit = np.clip(0.5 + 0.4 * (x * np.sin(turned) - y * np.cos(turned)), 0, 1)
    ball = np.dstack([lit * 200, lit * 80, lit * 60, (x**2 + y**2 < 0.9) * 255]).astype(np.uint8)
    seen_angle = light_angle(ball)
    assert seen_angle is not None
    assert min(abs(seen_angle - angle), 360 - abs(seen_angle - angle)) < 3
    error = light_error(ball, angle)
    assert error is not None
    assert error < 3


def test_a_dark_part_below_a_light_one_is_no_shading() -> None:
    card = np.full((40, 40, 4), 255, np.uint8)
    card[:20, :, :3], card[20:, :, :3] = (250, 230, 60), (60, 20, 120)
    assert light_angle(card) is None
    assert light_angle(np.zeros((40, 40, 4), np.uint8)) is None


def test_the_palette_counts_nine_tenths_of_what_is_opaque() -> None:
    page = np.zeros((20, 20, 4), np.uint8)
    page[..., :3], page[:, :10, 3] = (0, 0, 255), 255
    page[:, :10, :3] = (200, 40, 40)
    assert palette_error(page, ["#c82828"]) == pytest.approx(0, abs=0.5)
    page[0:3, :10, :3] = (0, 0, 255)
    assert palette_error(page, ["#c82828"]) > 50  # type: ignore[operator]
    assert palette_error(page, ["#c82828", "#0000ff"]) == pytest.approx(0, abs=0.5)
    assert palette_error(np.zeros((4, 4, 4), np.uint8), ["#c82828"]) is None


def test_on_a_ground_of_a_colour_the_subject_is_what_differs() -> None:
    page = np.full((40, 60, 4), (240, 230, 210, 255), np.uint8)
    page[10:30, 5:25, :3] = (20, 20, 20)
    frame = framing(page, "#f0e6d2")
    assert frame is not None
    assert (frame.share, frame.margin, frame.off_centre) == (0.5, 5 / 40, 15 / 40)
    assert ground_error(page, "#f0e6d2") == ground_error(page, "plate") == 0
    assert ground_error(page, "#203040") == ground_error(page, "transparent") == 1
    assert framing(np.zeros((8, 8, 4), np.uint8)) is None


def test_only_what_the_brand_names_is_measured() -> None:
    light = tuple(rule for rule in RULES if rule.check is Measure.LIGHT_ERROR)
    assert set(brand_scores(clean(), light)) == {Measure.LIGHT_ERROR}
