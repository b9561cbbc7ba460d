"""The benchmark's grid: each model's image of each line with its first seed, as one PNG."""

import io
from collections.abc import Iterator
from functools import cache

from PIL import Image, ImageDraw, ImageFont

from app.models.text.fonts import Fonts
from app.registry.benchmark import BenchmarkResult, ImageResult
from app.sheets.bench_report import Pictures
from app.sheets.entries import Pixels
from app.types import Verdict

LIMIT = 48
"""Lines on one image."""
_SIDE, _GAP, _MARGIN, _WORDS, _HEAD = 160, 12, 28, 200, 44
_FRAME = 3
_GROUND, _INK, _FAINT, _CHECKS = "#eef0f3", "#1b1f24", "#5d6774", ("#ffffff", "#e6e8ec")
_COLOURS = {
    Verdict.ACCEPT: "#1a7f4b",
    Verdict.REVIEW: "#9a6700",
    Verdict.RETRY: "#c4321f",
    Verdict.REJECT: "#c4321f",
    None: "#7a3fb5",
}


def draw_bench_grid(benchmark: BenchmarkResult, pictures: Pictures) -> bytes:
    """Draws a PNG with the workload's lines (at most LIMIT) as rows and the models as columns.

    Each image has a frame in the colour of its verdict; a line that a model cannot do says why.
    """
    columns, rows = len(benchmark.figures), min(len(benchmark.works), LIMIT)
    size = (
        2 * _MARGIN + _WORDS + columns * (_SIDE + _GAP),
        2 * _MARGIN + _HEAD + rows * (_SIDE + _GAP) - _GAP,
    )
    sheet = Image.new("RGB", size, _GROUND)
    draw = ImageDraw.Draw(sheet)
    for column, figure in enumerate(benchmark.figures):
        at = (_left(column) + _SIDE / 2, _MARGIN + 10)
        draw.text(at, _cut(figure.named, 15), fill=_INK, font=_font(17), anchor="mm")
    for row, work in enumerate(benchmark.works[:rows]):
        lines = "\n".join(_wrapped(work.prompt, work.text))
        beside = (_MARGIN, _top(row) + _SIDE / 2)
        draw.multiline_text(beside, lines, fill=_INK, font=_font(14), anchor="lm", spacing=5)
    for column, row, shot, words, pixels in _cells(benchmark, pictures, rows):
        _draw_cell(sheet, (_left(column), _top(row)), shot, words, pixels)
    file = io.BytesIO()
    sheet.save(file, "PNG", optimize=True)
    return file.getvalue()


def _left(column: int) -> int:
    return _MARGIN + _WORDS + _GAP + column * (_SIDE + _GAP)


def _top(row: int) -> int:
    return _MARGIN + _HEAD + row * (_SIDE + _GAP)


def _cells(
    benchmark: BenchmarkResult, pictures: Pictures, rows: int
) -> Iterator[tuple[int, int, ImageResult | None, str, Pixels | None]]:
    by_reference = {participant.reference: participant for participant in benchmark.entrants}
    for column, figures in enumerate(benchmark.figures):
        participant = by_reference[figures.reference]
        first = {shot.work: shot for shot in participant.shots if shot.seed == 0}
        for row in range(rows):
            pixels = pictures.get(participant.reference, {}).get((row, 0))
            yield column, row, first.get(row), participant.refused.get(row, "no picture"), pixels


def _draw_cell(
    sheet: Image.Image,
    at: tuple[int, int],
    shot: ImageResult | None,
    words: str,
    pixels: Pixels | None,
) -> None:
    draw = ImageDraw.Draw(sheet)
    (x, y), end = at, _SIDE - 1
    if pixels is None or shot is None:
        middle, lines = (x + _SIDE / 2, y + _SIDE / 2), "\n".join(_lines(words, 20))
        draw.multiline_text(middle, lines, fill=_FAINT, font=_font(12), anchor="mm", align="center")
        return
    frame = (x, y, x + end, y + end)
    draw.rounded_rectangle(frame, 8, fill=_COLOURS[shot.verdict])
    room = _SIDE - 2 * _FRAME
    picture = _fitted(Image.fromarray(pixels), room)
    sheet.paste(_checkerboard(room), (x + _FRAME, y + _FRAME))
    left, top = (_SIDE - picture.width) // 2, (_SIDE - picture.height) // 2
    sheet.paste(picture, (x + left, y + top), picture)


def _fitted(picture: Image.Image, room: int) -> Image.Image:
    """Enlarges by a whole number with hard pixels, or reduces; RGBA is resampled premultiplied."""
    factor = room // max(picture.size)
    if factor:
        size = (picture.width * factor, picture.height * factor)
        return picture.resize(size, Image.Resampling.NEAREST)
    picture.thumbnail((room, room), Image.Resampling.LANCZOS, reducing_gap=None)
    return picture


def _checkerboard(side: int) -> Image.Image:
    board = Image.new("RGB", (side, side), _CHECKS[0])
    draw = ImageDraw.Draw(board)
    for y in range(0, side, 8):
        for x in range(y % 16, side, 16):
            draw.rectangle((x, y, x + 7, y + 7), fill=_CHECKS[1])
    return board


def _wrapped(prompt: str, text: str) -> list[str]:
    return _lines(prompt, 26)[:4] + (
        [f"\u201c{line}\u201d" for line in [_cut(text, 24)]] if text else []
    )


def _lines(words: str, width: int) -> list[str]:
    lines = [""]
    for word in words.split():
        if lines[-1] and len(lines[-1]) + len(word) >= width:
            lines.append("")
        lines[-1] += f"{' ' if lines[-1] else ''}{_cut(word, width)}"
    return lines[:6]


def _cut(text: str, width: int) -> str:
    return text if len(text) <= width else text[: width - 1] + "\u2026"


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """Returns Inter, which has the letters that prompts are written in."""
    return ImageFont.truetype(io.BytesIO(Fonts().find("Inter-Regular").data), size)
