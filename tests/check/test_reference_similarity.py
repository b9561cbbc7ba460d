"""Likeness to a reference: the same is the same, and what differs more is less like."""

import numpy as np
import pytest
from skimage.metrics import structural_similarity

from app.check.reference_similarity import difference, palette_distance, reference_similarity, ssim
from app.check.scores import score_image
from app.types import GenerationRequest, Measure
from jobs.train.defects import pixels as pixel_defects
from tests.check.sample_drawings import Pixels, blurred, clean, filled

SOME = [pixels for _, pixels in clean()][::9]


def on_grey(pixels: Pixels) -> np.ndarray:
    alpha = pixels[..., 3:] / 255
    return pixels[..., :3] / 255 * alpha + 0.5 * (1 - alpha)


@pytest.mark.parametrize("pixels", SOME)
def test_a_picture_is_like_itself(pixels: Pixels) -> None:
    assert ssim(pixels, pixels) == pytest.approx(1)
    assert difference(pixels, pixels) == pytest.approx(0, abs=1e-6)
    assert palette_distance(pixels, pixels) == 0


@pytest.mark.parametrize("pixels", SOME)
def test_the_more_it_is_blurred_the_less_it_is_like(pixels: Pixels) -> None:
    steps = [blurred(pixels, sigma) for sigma in (0.6, 1.2, 2.4)]
    alike = [ssim(picture, pixels) for picture in steps]
    apart = [difference(picture, pixels) for picture in steps]
    assert alike == sorted(alike, reverse=True)
    assert apart == sorted(apart)


def test_ssim_is_the_mean_of_scikit_images_map() -> None:
    for pixels in SOME:
        other = blurred(pixels, 1)
        theirs = structural_similarity(
            on_grey(pixels), on_grey(other), channel_axis=2, data_range=1, gaussian_weights=True,
            sigma=1.5, use_sample_covariance=False, full=True,
        )[1]  # fmt: skip
        assert ssim(pixels, other) == pytest.approx(float(theirs.mean()), abs=1e-3)


def test_the_palette_knows_no_places_and_sees_every_drift() -> None:
    for pixels in SOME:
        assert palette_distance(np.ascontiguousarray(pixels[:, ::-1]), pixels) < 0.5
    coloured = filled((200, 60, 40, 255))
    turns = [pixel_defects.palette_drift(coloured, s, np.random.default_rng(1)) for s in (1, 2, 3)]
    apart = [palette_distance(picture, coloured) for picture in turns]
    assert 2.3 < apart[0] < apart[1] < apart[2]


def test_a_picture_without_colours_is_as_far_as_can_be() -> None:
    blank = filled((9, 9, 9, 0))
    assert palette_distance(blank, blank) == 0
    assert palette_distance(blank, SOME[0]) == 100


def test_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="resize one of them"):
        ssim(SOME[0], SOME[0][:32])


def test_scores_hold_the_likeness_where_a_reference_of_the_size_is_given() -> None:
    request = GenerationRequest(
        prompt="a gem", width=64, height=64, num_inference_steps=1, guidance_scale=1
    )
    beside = score_image(SOME[0], request, None, prompt="a gem", reference=SOME[1])
    assert beside.items() >= reference_similarity(SOME[0], SOME[1]).items()
    alone = score_image(SOME[0], request, None, prompt="a gem")
    small = score_image(SOME[0], request, None, prompt="a gem", reference=SOME[1][:32])
    assert alone == small
    assert Measure.LIKENESS not in alone
