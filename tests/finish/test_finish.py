"""Finishing: what every image may rely on, then the drawings that taught us the limits."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import InvalidRequest
from app.finish.cutout import CLEAR_BELOW, OPAQUE_ABOVE
from app.finish.finish import FinishedImage, finish
from app.types import Pivot, Rect, Size
from tests.finish.drawings import Pixels, clear, disc, images, sides

target_sizes = st.builds(Size, width=sides, height=sides)
pivots = st.builds(Pivot, x=st.floats(0, 1), y=st.floats(0, 1))
laws = settings(max_examples=40, deadline=None)

RED = (200, 30, 40, 255)


def finish_one(
    pixels: Pixels, width: int, height: int, pivot: Pivot | None = None
) -> FinishedImage:
    (finished,) = finish(pixels, [Size(width=width, height=height)], pivot=pivot or Pivot())
    return finished


def own_size(pixels: Pixels, pivot: Pivot | None = None) -> FinishedImage:
    return finish_one(pixels, pixels.shape[1], pixels.shape[0], pivot)


def inside(finished: FinishedImage) -> Pixels:
    trim = finished.trim
    return finished.pixels[trim.y : trim.y + trim.height, trim.x : trim.x + trim.width]


def with_hidden_colour(pixels: Pixels, colour: int) -> Pixels:
    changed = pixels.copy()
    changed[changed[..., 3] < CLEAR_BELOW, :3] = colour
    return changed


@laws
@given(images(), target_sizes)
def test_output_has_exactly_the_target_size(pixels: Pixels, size: Size) -> None:
    finished = finish_one(pixels, size.width, size.height)
    assert finished.size == size
    assert finished.pixels.shape == (size.height, size.width, 4)
    assert finished.pixels.dtype == np.uint8


@laws
@given(images(), target_sizes)
def test_trim_is_the_smallest_rectangle_with_all_that_is_visible(
    pixels: Pixels, size: Size
) -> None:
    finished = finish_one(pixels, size.width, size.height)
    visible = inside(finished)[..., 3] > 0
    assert visible.sum() == (finished.pixels[..., 3] > 0).sum()
    if visible.any():
        assert visible[0].any()
        assert visible[-1].any()
        assert visible[:, 0].any()
        assert visible[:, -1].any()


@laws
@given(images(), target_sizes)
def test_every_byte_outside_the_trim_rectangle_is_zero(pixels: Pixels, size: Size) -> None:
    finished = finish_one(pixels, size.width, size.height)
    inside(finished)[:] = 0
    assert not finished.pixels.any()


@laws
@given(images(), target_sizes)
def test_no_alpha_is_haze_or_nearly_opaque(pixels: Pixels, size: Size) -> None:
    alpha = finish_one(pixels, size.width, size.height).pixels[..., 3]
    assert not ((alpha > 0) & (alpha < CLEAR_BELOW)).any()
    assert not ((alpha > OPAQUE_ABOVE) & (alpha < 255)).any()


@laws
@given(images(), target_sizes, st.integers(0, 255))
def test_hidden_colour_never_reaches_the_picture(pixels: Pixels, size: Size, hidden: int) -> None:
    finished = finish_one(pixels, size.width, size.height)
    other = finish_one(with_hidden_colour(pixels, hidden), size.width, size.height)
    np.testing.assert_array_equal(finished.pixels, other.pixels)


@laws
@given(images(), target_sizes, st.tuples(*[st.integers(0, 255)] * 3))
def test_one_colour_stays_that_colour_at_every_edge(
    pixels: Pixels, size: Size, colour: tuple[int, int, int]
) -> None:
    pixels[..., :3] = colour
    finished = inside(finish_one(pixels, size.width, size.height))
    if finished[..., 3].any():
        assert np.abs(finished[..., :3].astype(int) - colour).max() <= 1


@laws
@given(images(), pivots)
def test_at_its_own_size_every_visible_pixel_keeps_its_colour(pixels: Pixels, pivot: Pivot) -> None:
    finished = own_size(pixels, pivot)
    kept = finished.pixels[..., 3] > 0
    np.testing.assert_array_equal(finished.pixels[kept, :3], pixels[kept, :3])
    partly = kept & (finished.pixels[..., 3] < 255)
    np.testing.assert_array_equal(finished.pixels[partly], pixels[partly])
    assert finished.pivot == pivot


@laws
@given(images())
def test_finishing_again_changes_nothing(pixels: Pixels) -> None:
    once = own_size(pixels)
    again = own_size(once.pixels)
    np.testing.assert_array_equal(once.pixels, again.pixels)
    assert once.trim == again.trim


@laws
@given(images(), st.lists(target_sizes, max_size=3))
def test_a_size_does_not_depend_on_the_others(pixels: Pixels, sizes: list[Size]) -> None:
    together = finish(pixels, sizes, pivot=Pivot())
    alone = [finish_one(pixels, size.width, size.height) for size in sizes]
    assert [image.trim for image in together] == [image.trim for image in alone]
    for image, other in zip(together, alone, strict=True):
        np.testing.assert_array_equal(image.pixels, other.pixels)


@laws
@given(images())
def test_clear_pixels_take_the_colour_of_a_visible_neighbour(pixels: Pixels) -> None:
    finished = inside(own_size(pixels))
    framed = np.pad(finished, ((1, 1), (1, 1), (0, 0)))
    for y, x in np.argwhere(finished[..., 3] == 0):
        cross = framed[[y, y + 2, y + 1, y + 1], [x + 1, x + 1, x, x + 2]]
        colours = cross[cross[:, 3] > 0, :3].tolist()
        assert not colours or finished[y, x, :3].tolist() in colours


@pytest.mark.parametrize("pivot", [(0.5, 0.5), (0.5, 0.9), (0.15, 0.2), (0.8, 0.33)])
@pytest.mark.parametrize("shape", [(64, 64), (48, 64), (70, 41)])
def test_the_anchor_drifts_by_at_most_a_pixel(
    pivot: tuple[float, float], shape: tuple[int, int]
) -> None:
    width, height = shape
    marked = disc(clear(width, height), (pivot[0] * width, pivot[1] * height), 4, RED)
    for side in [(32, 32), (64, 64), (128, 128), (100, 30), (31, 77)]:
        finished = finish_one(marked, *side, Pivot(x=pivot[0], y=pivot[1]))
        alpha = finished.pixels[..., 3].astype(float)
        rows, columns = np.mgrid[: side[1], : side[0]] + 0.5
        seen = np.array([(alpha * columns).sum(), (alpha * rows).sum()]) / alpha.sum()
        anchor = np.array([finished.pivot.x * side[0], finished.pivot.y * side[1]])
        assert np.hypot(*(seen - anchor)) <= 1


def test_another_aspect_gets_clear_bars_and_is_never_stretched() -> None:
    square = np.full((20, 20, 4), 255, np.uint8)
    assert finish_one(square, 40, 20).trim == Rect(x=10, y=0, width=20, height=20)
    assert finish_one(square, 10, 31).trim == Rect(x=0, y=10, width=10, height=10)
    assert finish_one(square, 40, 20, Pivot(x=0, y=1)).pivot == Pivot(x=0.25, y=1)


def test_shrinking_averages_light_and_not_numbers() -> None:
    checks = np.full((32, 32, 4), 255, np.uint8)
    checks[..., :3] *= (np.indices((32, 32)).sum(axis=0) % 2).astype(np.uint8)[..., None]
    assert set(np.unique(finish_one(checks, 16, 16).pixels[..., :3])) == {188}


@pytest.mark.parametrize("side", [128, 256])
def test_enlarging_leaves_no_ring_around_the_object(side: int) -> None:
    drawn = disc(disc(clear(64, 64), (32, 32), 20, (10, 10, 20, 255)), (32, 32), 17, RED)
    finished = finish_one(drawn, side, side)
    reach = (np.indices((side, side)) + 0.5) * 64 / side - 32
    assert not finished.pixels[np.hypot(*reach) > 21.5, 3].any()
    flat = finished.pixels[np.hypot(*reach) < 14]
    assert np.abs(flat.astype(int) - RED).max() <= 2


def test_specks_and_haze_go_and_sparks_stay() -> None:
    bomb = disc(clear(64, 64), (30, 38), 18, RED)
    spark = disc(bomb, (56, 8), 3, (255, 200, 40, 255))
    dirty = spark.copy()
    dirty[5:7, 5] = (90, 90, 90, 200)
    dirty[58:62, 50:60] = (90, 90, 90, 12)
    dirty[dirty[..., 3] == 0, 3] = 5
    np.testing.assert_array_equal(own_size(dirty).pixels, own_size(spark).pixels)
    assert own_size(spark).pixels[8, 56, 3] == 255


def test_a_drawing_of_small_pieces_keeps_them_and_loses_its_specks() -> None:
    sparkles = clear(64, 64)
    for centre, radius in [((12, 12), 3), ((40, 20), 2), ((25, 50), 4), ((52, 50), 1.5)]:
        sparkles = disc(sparkles, centre, radius, RED)
    dirty = sparkles.copy()
    dirty[3, 60] = dirty[60, 3] = (90, 90, 90, 255)
    np.testing.assert_array_equal(own_size(dirty).pixels, own_size(sparkles).pixels)
    assert own_size(sparkles).pixels[50, 52, 3] > 0


def test_a_thin_diagonal_is_one_piece_with_what_it_touches() -> None:
    whisker = clear(32, 32)
    whisker[16:, 16:] = RED
    for step in range(8, 16):
        whisker[step, step] = RED
    assert own_size(whisker).trim == Rect(x=8, y=8, width=24, height=24)


def test_the_heaviest_piece_stays_however_small() -> None:
    dot = clear(64, 64)
    dot[10, 20] = RED
    assert own_size(dot).trim == Rect(x=20, y=10, width=1, height=1)


def test_an_image_with_nothing_visible_is_all_zeros_with_a_frame_of_one_pixel() -> None:
    finished = own_size(clear(16, 16))
    assert finished.trim == Rect(x=0, y=0, width=1, height=1)
    assert not finished.pixels.any()


@pytest.mark.parametrize(
    "pixels",
    [
        np.zeros((4, 4, 3), np.uint8),
        np.zeros((4, 4), np.uint8),
        np.zeros((4, 4, 4), np.float32),
        np.zeros((0, 4, 4), np.uint8),
    ],
)
def test_anything_but_rgba_bytes_is_refused(pixels: Pixels) -> None:
    with pytest.raises(InvalidRequest, match="give RGBA bytes"):
        finish(pixels, [], pivot=Pivot())
