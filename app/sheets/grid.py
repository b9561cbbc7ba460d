"""The contact sheet as one image: a grid of the assets with name, verdict and agreement."""

import re
from bisect import bisect_right
from collections.abc import Mapping
from functools import cache
from typing import TypeAlias

from PIL import Image, ImageDraw, ImageFont

from app.sheets.entries import Pixels, Selection, SheetEntry
from app.types import Measure, Status

LIMIT = 480
"""Entries on one image: 12 columns of 40 rows, about 1,940 x 8,900 pixels."""

_Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont
_Line: TypeAlias = list[tuple[float, str, str]]
"""Texts beside each other: left edge, text, colour."""

_COLUMNS = (6, 12)
_PICTURE, _PAD, _GAP, _MARGIN = 128, 10, 10, 36
_CELL_WIDTH, _CELL_HEIGHT = _PICTURE + 2 * _PAD, _PICTURE + 78
_SQUARE = 8

_GROUND, _CARD, _LINE = "#eef0f3", "#ffffff", "#dadee4"
_INK, _FAINT = "#1b1f24", "#5d6774"
_CHECKS = ("#ffffff", "#e6e8ec")
_COLOURS = {
    Status.ACCEPTED: "#1a7f4b",
    Status.REVIEW: "#9a6700",
    Status.REJECTED: "#c4321f",
    Status.FAILED: "#7a3fb5",
}


