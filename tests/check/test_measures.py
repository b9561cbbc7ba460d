"""Each measure sees the defect it is there for, and none sees one in a clean drawing."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from skimage.measure import blur_effect

from app.check.judge import judge
from app.check.measures import MEASURES, measures
from app.types import Measure, Rule, Verdict
from tests.check import sample_drawings
from tests.check.sample_drawings import Pixels

RULES = (
    Rule(check=Measure.COVERAGE, at_least=0.05, at_most=0.85),
    Rule(check=Measure.SOFTNESS, at_most=0.35),
    Rule(check=Measure.FRAGMENTS, at_most=0.01),
    Rule(check=Measure.BORDER, at_most=0.5),
    Rule(check=Measure.CONTRAST, at_least=0.005),
    Rule(check=Measure.SHARPNESS, at_least=0.5),
)
"""Rules for crisp icons; every clean drawing lies well inside."""

DAMAGES: dict[str, tuple[Callable[[Pixels], Pixels], Measure]] = {
    "blank": (lambda _: sample_drawings.filled((0, 0, 0, 0)), Measure.COVERAGE),
    "hidden colour only": (lambda _: sample_drawings.filled((200, 40, 40, 0)), Measure.COVERAGE),
    "black": (lambda _: sample_drawings.filled((0, 0, 0, 255)), Measure.CONTRAST),
    "opaque ground": (sample_drawings.on_background, Measure.COVERAGE),
    "flat": (sample_drawings.silhouette, Measure.CONTRAST),
    "cut off": (sample_drawings.cut, Measure.BORDER),
    "specks": (sample_drawings.specked, Measure.FRAGMENTS),
    "pinholes": (sample_drawings.pierced, Measure.FRAGMENTS),
    "out of focus": (lambda pixels: sample_drawings.blurred(pixels, 2.5), Measure.SHARPNESS),
    "a ghost": (sample_drawings.ghost, Measure.SOFTNESS),
}

pictures = arrays(np.uint8, st.tuples(st.integers(1, 24), st.integers(1, 24), st.just(4)))


def broken(pixels: Pixels) -> set[Measure]:
    return {finding.check for finding in judge(measures(pixels), RULES).findings}


@settings(deadline=None)
@given(pictures, st.integers(0, 255))
def test_colour_under_clear_pixels_never_matters(pixels: Pixels, colour: int) -> None:
    repainted = pixels.copy()
    repainted[pixels[..., 3] == 0, :3] = colour
    assert measures(repainted) == measures(pixels)


@settings(deadline=None)
@given(pictures)
def test_every_number_stays_in_its_documented_range(pixels: Pixels) -> None:
    scores = measures(pixels)
    assert scores == measures(pixels.copy())
    assert set(scores) == set(MEASURES)
    assert all(0 <= score <= 1 for score in scores.values())
    assert scores[Measure.CONTRAST] <= 0.5


@settings(deadline=None)
@given(pictures)
def test_a_padded_picture_touches_no_border(pixels: Pixels) -> None:
    padded = np.pad(pixels, ((1, 1), (1, 1), (0, 0)))
    assert measures(padded)[Measure.BORDER] == 0


@settings(deadline=None, max_examples=30)
@given(arrays(np.uint8, (24, 24), elements=st.integers(0, 255)))
def test_sharpness_of_an_opaque_grey_picture_is_that_of_scikit_image(grey: Pixels) -> None:
    grey[0, 0], grey[12, 12] = 0, 255
    opaque = np.dstack([grey, grey, grey, np.full_like(grey, 255)])
    reference = 1 - blur_effect(grey.astype(np.float64) / 255)
    assert measures(opaque)[Measure.SHARPNESS] == pytest.approx(reference, abs=1e-5)


def test_no_clean_drawing_breaks_a_rule() -> None:
    assert {
        label: broken(pixels) for label, pixels in sample_drawings.clean() if broken(pixels)
    } == {}


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_damaged_drawing_is_caught_by_the_measure_for_it(damage: str) -> None:
    inflict, measure = DAMAGES[damage]
    missed = [
        label for label, pixels in sample_drawings.clean() if measure not in broken(inflict(pixels))
    ]
    assert missed == []


def test_the_more_it_is_blurred_the_less_sharp_it_is() -> None:
    for _, pixels in sample_drawings.clean():
        steps = [measures(sample_drawings.blurred(pixels, sigma)) for sigma in (0.5, 1, 1.5, 2, 3)]
        sharpness = [scores[Measure.SHARPNESS] for scores in steps]
        assert sharpness == sorted(sharpness, reverse=True)


def test_a_drawn_hole_is_no_damage_and_a_pinhole_is() -> None:
    plate = np.zeros((64, 64, 4), dtype=np.uint8)
    plate[8:56, 8:56] = (90, 140, 200, 255)
    ring, pierced = plate.copy(), plate.copy()
    ring[24:40, 24:40, 3] = 0
    pierced[30:32, 30:32, 3] = 0
    assert measures(plate)[Measure.FRAGMENTS] == measures(ring)[Measure.FRAGMENTS] == 0
    assert measures(pierced)[Measure.FRAGMENTS] == pytest.approx(4 / (48 * 48 - 4))


def test_a_picture_in_which_nothing_is_opaque_has_numbers_too() -> None:
    assert set(measures(sample_drawings.filled((9, 9, 9, 0))).values()) == {0.0}
    assert judge(measures(sample_drawings.filled((9, 9, 9, 0))), RULES).verdict is Verdict.RETRY
