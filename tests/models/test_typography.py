"""Text is set inside its box, as large as it fits, legible, in contrast, the same every time."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from app.errors import InvalidRequest
from app.models.text.fonts import DEFAULT_FONT, Fonts
from app.models.text.layout import LEGIBLE_X_HEIGHT_PX
from app.models.typography import TypesetText, typeset
from app.types import Rect, TextLayer
from tests.models.square_font import write_square_font

FONTS = Fonts()
WIDTH, HEIGHT = 300, 200

texts = st.text("abfgijMQTVWyÅÇß10.,!-  \n", min_size=1, max_size=40)
colours = st.from_regex(r"#[0-9a-f]{6}", fullmatch=True)
boxes = st.builds(
    lambda left, right, top, bottom: Rect(
        x=left, y=top, width=WIDTH - right - left, height=HEIGHT - bottom - top
    ),
    st.integers(0, WIDTH // 2), st.integers(0, WIDTH // 2),
    st.integers(0, HEIGHT // 2), st.integers(0, HEIGHT // 2),
)  # fmt: skip
layers = st.builds(
    TextLayer,
    text=texts,
    font=st.sampled_from(FONTS.names),
    box=st.none() | boxes,
    alignment=st.sampled_from(("left", "centre", "right")),
    vertical_alignment=st.sampled_from(("top", "middle", "bottom")),
    direction=st.sampled_from(("auto", "ltr", "rtl")),
    line_spacing=st.floats(0.8, 3),
    shadow=st.just("") | colours,
    outline=st.just("") | st.just("auto") | colours,
    plate=st.just("") | st.just("auto") | colours,
)


def plain(colour: tuple[int, ...] = (255, 255, 255, 255)) -> NDArray[np.uint8]:
    return np.full((HEIGHT, WIDTH, 4), colour, np.uint8)


def noise(seed: int) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 4), np.uint8)


def typeset_one(picture: NDArray[np.uint8], **fields: Any) -> tuple[NDArray[np.uint8], TypesetText]:
    painted, (text,) = typeset(picture, (TextLayer(**fields),), FONTS)
    return painted, text


def changed(before: NDArray[np.uint8], after: NDArray[np.uint8]) -> Rect:
    rows, columns = np.nonzero((before != after).any(axis=-1))
    x, y = int(columns.min()), int(rows.min())
    return Rect(x=x, y=y, width=int(columns.max()) + 1 - x, height=int(rows.max()) + 1 - y)


def holds(outer: Rect, inner: Rect) -> bool:
    across = outer.x <= inner.x and inner.x + inner.width <= outer.x + outer.width
    return across and outer.y <= inner.y and inner.y + inner.height <= outer.y + outer.height


@settings(max_examples=150)
@given(layer=layers, seed=st.sampled_from((0, 0, 0, 1)))
def test_text_is_refused_or_legible_in_contrast_and_inside_its_box(
    layer: TextLayer, seed: int
) -> None:
    picture = noise(seed) if seed else plain()
    kept = picture.copy()
    try:
        painted, (text,) = typeset(picture, (layer,), FONTS)
    except InvalidRequest:
        return
    finally:
        np.testing.assert_array_equal(picture, kept)
    assert holds(layer.box or Rect(x=10, y=10, width=280, height=180), text.painted)
    assert holds(text.painted, text.ink)
    assert holds(text.painted, changed(picture, painted))
    assert text.size_px * FONTS.find(layer.font).x_height >= LEGIBLE_X_HEIGHT_PX
    assert text.contrast >= text.contrast_required >= 3
    assert "".join("".join(text.lines).split()) == "".join(layer.text.split())


@settings(max_examples=20)
@given(layer=layers)
def test_the_same_text_gives_the_same_bytes(layer: TextLayer) -> None:
    def attempt() -> bytes | str:
        try:
            return typeset(noise(1), (layer,), Fonts())[0].tobytes()
        except InvalidRequest as fault:
            return str(fault)

    assert attempt() == attempt()


@settings(max_examples=50)
@given(colour=colours, seed=st.integers(0, 99))
def test_a_plate_that_is_allowed_always_makes_the_contrast(colour: str, seed: int) -> None:
    _, text = typeset_one(
        noise(seed), text="Any colour", colour=colour, plate="auto", max_size_px=20
    )
    assert text.contrast >= 4.5


@pytest.mark.parametrize("text", ["Sale", "gypsy", "two words", "Å\nÇ", "a longer text that wraps"])
@pytest.mark.parametrize("box", [(10, 10, 280, 180), (50, 20, 90, 150), (0, 0, 300, 60)])
def test_no_larger_size_would_fit(text: str, box: tuple[int, int, int, int]) -> None:
    where = Rect(x=box[0], y=box[1], width=box[2], height=box[3])
    _, typeset_text = typeset_one(plain(), text=text, box=where)
    with pytest.raises(InvalidRequest, match="does not fit"):
        typeset_one(plain(), text=text, box=where, min_size_px=typeset_text.size_px + 1)


def test_text_fills_the_height_or_the_width_of_its_box() -> None:
    box = Rect(x=10, y=10, width=280, height=180)
    _, wide = typeset_one(plain(), text="Wide\u00a0text", box=box)
    assert wide.ink.width > 0.95 * box.width
    _, high = typeset_one(plain(), text="I", box=box)
    assert high.ink.height > 0.95 * box.height


@pytest.mark.parametrize("largest", [16, 33, 70])
def test_no_text_is_larger_than_its_limit(largest: int) -> None:
    assert typeset_one(plain(), text="Sale", max_size_px=largest)[1].size_px == largest


def test_alignment_puts_the_ink_on_the_edges_of_the_box() -> None:
    box = Rect(x=20, y=30, width=250, height=150)

    def ink(**fields: Any) -> Rect:
        return typeset_one(plain(), text="Hj", box=box, max_size_px=40, **fields)[1].ink

    left, centre, right = (ink(alignment=side) for side in ("left", "centre", "right"))
    assert left.x == box.x
    assert right.x + right.width == box.x + box.width
    assert abs(2 * centre.x + centre.width - (2 * box.x + box.width)) <= 2
    top, bottom = (ink(vertical_alignment=side) for side in ("top", "bottom"))
    assert 0 <= top.y - box.y <= 2
    assert 0 <= box.y + box.height - bottom.y - bottom.height <= 40 * 0.1


def test_neighbours_share_their_baseline_whatever_their_letters() -> None:
    """The flat foot of an n stands where that of an H stands, with a g beside it or not."""
    feet = []
    for text in ("H", "Hg", "nH"):
        box = Rect(x=0, y=0, width=200, height=100)
        painted, typeset_text = typeset_one(plain(), text=text, box=box, max_size_px=40)
        column = typeset_text.ink.x + 3
        feet.append(int(np.nonzero(painted[:, column, 0] < 128)[0].max()))
    assert len(set(feet)) == 1


def test_line_spacing_is_from_baseline_to_baseline() -> None:
    heights = [
        typeset_one(plain(), text="H\nH", max_size_px=20, line_spacing=spacing)[1].ink.height
        for spacing in (1.0, 1.5, 3.0)
    ]
    assert [height - heights[0] for height in heights] == [0, 10, 40]


def test_lines_that_would_touch_are_refused() -> None:
    with pytest.raises(InvalidRequest, match="touch each other; raise line_spacing"):
        typeset_one(plain(), text="jjj\nÅÅÅ", line_spacing=0.8)


def test_rtl_text_is_wrapped_and_set() -> None:
    box = Rect(x=10, y=10, width=160, height=180)
    _, text = typeset_one(
        plain(), text="שלום עולם טוב", font="Rubik-SemiBold", box=box, max_size_px=36
    )
    assert text.lines == ("שלום", "עולם טוב")


def test_chinese_is_set_where_the_font_has_it_and_refused_where_not(tmp_path: Path) -> None:
    write_square_font(tmp_path / "Squares.ttf", "夏季")
    layer = TextLayer(text="夏季", font="Squares")
    _, (text,) = typeset(plain(), (layer,), Fonts(tmp_path))
    assert text.lines == ("夏季",)
    with pytest.raises(InvalidRequest, match=r"font 'Inter-SemiBold' has no glyph for '夏'.*590F"):
        typeset(plain(), (layer.replace(font=""),), Fonts(tmp_path))


def test_every_layer_is_checked_before_any_is_set() -> None:
    """The first layer does not fit; the second names no font, and is the one refused."""
    wrong = TextLayer(text="x" * 200), TextLayer(text="b", font="Nowhere")
    with pytest.raises(InvalidRequest, match=r"text 'b': no font is named 'Nowhere'"):
        typeset(plain(), wrong, FONTS)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"text": "a" * 80}, "does not fit its box 280x180.*enlarge the box or shorten"),
        ({"text": "Hi", "box": {"x": 0, "y": 0, "width": 9, "height": 9}}, "does not fit"),
        ({"text": "Hi", "box": {"x": 0, "y": 0, "width": 0, "height": 0}}, "does not fit"),
        ({"text": "Hi", "max_size_px": 14}, "legible from 15 px.*raise it"),
        ({"text": "Hi", "min_size_px": 60, "max_size_px": 50}, "max_size_px 50 is below 60"),
        (
            {"text": "Hi", "box": {"x": 200, "y": 0, "width": 101, "height": 50}},
            "101x50.200.0 exceeds the 300x200 image",
        ),
        ({"text": " \n "}, "no ink"),
        ({"text": "\u200d"}, "no ink"),
    ],
)
def test_what_cannot_be_set_is_refused_with_the_remedy(fields: Any, words: str) -> None:
    with pytest.raises(InvalidRequest, match=f"^text .*{words}"):
        typeset_one(plain(), **fields)


@pytest.mark.parametrize(("grey", "ratio"), [("#000000", 21), ("#767676", 4.54), ("#737373", 4.74)])
def test_contrast_is_the_ratio_of_wcag(grey: str, ratio: float) -> None:
    text = typeset_one(plain(), text="Contrast", colour=grey, max_size_px=20)[1]
    assert text.contrast == ratio


def test_text_that_is_too_faint_is_refused_with_the_measured_ratio() -> None:
    with pytest.raises(
        InvalidRequest, match=r"#777777 has a contrast of 4\.48 .* 4\.5 is req.*aut"
    ):
        typeset_one(plain(), text="Contrast", colour="#777777", max_size_px=20)


def test_large_text_needs_less_contrast() -> None:
    assert (
        typeset_one(plain(), text="Contrast", colour="#777777", max_size_px=24)[1].contrast == 4.48
    )
    with pytest.raises(InvalidRequest, match=r"3 is required"):
        typeset_one(plain(), text="Contrast", colour="#aaaaaa", max_size_px=24)


def test_one_letter_on_a_bad_place_is_enough_to_refuse() -> None:
    picture = plain()
    picture[:, 130:150] = (20, 20, 20, 255)
    with pytest.raises(InvalidRequest, match=r"contrast of 1\.\d\d to what is behind it"):
        typeset_one(picture, text="Black on white")


def test_a_single_dark_pixel_is_no_background() -> None:
    picture = plain()
    picture[100, 150] = (0, 0, 0, 255)
    assert typeset_one(picture, text="Black on white")[1].contrast > 4.5


def test_on_transparent_ground_anything_may_lie_behind() -> None:
    with pytest.raises(InvalidRequest, match=r"contrast of 1\.00"):
        typeset_one(plain((255, 255, 255, 0)), text="Nowhere")
    painted, text = typeset_one(plain((255, 255, 255, 0)), text="Nowhere", plate="auto")
    assert (text.plate, painted[0, 0, 3]) == ("#ffffff", 0)


def test_an_aid_is_added_only_where_it_is_needed_and_never_changes_the_colour() -> None:
    allowed: dict[str, Any] = {"text": "Aid", "outline": "auto", "plate": "auto"}
    _, good = typeset_one(plain(), colour="#800000", **allowed)
    assert (good.outline, good.plate) == ("", "")
    painted, bad = typeset_one(plain((120, 0, 0, 255)), colour="#800000", **allowed)
    assert (bad.outline, bad.plate) == ("#ffffff", "")
    assert (painted == (128, 0, 0, 255)).all(axis=-1).sum() > 500


def test_a_plate_lets_the_picture_through_where_that_is_enough() -> None:
    _, text = typeset_one(plain((90, 90, 90, 255)), text="Aid", plate="auto", colour="#ffffff")
    assert text.plate == ""
    _, text = typeset_one(plain((170, 170, 170, 255)), text="Aid", plate="auto", colour="#ffffff")
    assert (text.plate, text.plate_opacity) == ("#000000", 0.6)


def test_what_was_asked_for_is_always_painted() -> None:
    colours = {"shadow": "#0000ff", "outline": "#ffff00", "plate": "#ffe0e0"}
    painted, text = typeset_one(plain(), text="All", max_size_px=60, **colours)
    assert (text.outline, text.plate, text.plate_opacity) == ("#ffff00", "#ffe0e0", 1)
    for colour in ((255, 255, 0, 255), (255, 224, 224, 255)):
        assert (painted == colour).all(axis=-1).any()
    blue = painted[..., 2].astype(int) - painted[..., 0]
    assert blue.max() > 50


def test_layers_are_set_in_order_and_each_says_what_it_did() -> None:
    top, bottom = Rect(x=0, y=0, width=300, height=90), Rect(x=0, y=110, width=300, height=90)
    layers = TextLayer(text="Above", box=top), TextLayer(text="Below", box=bottom)
    painted, texts = typeset(plain(), layers, FONTS)
    assert [text.lines for text in texts] == [("Above",), ("Below",)]
    assert texts[0].font == DEFAULT_FONT
    assert texts[0].font_digest == FONTS.find("").digest
    alone, _ = typeset(plain(), layers[:1], FONTS)
    np.testing.assert_array_equal(painted[:100], alone[:100])


def test_layers_that_paint_over_each_other_are_refused() -> None:
    layers = TextLayer(text="One"), TextLayer(text="Two", plate="auto")
    with pytest.raises(InvalidRequest, match=r"text 'Two': .*overlaps the text 'One'"):
        typeset(plain(), layers, FONTS)


def test_no_layers_change_nothing() -> None:
    painted, texts = typeset(noise(3), (), FONTS)
    np.testing.assert_array_equal(painted, noise(3))
    assert texts == ()
