"""Typography: text layers set over an image in real fonts, legible or refused.

It handles pixels, layers and fonts, not models or requests.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from app.errors import InvalidRequest
from app.models.text import drawing
from app.models.text.breaking import paragraphs_of
from app.models.text.contrast import contrast, required_contrast, ring_px
from app.models.text.fonts import Font, Fonts, require_glyphs
from app.models.text.layout import Block, box_of, fit_block, grow, overlap
from app.models.text.outline import TextStyle, text_styles
from app.types.base import Rect, Value
from app.types.text_layer import TextLayer

_MAX_QUOTED = 40
"""Letters of a text that an error quotes."""


class TypesetText(Value):
    """How one layer was set: enough to set it again, and the measured contrast."""

    font: str
    font_digest: str
    size_px: int
    lines: tuple[str, ...]
    box: Rect
    ink: Rect
    """The glyphs' bounds."""
    painted: Rect
    """The bounds of everything drawn (glyphs, outline, plate, shadow); inside the box."""
    outline: str
    plate: str
    plate_opacity: float
    contrast: float
    contrast_required: float


def typeset(
    picture: NDArray[np.uint8], layers: tuple[TextLayer, ...], fonts: Fonts
) -> tuple[NDArray[np.uint8], tuple[TypesetText, ...]]:
    """Returns a copy of the RGBA image [h, w, 4] with all layers set in order, and their details.

    The same arguments give the same bytes, and no pixel outside a layer's box is changed. Raises
    InvalidRequest, quoting the text and naming the remedy: an unknown font, a character the font
    lacks, a box outside the image, text that does not fit at a legible size, a contrast below WCAG
    2's requirement at level AA, or two layers that overlap. Fonts, characters and boxes are checked
    for all layers before the first is set.
    """
    height, width = picture.shape[:2]
    ready = check_layers(layers, fonts, width, height)
    canvas, done = picture.copy(), []
    for layer, (font, box) in zip(layers, ready, strict=True):
        canvas, text = _with_layer(canvas, layer, font, box)
        done.append(text)
    _refuse_overlaps(layers, done)
    return canvas, tuple(done)


def check_layers(
    layers: tuple[TextLayer, ...], fonts: Fonts, width: int, height: int
) -> list[tuple[Font, Rect]]:
    """Returns each layer's font and box; raises InvalidRequest that quotes a faulty text."""
    return [_prepare_layer(layer, fonts, width, height) for layer in layers]


def _prepare_layer(layer: TextLayer, fonts: Fonts, width: int, height: int) -> tuple[Font, Rect]:
    with _quoting(layer):
        font = fonts.find(layer.font)
        _require_same(font, layer)
        require_glyphs(layer.text, font)
        return font, box_of(layer, width, height)


def _with_layer(
    canvas: NDArray[np.uint8], layer: TextLayer, font: Font, box: Rect
) -> tuple[NDArray[np.uint8], TypesetText]:
    """Returns the canvas with the layer in the first style whose contrast is sufficient."""
    faint = []
    with _quoting(layer):
        paragraphs = paragraphs_of(layer.text, font, layer.direction)
        for style in text_styles(layer):
            block = fit_block(layer, paragraphs, font, box, style)
            attempt = canvas.copy()
            drawing.draw_backdrop(attempt, block, style)
            ratio = _contrast(attempt, block, layer.colour)
            if ratio >= required_contrast(block.face):
                drawing.draw_glyphs(attempt, block, layer.colour)
                return attempt, _typeset_text(block, box, style, ratio)
            faint.append((ratio, required_contrast(block.face)))
        raise InvalidRequest(_too_faint(layer, *faint[-1]))


def _contrast(canvas: NDArray[np.uint8], block: Block, colour: str) -> float:
    height, width = canvas.shape[:2]
    around = grow(block.ink, ring_px(block.face), width, height)
    behind = drawing.region(canvas, around)
    return contrast(behind, drawing.glyph_coverage(block, around), colour, block.face)


def _too_faint(layer: TextLayer, ratio: float, required: float) -> str:
    allow = [f"{aid}: auto" for aid in ("outline", "plate") if getattr(layer, aid) == ""]
    remedy = f" or allow it {' or '.join(allow)}" if allow else ""
    return (
        f"{layer.colour} has a contrast of {ratio:.2f} to what is behind it at the worst place, "
        f"{required:g} is required; choose another colour or box{remedy}"
    )


def _typeset_text(block: Block, box: Rect, style: TextStyle, ratio: float) -> TypesetText:
    return TypesetText(
        font=block.face.font.name,
        font_digest=block.face.font.digest,
        size_px=block.face.size_px,
        lines=tuple(line.text for line in block.lines),
        box=box,
        ink=block.ink,
        painted=block.drawn,
        outline=style.outline,
        plate=style.plate,
        plate_opacity=style.plate_opacity if style.plate else 0.0,
        contrast=round(ratio, 2),
        contrast_required=required_contrast(block.face),
    )


def _refuse_overlaps(layers: tuple[TextLayer, ...], done: list[TypesetText]) -> None:
    """Raises InvalidRequest for overlaps: later layers are not in the measured contrast."""
    for (_, first), (later, second) in combinations(zip(layers, done, strict=True), 2):
        if overlap(first.painted, second.painted):
            with _quoting(later):
                raise InvalidRequest(
                    f"it overlaps the text {_short(' '.join(first.lines))}; give them boxes "
                    "that do not overlap"
                )


def _require_same(font: Font, layer: TextLayer) -> None:
    if layer.font_digest not in ("", font.digest):
        raise InvalidRequest(
            f"font {font.name!r} is not the file it was ({font.digest[:12]}, the request says "
            f"{layer.font_digest[:12]}); restore the old file, or send a new request"
        )


@contextmanager
def _quoting(layer: TextLayer) -> Iterator[None]:
    """Adds the layer's text to the faults raised inside."""
    try:
        yield
    except InvalidRequest as fault:
        raise InvalidRequest(f"text {_short(layer.text)}: {fault}") from fault


def _short(text: str) -> str:
    return repr(text if len(text) <= _MAX_QUOTED else text[: _MAX_QUOTED - 1] + "…")
