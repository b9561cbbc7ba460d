"""The largest size at which a text fits its box, and the position of each line."""

from dataclasses import dataclass
from math import ceil

from app.errors import InvalidRequest
from app.models.text.breaking import Paragraph
from app.models.text.fonts import Font
from app.models.text.outline import TextStyle
from app.models.text.shaping import Face
from app.types.base import Rect
from app.types.text_layer import TextLayer

LEGIBLE_X_HEIGHT_PX = 8
"""The smallest height in pixels of a lower-case x: about a 15 px font."""
_MARGIN = 20
"""Without a box, the margin is the image's shorter side divided by this."""


@dataclass(frozen=True, slots=True)
class Line:
    """One set line: its ink begins at sample `left`, its baseline is pixel row `baseline`."""

    text: str
    direction: str
    left: int
    baseline: int


@dataclass(frozen=True, slots=True)
class Block:
    """Lines that fit: `ink` bounds their glyphs, `drawn` also outline, plate and shadow."""

    face: Face
    lines: tuple[Line, ...]
    ink: Rect
    drawn: Rect


def box_of(layer: TextLayer, width: int, height: int) -> Rect:
    """Returns the layer's box, or the whole image within a margin.

    Raises InvalidRequest if the box exceeds the image.
    """
    margin = min(width, height) // _MARGIN
    box = layer.box or Rect(
        x=margin, y=margin, width=width - 2 * margin, height=height - 2 * margin
    )
    if box.x + box.width > width or box.y + box.height > height:
        raise InvalidRequest(
            f"its box {_box_text(box)} exceeds the {width}x{height} image; "
            "move it inside or make it smaller"
        )
    return box


def grow(rect: Rect, by: int, width: int, height: int) -> Rect:
    """Returns the rectangle grown on every side, clipped to an image of this size."""
    left, top = max(0, rect.x - by), max(0, rect.y - by)
    right, bottom = min(width, rect.x + rect.width + by), min(height, rect.y + rect.height + by)
    return Rect(x=left, y=top, width=right - left, height=bottom - top)


def overlap(rect: Rect, other: Rect) -> bool:
    """Returns whether the rectangles share a pixel."""
    across = max(rect.x, other.x) < min(rect.x + rect.width, other.x + other.width)
    return across and max(rect.y, other.y) < min(rect.y + rect.height, other.y + other.height)


def legible_size_px(font: Font) -> int:
    """Returns the smallest font size whose x-height is legible."""
    return ceil(LEGIBLE_X_HEIGHT_PX / font.x_height)


def fit_block(
    layer: TextLayer, paragraphs: tuple[Paragraph, ...], font: Font, box: Rect, style: TextStyle
) -> Block:
    """Returns the block of the paragraphs at the largest whole size inside its limits and box.

    Capitals are never higher than the box, so that a single hyphen does not become huge. Raises
    InvalidRequest when the smallest allowed legible size is too large.
    """
    legible = legible_size_px(font)
    smallest, largest = max(layer.min_size_px, legible), layer.max_size_px
    if largest < smallest:
        raise InvalidRequest(
            f"max_size_px {largest} is below {smallest} px, the smallest size allowed "
            f"({font.name!r} is legible from {legible} px); raise it"
        )
    best, high = None, min(largest, int(box.height / font.cap_height))
    low = smallest
    while low <= high:
        size = (low + high) // 2
        block = _lay_out(layer, paragraphs, Face(font, size), box, style)
        best, low, high = (block, size + 1, high) if block else (best, low, size - 1)
    if best is None:
        raise InvalidRequest(
            f"it does not fit its box {_box_text(box)} at {smallest} px, the smallest size allowed "
            f"({font.name!r} is legible from {legible} px); enlarge the box or shorten the text"
        )
    return best


def _lay_out(
    layer: TextLayer, paragraphs: tuple[Paragraph, ...], face: Face, box: Rect, style: TextStyle
) -> Block | None:
    margins = style.margins(face)
    room = margins.inside(box)
    wrapped = [paragraph.wrap(room.width / face.size_px) for paragraph in paragraphs]
    texts = [
        (text, paragraph.direction)
        for paragraph, lines in zip(paragraphs, wrapped, strict=True)
        for text in lines or ()
    ]
    if None in wrapped or not _fits_width(texts, face, room):
        return None
    step = round(layer.line_spacing * face.size_px)
    top, bottom = _extent(texts, face, step)
    if bottom - top > room.height:
        return None
    first = _first_baseline(layer.vertical_alignment, face, room, (len(texts) - 1) * step)
    first = max(room.y - top, min(first, room.y + room.height - bottom))
    lines = tuple(
        Line(text, direction, _left(layer.alignment, text, direction, face, room), first + i * step)
        for i, (text, direction) in enumerate(texts)
    )
    ink = _bounds(lines, face, first + top, first + bottom)
    return Block(face, lines, ink, margins.around(ink))


def _fits_width(texts: list[tuple[str, str]], face: Face, room: Rect) -> bool:
    """Returns whether each shaped line fits: units measured alone have no kerning between them."""
    return all(face.ink(*text).width <= room.width * face.scale for text in texts)


def _extent(texts: list[tuple[str, str]], face: Face, step: int) -> tuple[int, int]:
    """Returns the highest and lowest pixel edge of the ink, relative to the first baseline."""
    inks = [face.ink(*text) for text in texts]
    tops = [i * step + ink.top // face.scale for i, ink in enumerate(inks)]
    bottoms = [i * step - (-ink.bottom // face.scale) for i, ink in enumerate(inks)]
    return min(tops), max(bottoms)


def _first_baseline(alignment: str, face: Face, room: Rect, below: int) -> int:
    """Returns the first baseline by the font's own heights, equal for texts with other letters."""
    capitals = round(face.font.cap_height * face.size_px)
    if alignment == "top":
        return room.y + capitals
    if alignment == "bottom":
        return room.y + room.height - below - round(face.font.descent * face.size_px)
    return room.y + (room.height + capitals - below) // 2


def _left(alignment: str, text: str, direction: str, face: Face, room: Rect) -> int:
    """Aligns by the ink, not the pen, so that a T and an H begin on one edge."""
    free = room.width * face.scale - face.ink(text, direction).width
    share = {"left": 0, "centre": free // 2, "right": free}[alignment]
    return room.x * face.scale + share


def _bounds(lines: tuple[Line, ...], face: Face, top: int, bottom: int) -> Rect:
    widths = [(line, face.ink(line.text, line.direction).width) for line in lines]
    seen = [(line, width) for line, width in widths if width]
    if not seen:
        raise InvalidRequest("it has no ink; remove the layer")
    left = min(line.left for line, _ in seen) // face.scale
    right = -(-max(line.left + width for line, width in seen) // face.scale)
    return Rect(x=left, y=top, width=right - left, height=bottom - top)


def _box_text(box: Rect) -> str:
    return f"{box.width}x{box.height}+{box.x}+{box.y}"
