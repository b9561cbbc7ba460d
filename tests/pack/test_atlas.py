"""Packing: what every page may rely on, then the edges of the range."""

from itertools import combinations
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import InvalidRequest
from app.image.png import png_bytes, read_png
from app.pack.atlas import Page, Sprite, extract_sprite, pack
from app.pack.formats.texturepacker import read_texturepacker, texturepacker_json
from app.types import Pivot, Rect
from tests.pack.sprites import sprite, sprite_lists

laws = settings(max_examples=30, deadline=None)
gaps = st.integers(0, 3)
booleans = st.booleans()


def frames(page: Page) -> set[Rect]:
    return {placement.frame for placement in page.placements}


@laws
@given(sprite_lists(), st.randoms(use_true_random=False), booleans)
def test_shuffled_sprites_give_the_same_bytes(
    sprites: list[Sprite], random: Random, power_of_two: bool
) -> None:
    pages = pack(sprites, name="icons", max_page_size=64, power_of_two=power_of_two)
    random.shuffle(sprites)
    again = pack(iter(sprites), name="icons", max_page_size=64, power_of_two=power_of_two)
    assert [page.name for page in pages] == [f"icons-{index}" for index in range(len(pages))]
    for page, other in zip(pages, again, strict=True):
        assert page.pixels.tobytes() == other.pixels.tobytes()
        assert texturepacker_json(page, image="a.png") == texturepacker_json(other, image="a.png")


@laws
@given(sprite_lists(), gaps, gaps, booleans)
def test_every_sprite_cut_back_out_of_the_files_is_identical(
    sprites: list[Sprite], padding: int, extrude: int, power_of_two: bool
) -> None:
    pages = pack(
        sprites,
        name="icons",
        max_page_size=32,
        padding=padding,
        extrude=extrude,
        power_of_two=power_of_two,
    )
    extracted = {}
    for page in pages:
        pixels = read_png(png_bytes(page.pixels, text={}))
        for placement in read_texturepacker(texturepacker_json(page, image="a.png")):
            extracted[placement.name] = (extract_sprite(pixels, placement), placement.pivot)
    assert sum(len(page.placements) for page in pages) == len(sprites) == len(extracted)
    for packed in sprites:
        pixels, pivot = extracted[packed.name]
        np.testing.assert_array_equal(pixels, packed.pixels)
        assert pivot == packed.pivot


@laws
@given(sprite_lists(), gaps, gaps, booleans)
def test_frames_keep_their_distance_and_all_between_is_clear(
    sprites: list[Sprite], padding: int, extrude: int, power_of_two: bool
) -> None:
    distance = padding + 2 * extrude
    for page in pack(
        sprites,
        name="icons",
        max_page_size=64,
        padding=padding,
        extrude=extrude,
        power_of_two=power_of_two,
    ):
        for rect, other in combinations(frames(page), 2):
            gap_x = max(rect.x - other.x - other.width, other.x - rect.x - rect.width)
            gap_y = max(rect.y - other.y - other.height, other.y - rect.y - rect.height)
            assert max(gap_x, gap_y) >= distance
        rest = page.pixels.copy()
        for frame in frames(page):
            top, left = frame.y - extrude, frame.x - extrude
            assert min(top, left) >= 0
            rest[top : top + frame.height + 2 * extrude, left:][:, : frame.width + 2 * extrude] = 0
        assert not rest.any()


@laws
@given(sprite_lists(), st.integers(24, 80), booleans)
def test_pages_stay_within_their_limits(
    sprites: list[Sprite], max_page_size: int, power_of_two: bool
) -> None:
    for page in pack(sprites, name="icons", max_page_size=max_page_size, power_of_two=power_of_two):
        assert max(page.pixels.shape[:2]) <= max_page_size
        if power_of_two:
            assert all(side.bit_count() == 1 for side in page.pixels.shape[:2])
        else:
            assert max(frame.x + frame.width + 1 for frame in frames(page)) == page.pixels.shape[1]
            assert max(frame.y + frame.height + 1 for frame in frames(page)) == page.pixels.shape[0]


@laws
@given(sprite_lists(), st.integers(1, 3))
def test_the_edge_of_every_frame_is_extruded(sprites: list[Sprite], extrude: int) -> None:
    for page in pack(sprites, name="icons", extrude=extrude):
        for frame in frames(page):
            rows = np.arange(frame.y - extrude, frame.y + frame.height + extrude)
            columns = np.arange(frame.x - extrude, frame.x + frame.width + extrude)
            nearest = page.pixels[
                rows.clip(frame.y, frame.y + frame.height - 1)[:, None],
                columns.clip(frame.x, frame.x + frame.width - 1),
            ]
            np.testing.assert_array_equal(page.pixels[rows[:, None], columns], nearest)


