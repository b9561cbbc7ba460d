"""What was set in type is read back by a reader that knows only the pixels."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.check.legibility import cer, read_text
from app.models.text.fonts import Fonts
from app.models.typography import typeset
from app.types import TextLayer

FONTS = Fonts()
CORPUS = (
    "Summer sale",
    "GRAND OPENING",
    "Save 25% today",
    "1234567890",
    "Order number 48-1093",
    "Tuesday, 14 March",
    "Only $9.99!",
    "£4.50 each",
    "www.example.com",
    "A + B = C",
    "Don't panic",
    "fi office waffle difficult",
    "Café crème à Noël",
    "Größe über straße",
    "señor mañana",
    "São Paulo",
    "Tromsø Ålesund",
    "Łódź żółć",
    "Priorité aux piétons",
    "The quick brown fox\njumps over the lazy dog",
    "Fresh bread & strong coffee, every morning from seven until noon",
)
"""Captions, numbers, accents and several lines. Not read right, and so not here: Æ (read AE),
½, ť, İ, curly quotes, I beside l, Vietnamese's stacked accents, and every script but Latin."""


def plain(width: int = 640, height: int = 360) -> NDArray[np.uint8]:
    return np.full((height, width, 4), 255, np.uint8)


def photograph(width: int = 640, height: int = 360) -> NDArray[np.uint8]:
    """Soft blotches of every colour, and grain over them."""
    rng = np.random.default_rng(5)
    blotches = rng.integers(0, 256, (height // 40, width // 40, 3)).repeat(40, 0).repeat(40, 1)
    grain = rng.normal(0, 10, blotches.shape)
    colours = np.clip(blotches + grain, 0, 255).astype(np.uint8)
    return np.dstack([colours, np.full(colours.shape[:2], 255, np.uint8)])


def read_back(picture: NDArray[np.uint8], layer: TextLayer) -> str:
    return read_text(typeset(picture, (layer,), FONTS)[0])


@pytest.mark.parametrize("text", CORPUS)
def test_a_caption_is_read_back_exactly(text: str) -> None:
    layer = TextLayer(text=text, max_size_px=64)
    assert cer(text, read_back(plain(), layer)) == 0


@pytest.mark.parametrize("size", [16, 24, 150])
def test_small_and_large_type_is_read_back_exactly(size: int) -> None:
    layer = TextLayer(text="Fresh bread 1907", max_size_px=size)
    assert cer(layer.text, read_back(plain(), layer)) == 0


@pytest.mark.parametrize("aid", ["outline", "plate"])
def test_a_caption_on_a_busy_picture_is_read_back_exactly(aid: str) -> None:
    layer = TextLayer(text="Save 25% today", colour="#ffffff", max_size_px=64)
    assert cer(layer.text, read_back(photograph(), layer.replace(**{aid: "auto"}))) == 0


def test_lines_are_read_from_top_to_bottom() -> None:
    layer = TextLayer(text="first line\nsecond line\nthird line", max_size_px=48)
    assert read_back(plain(), layer) == layer.text


def test_white_text_on_nothing_is_read() -> None:
    picture = np.zeros((200, 600, 4), np.uint8)
    layer = TextLayer(text="on air", colour="#ffffff", outline="auto", max_size_px=80)
    assert read_back(picture, layer) == layer.text


@pytest.mark.parametrize("picture", [plain(), plain(1, 1), photograph(), plain(40, 640)])
def test_nothing_is_read_where_nothing_is_written(picture: NDArray[np.uint8]) -> None:
    assert read_text(picture) == ""


def test_the_wrong_text_is_noticed() -> None:
    assert cer("Summer sale", read_back(plain(), TextLayer(text="Summer sole"))) == 1 / 11


@pytest.mark.parametrize(
    ("expected", "read", "rate"),
    [
        ("abcd", "abcd", 0),
        ("abcd", "abxd", 0.25),
        ("abcd", "", 1),
        ("ab", "abcdef", 2),
        ("two\nlines", "two  lines ", 0),
        ("cafe\u0301", "caf\u00e9", 0),
        ("ab", "AB", 1),
    ],
)
def test_the_rate_counts_edits_for_each_expected_letter(
    expected: str, read: str, rate: float
) -> None:
    assert cer(expected, read) == rate


@given(text=st.text(min_size=1).filter(str.strip))
def test_the_rate_is_zero_for_the_same_text_and_above_for_a_longer_one(text: str) -> None:
    assert cer(text, text) == 0
    assert cer(text, text + "x") > 0


@pytest.mark.parametrize("empty", ["", " \n"])
def test_no_rate_is_given_for_an_empty_text(empty: str) -> None:
    with pytest.raises(ValueError, match="no text is expected"):
        cer(empty, "abc")
