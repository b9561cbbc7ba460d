"""The contact sheet shows what was made, holds all it needs, and treats every text as data."""

import base64
import hashlib
import io
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from app.image.png import read_png
from app.sheets.contact_sheet import HTML_LIMIT, SheetEntry, contact_sheet
from app.sheets.entries import THUMBNAIL, select
from app.sheets.grid import LIMIT
from app.types import Measure, Status

HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "' onmouseover='alert(1)",
    "</style></script><svg onload=alert(1)>",
    "{{ 7 * 7 }}{% for x in y %}",
)


class Page(HTMLParser):
    """The elements and the text of a page, as a browser would see them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


def icon(side: int = 64, colour: tuple[int, int, int, int] = (200, 40, 40, 255)) -> Any:
    pixels = np.zeros((side, side, 4), dtype=np.uint8)
    pixels[side // 4 : -side // 4, side // 4 : -side // 4] = colour
    return pixels


def entry(name: str = "gem-red", **changes: Any) -> SheetEntry:
    fields: dict[str, Any] = {
        "version": "0123abcd",
        "status": Status.ACCEPTED,
        "image": icon(),
        "prompt": "a red gem",
        "scores": {Measure.AGREEMENT: 0.93, Measure.COVERAGE: 0.25},
    }
    return SheetEntry(name=name, **(fields | changes))


def written(folder: Path, *entries: SheetEntry, **summary: Any) -> tuple[str, Image.Image]:
    html, png = contact_sheet(entries, folder, title="A run", summary=summary)
    with Image.open(png) as picture:
        return html.read_text(encoding="utf-8"), picture.copy()


@pytest.mark.parametrize("text", HOSTILE)
def test_text_from_outside_is_data_and_never_markup(tmp_path: Path, text: str) -> None:
    harmless = Page(written(tmp_path, entry(reasons=("x",)), run="x" * len(text))[0])
    hostile = entry(text, version=text, prompt=text, reasons=(text,))
    html, _ = contact_sheet([hostile], tmp_path, title=text, summary={text: text})
    page = Page(html.read_text(encoding="utf-8"))
    assert [tag for tag, _ in page.elements] == [tag for tag, _ in harmless.elements]
    for (_, actual), (_, expected) in zip(page.elements, harmless.elements, strict=True):
        assert set(actual) == set(expected)
    assert page.words.count(text) >= 5


def test_the_content_policy_allows_the_two_inline_blocks_and_pictures_alone(tmp_path: Path) -> None:
    text, _ = written(tmp_path, entry())
    (policy,) = [m["content"] for m in Page(text).all("meta") if "http-equiv" in m]
    allowed = dict(part.strip().split(" ", 1) for part in str(policy).split(";"))
    assert allowed.pop("default-src") == allowed.pop("base-uri") == "'none'"
    assert allowed.pop("form-action") == "'none'"
    assert allowed.pop("img-src") == "data:"
    for tag in ("style", "script"):
        (block,) = re.findall(f"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(block.encode()).digest()).decode()
        assert allowed.pop(f"{tag}-src") == f"'sha256-{digest}'"
    assert not allowed


def test_the_page_needs_no_second_file_and_no_network(tmp_path: Path) -> None:
    text, _ = written(tmp_path, entry(), entry("big", image=icon(300)))
    for _, attributes in Page(text).elements:
        assert not {"style", "href", "srcset"} & set(attributes)
        assert str(attributes.get("src", "data:")).startswith("data:")
    assert "url(" not in text
    assert "//" not in re.sub(r"base64,[A-Za-z0-9+/=]+|sha256-[A-Za-z0-9+/=]+", "", text)


def test_every_asset_is_shown_in_order_with_what_was_said_of_it(tmp_path: Path) -> None:
    entries = [
        entry("gem-red"),
        entry("gem-blue", status=Status.REJECTED, reasons=("blurred: 0.2",), attempts=4),
        entry("gem-grey", status=Status.FAILED, image=None, scores={}, reasons=("no answer",)),
        entry("gem-pink", status=Status.REVIEW, reused=True),
    ]
    text, _ = written(tmp_path, *entries, asked=4, images_per_hour=12345.678)
    page = Page(text)
    shown = [a["data-status"] for a in page.all("article")]
    assert shown == [item.status for item in entries]
    assert [word for word in page.words if word.startswith("gem-")] == [e.name for e in entries]
    for words in ("blurred: 0.2", "no answer", "no picture", "4 attempts", "reused", "0.93"):
        assert words in page.words
    assert ("images per hour", "12,345.68") in zip(page.words, page.words[1:], strict=False)


def test_a_small_picture_stands_on_the_page_pixel_for_pixel(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 48, 4), dtype=np.uint8)
    text, _ = written(tmp_path, entry(image=pixels))
    (image,) = Page(text).all("img")
    data = base64.b64decode(str(image["src"]).removeprefix("data:image/png;base64,"))
    assert np.array_equal(read_png(data), pixels)
    assert image["class"] == "pixel-art"


def test_a_large_picture_is_reduced_and_its_edge_takes_no_hidden_colour(tmp_path: Path) -> None:
    pixels = icon(1000)
    pixels[..., :3] = np.where(pixels[..., 3:] > 0, (200, 40, 40), (0, 255, 0))
    text, _ = written(tmp_path, entry(image=pixels))
    (image,) = Page(text).all("img")
    data = base64.b64decode(str(image["src"]).removeprefix("data:image/webp;base64,"))
    with Image.open(io.BytesIO(data)) as reduced:
        assert reduced.size == (THUMBNAIL, THUMBNAIL)
        seen = np.asarray(reduced.convert("RGBA"))
    visible = seen[seen[..., 3] > 60]
    assert visible[:, 1].max() < 80


@given(st.lists(st.sampled_from(Status), max_size=30), st.integers(1, 12))
def test_when_room_is_short_the_gravest_are_kept_in_their_order(
    statuses: list[Status], limit: int
) -> None:
    entries = [entry(str(i), status=status, image=None) for i, status in enumerate(statuses)]
    selection = select(iter(entries), limit=limit)
    grave = (Status.FAILED, Status.REJECTED, Status.REVIEW, Status.ACCEPTED)
    wanted = sorted(entries, key=lambda item: grave.index(item.status))[:limit]
    assert list(selection.entries) == [item for item in entries if item in wanted]
    assert selection.total == len(entries)


def test_a_sheet_too_large_for_one_page_says_how_many_it_shows(tmp_path: Path) -> None:
    many = (entry(f"gem-{i}", image=None) for i in range(HTML_LIMIT))
    html, png = contact_sheet(
        (*many, entry("gem-last", status=Status.FAILED)), tmp_path, title="Many", summary={}
    )
    page = Page(html.read_text(encoding="utf-8"))
    assert len(page.all("article")) == HTML_LIMIT
    assert "gem-last" in page.words
    assert any("This page holds 2,000 of 2,001 assets" in words for words in page.words)
    with Image.open(png) as picture:
        assert picture.width < 2000
        assert picture.height < 206 * 1.1 * LIMIT / 12


def test_the_same_entries_give_the_same_bytes(tmp_path: Path) -> None:
    entries = [entry(), entry("gem-blue", image=icon(300))]
    first = contact_sheet(entries, tmp_path / "one", title="A run", summary={"asked": 2})
    second = contact_sheet(entries, tmp_path / "two", title="A run", summary={"asked": 2})
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_an_empty_run_has_a_sheet_too(tmp_path: Path) -> None:
    text, picture = written(tmp_path, asked=0)
    assert not Page(text).all("article")
    assert picture.height > 100


def test_the_picture_shows_small_icons_enlarged_twice_with_hard_pixels(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (64, 64, 4), dtype=np.uint8)
    pixels[..., 3] = 255
    _, picture = written(tmp_path, entry(image=pixels))
    sheet = np.asarray(picture)
    enlarged = pixels.repeat(2, axis=0).repeat(2, axis=1)[..., :3]
    corners = np.argwhere((sheet[:-127, :-127] == enlarged[0, 0]).all(axis=-1))
    assert any(np.array_equal(sheet[y : y + 128, x : x + 128], enlarged) for y, x in corners)


def test_long_words_stay_inside_the_picture(tmp_path: Path) -> None:
    name = "-".join(["icon-of-a-very-old-thing"] * 4) + "w" * 20
    _, picture = written(tmp_path, entry(name), path="/a/long/folder" * 40, run="x" * 500)
    sheet = np.asarray(picture)
    ground = sheet[0, 0]
    assert (sheet[:, -30:] == ground).all()
    assert (sheet[-30:] == ground).all()
    card = sheet[-36 - 206 :, 36 + 148 :]
    assert (card[:, 12:] == ground).all()