def draw_grid(selection: Selection, *, title: str, summary: Mapping[str, str]) -> Image.Image:
    """Draws the sheet as an RGB image of at most 12 columns and LIMIT entries; it says how many.

    Images up to 128 pixels are enlarged by a whole number with hard pixels, larger ones reduced.
    """
    shown = selection.first(LIMIT).entries
    columns = min(max(len(shown), _COLUMNS[0]), _COLUMNS[1])
    width = 2 * _MARGIN + columns * (_CELL_WIDTH + _GAP) - _GAP
    figures = {**summary, "shown": f"{len(shown):,} of {selection.total:,}"}
    lines = _flowed(figures, width - 2 * _MARGIN)
    top = _MARGIN + 46 + 24 * len(lines) + 28
    rows = -(-len(shown) // columns)
    sheet = Image.new("RGB", (width, top + rows * (_CELL_HEIGHT + _GAP) - _GAP + _MARGIN), _GROUND)
    _draw_header(sheet, title, lines, selection.counts, top)
    checks = _checkerboard()
    for index, entry in enumerate(shown):
        row, column = divmod(index, columns)
        x = _MARGIN + column * (_CELL_WIDTH + _GAP)
        _draw_card(sheet, entry, checks, x, top + row * (_CELL_HEIGHT + _GAP))
    return sheet


def _draw_header(
    sheet: Image.Image, title: str, lines: list[_Line], counts: Mapping[Status, int], top: int
) -> None:
    """Draws the title, the summary, and a strip divided among the statuses."""
    draw = ImageDraw.Draw(sheet)
    length = sheet.width - 2 * _MARGIN
    draw.text((_MARGIN, _MARGIN - 6), _cut(title, _font(28), length), fill=_INK, font=_font(28))
    for number, line in enumerate(lines):
        for x, text, colour in line:
            at = (_MARGIN + x, _MARGIN + 40 + 24 * number)
            draw.text(at, text, fill=colour, font=_font(15))
    left = float(_MARGIN)
    for status in Status:
        right = left + length * counts.get(status, 0) / max(sum(counts.values()), 1)
        if right > left:
            draw.rectangle((left, top - 20, right, top - 15), fill=_COLOURS[status])
        left = right


def _draw_card(sheet: Image.Image, entry: SheetEntry, checks: Image.Image, x: int, y: int) -> None:
    draw = ImageDraw.Draw(sheet)
    colour = _COLOURS[entry.status]
    frame = _LINE if entry.status is Status.ACCEPTED else colour
    draw.rounded_rectangle(
        (x, y, x + _CELL_WIDTH - 1, y + _CELL_HEIGHT - 1), 8, fill=_CARD, outline=frame
    )
    _draw_picture(sheet, entry.image, checks, x + _PAD, y + _PAD)
    below = y + _PAD + _PICTURE + 7
    for number, line in enumerate(_name_lines(entry.name)):
        draw.text((x + _PAD, below + 15 * number), line, fill=_INK, font=_font(12))
    foot = y + _CELL_HEIGHT - 17
    draw.ellipse((x + _PAD, foot - 4, x + _PAD + 8, foot + 4), fill=colour)
    draw.text((x + _PAD + 13, foot), entry.status, fill=colour, font=_font(12), anchor="lm")
    if Measure.AGREEMENT in entry.scores:
        agreement = f"{entry.scores[Measure.AGREEMENT]:.2f}"
        at = (x + _CELL_WIDTH - _PAD, foot)
        draw.text(at, agreement, fill=_INK, font=_font(12), anchor="rm")


def _draw_picture(
    sheet: Image.Image, image: Pixels | None, checks: Image.Image, x: int, y: int
) -> None:
    if image is None:
        draw = ImageDraw.Draw(sheet)
        draw.rectangle((x, y, x + _PICTURE - 1, y + _PICTURE - 1), fill=_GROUND)
        middle = (x + _PICTURE // 2, y + _PICTURE // 2)
        draw.text(middle, "no picture", fill=_FAINT, font=_font(12), anchor="mm")
        return
    sheet.paste(checks, (x, y))
    picture = _fitted(Image.fromarray(image))
    left, top = (_PICTURE - picture.width) // 2, (_PICTURE - picture.height) // 2
    sheet.paste(picture, (x + left, y + top), picture)


def _fitted(picture: Image.Image) -> Image.Image:
    """Enlarges by a whole number, or reduces to fit; Pillow resamples RGBA premultiplied."""
    factor = _PICTURE // max(picture.size)
    if factor:
        size = (picture.width * factor, picture.height * factor)
        return picture.resize(size, Image.Resampling.NEAREST)
    picture.thumbnail((_PICTURE, _PICTURE), Image.Resampling.LANCZOS, reducing_gap=None)
    return picture


def _checkerboard() -> Image.Image:
    board = Image.new("RGB", (_PICTURE, _PICTURE), _CHECKS[0])
    draw = ImageDraw.Draw(board)
    for y in range(0, _PICTURE, _SQUARE):
        for x in range((y // _SQUARE % 2) * _SQUARE, _PICTURE, 2 * _SQUARE):
            draw.rectangle((x, y, x + _SQUARE - 1, y + _SQUARE - 1), fill=_CHECKS[1])
    return board


def _flowed(figures: Mapping[str, str], width: float) -> list[_Line]:
    """Returns names and figures beside each other, on as many lines as they need."""
    font, x = _font(15), 0.0
    lines: list[_Line] = [[]]
    for name, figure in figures.items():
        offset = font.getlength(f"{name} ")
        shown = _cut(figure, font, width - offset)
        end = offset + font.getlength(shown)
        if lines[-1] and x + end > width:
            lines.append([])
            x = 0.0
        lines[-1] += [(x, name, _FAINT), (x + offset, shown, _INK)]
        x += end + 22
    return lines


def _name_lines(name: str) -> list[str]:
    """Returns the name on at most two lines, broken after punctuation; its end is always kept."""
    font, lines = _font(12), [""]
    for part in re.findall(r".+?(?:[-._ ]+|$)", name):
        if lines[-1] and font.getlength(lines[-1] + part) > _PICTURE:
            lines.append("")
        lines[-1] += part
    if len(lines) <= 2 and all(font.getlength(line) <= _PICTURE for line in lines):
        return lines
    return [_cut(name, font, _PICTURE), "\u2026" + _cut(name[::-1], font, _PICTURE - 12)[::-1]]


def _cut(text: str, font: _Font, width: float) -> str:
    """Returns as much of the text's beginning as fits."""
    room = range(len(text) + 1)
    count = bisect_right(room, width, key=lambda count: font.getlength(text[:count])) - 1
    return text[: max(count, 0)]


@cache
def _font(size: int) -> _Font:
    """Returns Pillow's own TrueType font."""
    return ImageFont.load_default(size)
