"""Faint text is seen without being read."""

import numpy as np
import pytest

from app.check.text_contrast import text_contrast
from app.types import Rect, TextLayer
from jobs.train.defects.semantic import low_contrast_text
from jobs.train.defects.sources import poster
from tests.check.sample_drawings import filled

BOX = Rect(x=8, y=8, width=48, height=24)
LAYER = TextLayer(text="SALE", box=BOX)


def test_black_on_white_has_the_highest_contrast_there_is() -> None:
    page = filled((255, 255, 255, 255))
    page[12:20, 12:40, :3] = 0
    assert text_contrast(page, (LAYER,)) == pytest.approx(21)
    page[12:20, 12:40, :3] = 118  # the darkest grey that WCAG's own examples hold to be enough
    assert text_contrast(page, (LAYER,)) == pytest.approx(4.54, abs=0.02)


def test_paper_alone_has_none_and_nothing_was_asked_has_no_number() -> None:
    assert text_contrast(filled((200, 200, 200, 255)), (LAYER,)) == 1
    assert text_contrast(filled((200, 200, 200, 255)), ()) is None


def test_the_faintest_layer_counts() -> None:
    page = filled((255, 255, 255, 255))
    page[12:20, 12:40, :3] = 0
    page[44:52, 12:40, :3] = 230
    low = LAYER.replace(box=Rect(x=8, y=40, width=48, height=20))
    assert text_contrast(page, (LAYER, low)) == text_contrast(page, (low,))


def test_ink_that_fades_loses_contrast_step_by_step() -> None:
    good = poster(60_092_000)
    faded = [low_contrast_text(good, severity, np.random.default_rng()) for severity in (1, 2, 3)]
    contrasts = [text_contrast(pixels, good.layers) or 0 for pixels in (good.pixels, *faded)]
    assert contrasts == sorted(contrasts, reverse=True)
    assert contrasts[0] > 4.5 > 3 > contrasts[1] > contrasts[3]