def test_sprites_with_the_same_pixels_share_one_frame() -> None:
    here = sprite("a", frame=(20, 20), trim=(1, 2, 9, 8), seed=1)
    there = sprite("b", frame=(30, 12), trim=(5, 3, 9, 8), seed=1, pivot=Pivot(x=0, y=1))
    (page,) = pack([there, here], name="icons")
    first, other = page.placements
    assert first.frame == other.frame
    np.testing.assert_array_equal(extract_sprite(page.pixels, first), here.pixels)
    np.testing.assert_array_equal(extract_sprite(page.pixels, other), there.pixels)


def test_one_sprite_gets_the_smallest_page() -> None:
    whole = sprite("a", frame=(60, 28), trim=(0, 0, 60, 28))
    (page,) = pack([whole], name="icons")
    assert page.pixels.shape == (32, 64, 4)
    (page,) = pack([whole], name="icons", power_of_two=False)
    assert page.pixels.shape == (30, 62, 4)


def test_what_fills_a_page_exactly_needs_no_second_one() -> None:
    sprites = [sprite(f"s-{seed}", seed=seed) for seed in range(4)]
    pages = pack(sprites, name="icons", max_page_size=128, padding=0, extrude=0)
    assert [page.pixels.shape for page in pages] == [(128, 128, 4)]
    pages = pack(sprites, name="icons", max_page_size=128)
    assert [len(page.placements) for page in pages] == [1, 1, 1, 1]


def test_many_sprites_fill_several_pages_and_the_last_is_the_smallest() -> None:
    sizes = np.random.default_rng(0).integers(20, 33, (400, 2)).tolist()
    sprites = [
        sprite(f"s-{seed}", frame=(w, h), trim=(0, 0, w, h), seed=seed)
        for seed, (w, h) in enumerate(sizes)
    ]
    pages = pack(sprites, name="icons", max_page_size=256)
    assert sum(len(page.placements) for page in pages) == 400
    *full, last = pages
    assert all(page.pixels.shape == (256, 256, 4) for page in full)
    assert last.pixels.size <= full[0].pixels.size
    areas = [sum((f.width + 4) * (f.height + 4) for f in frames(page)) for page in full]
    assert min(areas) > 0.85 * 256 * 256


def test_no_sprites_need_no_page() -> None:
    assert pack([], name="icons") == ()


def test_a_sprite_larger_than_a_page_is_refused_with_both_sizes() -> None:
    with pytest.raises(InvalidRequest, match=r"big needs 66x66 .* at most 64x64"):
        pack([sprite("big")], name="icons", max_page_size=100)
    (page,) = pack([sprite("big")], name="icons", max_page_size=100, power_of_two=False)
    assert page.pixels.shape == (66, 66, 4)


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(InvalidRequest, match="two sprites are named a"):
        pack([sprite("a"), sprite("b"), sprite("a", seed=1)], name="icons")


@pytest.mark.parametrize(
    ("trim", "message"),
    [
        (Rect(x=1, y=0, width=64, height=64), "not a part of its 64x64 frame"),
        (Rect(x=0, y=0, width=0, height=64), "not a part of its 64x64 frame"),
        (Rect(x=0, y=0, width=63, height=64), "outside its trim rectangle 63x64"),
    ],
)
def test_a_trim_rectangle_that_would_lose_pixels_is_refused(trim: Rect, message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        pack([Sprite("a", sprite("a").pixels, trim, Pivot())], name="icons")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"padding": -1}, "padding -1"),
        ({"extrude": -2}, "extrude -2"),
        ({"max_page_size": 0}, "max_page_size 0"),
        ({"max_page_size": 8192}, "max_page_size 8192"),
    ],
)
def test_impossible_settings_are_refused(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidRequest, match=message):
        pack([sprite("a")], name="icons", **settings)


def test_a_placement_of_another_page_is_refused() -> None:
    (page,) = pack([sprite("a")], name="icons")
    with pytest.raises(InvalidRequest, match=r"a is at 64x64\+1\+1, which is not on"):
        extract_sprite(page.pixels[:40], page.placements[0])
