"""Near duplicates are near, other shapes and other colours are not."""

from collections.abc import Callable
from dataclasses import replace
from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.check.duplicates import KnownImage, Neighbours, fingerprint, perceptual_hash
from jobs.train.starter.drawings import COLOURS, KINDS, STYLES, Label, all_labels, draw
from tests.check import sample_drawings
from tests.check.sample_drawings import Pixels

NEAR = 4
"""Bits that a touched-up copy may differ by."""
FAR = 3
"""Bits by which drawings with another kind or colour differ at least."""

hashes = st.integers(0, 2**64 - 1)


def distance(pixels: Pixels, other: Pixels) -> int:
    return (perceptual_hash(pixels) ^ perceptual_hash(other)).bit_count()


def brighter(pixels: Pixels, factor: float) -> Pixels:
    colour = np.clip(np.round(pixels[..., :3] * factor), 0, 255).astype(np.uint8)
    return np.dstack([colour, pixels[..., 3]])


def noisy(pixels: Pixels) -> Pixels:
    noise = np.random.default_rng(3).normal(0, 6, (64, 64, 3))
    colour = np.clip(np.round(pixels[..., :3] + noise), 0, 255).astype(np.uint8)
    return np.dstack([colour, pixels[..., 3]])


TOUCHES: dict[str, tuple[Callable[[Pixels], Pixels], int]] = {
    "the same": (np.copy, 0),
    "moved by a pixel": (lambda pixels: np.roll(pixels, (1, -1), axis=(0, 1)), 0),
    "5 % brighter": (lambda pixels: brighter(pixels, 1.05), NEAR),
    "5 % darker": (lambda pixels: brighter(pixels, 0.95), NEAR),
    "noise": (noisy, NEAR),
}


@pytest.mark.parametrize("touch", TOUCHES)
def test_a_touched_up_copy_stays_near(touch: str) -> None:
    change, bits = TOUCHES[touch]
    distances = [distance(pixels, change(pixels)) for _, pixels in sample_drawings.clean()]
    assert max(distances) <= bits
    assert np.mean(distances) <= bits / 3


@pytest.mark.parametrize("kind", KINDS)
def test_another_colour_of_the_same_drawing_is_no_duplicate(kind: str) -> None:
    drawings = [draw(Label(kind, colour, "flat"), seed=1) for colour in COLOURS]
    assert min(distance(*pair) for pair in combinations(drawings, 2)) >= FAR


@pytest.mark.parametrize("colour", ["red", "white"])
def test_another_kind_in_the_same_colour_is_no_duplicate(colour: str) -> None:
    drawings = [draw(Label(kind, colour, "flat"), seed=1) for kind in KINDS]
    assert min(distance(*pair) for pair in combinations(drawings, 2)) >= FAR


@given(st.integers(0, 255))
def test_colour_under_clear_pixels_never_matters(value: int) -> None:
    pixels = draw(Label("gem", "red", "flat"), seed=1)
    repainted = pixels.copy()
    repainted[pixels[..., 3] == 0, :3] = value
    assert distance(pixels, repainted) == 0


def test_a_blank_picture_has_a_hash() -> None:
    assert perceptual_hash(sample_drawings.filled((9, 9, 9, 0))) == 0


@given(st.lists(hashes, min_size=1, max_size=40), hashes)
def test_the_nearest_neighbour_is_that_of_brute_force(known: list[int], asked: int) -> None:
    neighbours = Neighbours()
    for index, value in enumerate(known):
        neighbours.add(value, str(index))
    distances = [(value ^ asked).bit_count() for value in known]
    assert neighbours.nearest(asked) == (min(distances), str(distances.index(min(distances))))


def test_neighbours_grow_beyond_their_first_room() -> None:
    neighbours = Neighbours()
    values = np.random.default_rng(1).integers(0, 2**64, 5000, dtype=np.uint64)
    for index, value in enumerate(values):
        neighbours.add(int(value), str(index))
    assert len(neighbours) == 5000
    for index in (0, 1023, 1024, 4999):
        assert neighbours.nearest(int(values[index]) ^ 1) == (1, str(index))


def test_a_touched_up_copy_is_known_and_another_style_of_the_thing_is_not() -> None:
    seen = Neighbours()
    for index, (_, pixels) in enumerate(sample_drawings.clean()):
        seen.add(fingerprint(pixels), str(index))
    taken = []
    for index, (label, pixels) in enumerate(sample_drawings.clean()):
        for touched in (noisy(pixels), brighter(pixels, 1.05), brighter(pixels, 0.95)):
            nearest = seen.nearest(fingerprint(touched))
            assert nearest is not None
            assert nearest[1] == str(index)
            assert nearest[0] < 4
        alone = Neighbours([KnownImage(fingerprint(pixels), "alone")])
        others = [replace(label, style=style) for style in STYLES if style != label.style]
        for other in others:
            nearest = alone.nearest(fingerprint(draw(other, seed=5)))
            taken.append(nearest is not None and nearest[0] < FAR)
    assert np.mean(taken) <= 0.02


def test_far_fewer_different_drawings_are_taken_for_one_than_by_the_hash_alone() -> None:
    seen, hashes = Neighbours(), Neighbours()
    mistaken = mistaken_by_hash = 0
    for index, label in enumerate(all_labels()[::2]):
        known = fingerprint(draw(label, seed=9))
        for neighbours, value in ((seen, known), (hashes, known % 2**64)):
            nearest = neighbours.nearest(value)
            near = nearest is not None and nearest[0] < FAR
            mistaken += near and neighbours is seen
            mistaken_by_hash += near and neighbours is hashes
            neighbours.add(value, str(index))
    assert mistaken_by_hash >= 10
    assert mistaken <= mistaken_by_hash / 10


def test_the_hash_stays_what_it_was_and_a_catalog_of_hashes_alone_still_speaks() -> None:
    pixels = draw(Label("gem", "red", "flat"), seed=1)
    assert fingerprint(pixels) % 2**64 == perceptual_hash(pixels)
    assert fingerprint(sample_drawings.filled((9, 9, 9, 0))) == 0
    known = Neighbours([KnownImage(perceptual_hash(pixels) ^ 1, "gem", "old")])
    assert known.nearest(fingerprint(pixels)) == (1, "gem of run old")


def test_an_asset_is_not_held_against_itself() -> None:
    known = Neighbours([KnownImage(5, "gem", "old"), KnownImage(0xFF, "coin", "old")])
    assert known.nearest(5, exclude="gem") == (6, "coin of run old")
    assert known.nearest(5, exclude="other") == (0, "gem of run old")


def test_nobody_is_near_when_nobody_is_there() -> None:
    assert Neighbours().nearest(0) is None
