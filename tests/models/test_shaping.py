"""Lines are shaped and ordered by a real shaper, and wrapped where Unicode allows it."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.models.text.breaking import paragraphs_of
from app.models.text.fonts import Fonts
from app.models.text.shaping import Face, Ink, direction_of
from tests.models.square_font import write_square_font

FONTS = Fonts()
INTER = Face(FONTS.find("Inter-Regular"), 64)
RUBIK = Face(FONTS.find("Rubik-SemiBold"), 64)


def on_baseline(ink: Ink, rows: int = 600) -> np.ndarray:
    """The mask on a canvas whose baseline is in the middle, so that inks can be compared."""
    canvas = np.zeros((rows, ink.width), np.uint8)
    top = rows // 2 + ink.top
    canvas[top : top + ink.mask.shape[0]] = ink.mask
    return canvas


@pytest.mark.parametrize("pair", ["AV", "To", "LT", "Yo", "P."])
def test_kerning_draws_pairs_together(pair: str) -> None:
    apart = sum(INTER.advance(letter, "ltr") for letter in pair)
    assert INTER.advance(pair, "ltr") < apart


def test_contextual_forms_are_substituted() -> None:
    assert INTER.ink("->", "ltr").mask.shape != INTER.ink("- >", "ltr").mask.shape
    lam_alef = RUBIK.ink("لا", "rtl").width
    assert lam_alef < RUBIK.ink("ل", "rtl").width + RUBIK.ink("ا", "rtl").width  # noqa: RUF001


def test_arabic_letters_join() -> None:
    """Three joined beh are one piece of ink; unjoined they would be three with white between."""
    joined = RUBIK.ink("ببب", "rtl").mask.max(axis=0)
    unjoined = RUBIK.ink("ب\u200cب\u200cب", "rtl").mask.max(axis=0)
    assert joined.min() > 0
    assert unjoined.min() == 0


def test_hebrew_begins_at_the_right() -> None:
    both, first = on_baseline(RUBIK.ink("אב", "rtl")), on_baseline(RUBIK.ink("א", "rtl"))
    np.testing.assert_array_equal(both[:, -first.shape[1] :], first)


def test_numbers_in_hebrew_run_from_left_to_right() -> None:
    both, number = on_baseline(RUBIK.ink("שלום 123", "rtl")), on_baseline(RUBIK.ink("123", "ltr"))
    np.testing.assert_array_equal(both[:, : number.shape[1]], number)


def test_brackets_are_mirrored_in_hebrew() -> None:
    text, bracket = on_baseline(RUBIK.ink("(אב)", "rtl")), on_baseline(RUBIK.ink("(", "ltr"))
    np.testing.assert_array_equal(text[:, : bracket.shape[1]], bracket)


@pytest.mark.parametrize(
    ("text", "asked", "direction"),
    [
        ("abc", "auto", "ltr"),
        ("שלום abc", "auto", "rtl"),
        ("123 مرحبا", "auto", "rtl"),
        ("123 !", "auto", "ltr"),
        ("abc", "rtl", "rtl"),
        ("שלום", "ltr", "ltr"),
    ],
)
def test_the_first_strong_letter_decides_unless_asked(
    text: str, asked: str, direction: str
) -> None:
    assert direction_of(text, asked) == direction


def test_the_asked_direction_places_the_neutral_signs() -> None:
    right, mark = on_baseline(INTER.ink("abc!", "rtl")), on_baseline(INTER.ink("!", "ltr"))
    np.testing.assert_array_equal(right[:, : mark.shape[1]], mark)


def test_spacing_does_not_depend_on_the_size() -> None:
    """Whole-pixel advances would make 15 px text up to a few per cent wider than 150 px text."""
    text = "Spacing should scale"
    widths = [
        Face(INTER.font, size).advance(text, "ltr") / Face(INTER.font, size).scale / size
        for size in (15, 20, 40, 150, 400)
    ]
    assert max(widths) / min(widths) < 1.005


def wrapped(text: str, width: float, font: str = "Inter-Regular") -> tuple[str, ...] | None:
    (paragraph,) = paragraphs_of(text, FONTS.find(font), "auto")
    return paragraph.wrap(width)


words = st.lists(st.text("abcdefghijAVTW", min_size=1, max_size=9), min_size=1, max_size=20)


@settings(max_examples=50)
@given(words=words, width=st.floats(3, 30))
def test_wrapping_loses_nothing_and_keeps_within_the_width(words: list[str], width: float) -> None:
    lines = wrapped(" ".join(words), width)
    face = Face(INTER.font, 256)
    if lines is None:
        assert max(face.ink(word, "ltr").width for word in words) > width * 256
        return
    assert " ".join(lines).split() == words
    tolerance = 0.02  # kerning against the space, which units measured alone do not know
    assert all(face.ink(line, "ltr").width <= (width + tolerance) * 256 for line in lines)


def test_lines_are_even() -> None:
    lines = wrapped("one two three four five six seven eight", 16.5)
    assert lines == ("one two three four", "five six seven eight")


def test_a_line_that_fits_is_not_broken() -> None:
    assert wrapped("one two", 30) == ("one two",)


def test_nothing_breaks_at_a_no_break_space_or_inside_a_number() -> None:
    assert wrapped("12\u00a0kg 3.50", 2.9) == ("12\u00a0kg", "3.50")


def test_chinese_and_japanese_break_between_letters_but_not_before_a_full_stop(
    tmp_path: Path,
) -> None:
    write_square_font(tmp_path / "Squares.ttf", "日本語文。「」")
    (paragraph,) = paragraphs_of("日本語文。", Fonts(tmp_path).find("Squares"), "auto")
    assert paragraph.wrap(4) == ("日本語", "文。")
    assert paragraph.wrap(2) == ("日本", "語", "文。")
    assert paragraph.wrap(1.7) is None
