"""Draws a block: plate, shadow and outline first, then the glyphs, each a coverage in a colour.

A coverage is uint8 [h, w] over a rectangle; nothing outside `block.drawn` is changed.
"""

import cv2
import numpy as np
from PIL import Image, ImageDraw

from app.errors import InvalidRequest
from app.models.text.contrast import rgb
from app.models.text.layout import Block
from app.models.text.masks import Mask, closed
from app.models.text.outline import TextStyle, plate_px, shadow_px
from app.types.base import Rect

SHADOW_OPACITY = 0.6
_CORNER = 0.2
"""A plate's corner radius in font sizes."""
_SAMPLES = 4


def region(picture: Mask, rect: Rect) -> Mask:
    """Returns the rectangle of the image as a view: writing to it changes the image."""
    return picture[rect.y : rect.y + rect.height, rect.x : rect.x + rect.width]


def glyph_coverage(block: Block, within: Rect, *, outline_px: int = 0) -> Mask:
    """Returns the coverage over `within` of the block's glyphs, widened by an outline.

    Raises InvalidRequest when the glyphs of one line touch those of another.
    """
    covered = np.zeros((within.height, within.width), np.uint8)
    for line in block.lines:
        ink = block.face.ink(line.text, line.direction, outline_px=outline_px)
        plain = block.face.ink(line.text, line.direction)
        if not ink.mask.size:
            continue
        scale = block.face.scale
        left = line.left + ink.left - plain.left - within.x * scale
        top = ink.top + (line.baseline - within.y) * scale
        touched = _add(covered, ink.mask, left, top, scale)
        if touched and not outline_px:
            raise InvalidRequest("its lines touch each other; raise line_spacing")
    return covered


def draw_backdrop(picture: Mask, block: Block, style: TextStyle) -> None:
    """Draws plate, shadow and outline into the RGBA image [h, w, 4], in this order."""
    outline_px = style.outline_px(block.face)
    body = glyph_coverage(block, block.drawn, outline_px=outline_px)
    if outline_px:
        body = closed(body, outline_px)  # otherwise slivers stay open inside an a or an e
    if style.plate:
        _blend(picture, block, _plate(block), style.plate, style.plate_opacity)
    if style.shadow:
        _blend(picture, block, _shadow(body, block), style.shadow, SHADOW_OPACITY)
    if style.outline:
        _blend(picture, block, body, style.outline)


def draw_glyphs(picture: Mask, block: Block, colour: str) -> None:
    """Draws the glyphs into the RGBA image [h, w, 4]."""
    _blend(picture, block, glyph_coverage(block, block.drawn), colour)


def _add(covered: Mask, mask: Mask, left: int, top: int, scale: int) -> bool:
    """Averages samples into pixels, keeps the greater coverage, returns whether two lines touch."""
    x, y = left // scale, top // scale
    before = (top - y * scale, left - x * scale)
    after = [-(size + lead) % scale for size, lead in zip(mask.shape, before, strict=True)]
    samples = np.pad(mask, [(before[0], after[0]), (before[1], after[1])])
    size = (samples.shape[1] // scale, samples.shape[0] // scale)
    pixels = cv2.resize(samples, size, interpolation=cv2.INTER_AREA)
    # A stroke may touch one sample more than it should; that sliver is cut off.
    pixels = pixels[max(0, -y) :, max(0, -x) :]
    place = covered[max(0, y) :, max(0, x) :][: pixels.shape[0], : pixels.shape[1]]
    pixels = pixels[: place.shape[0], : place.shape[1]]
    touched = bool(np.any((place > 0) & (pixels > 0)))
    np.maximum(place, pixels, out=place)
    return touched


def _blend(picture: Mask, block: Block, covered: Mask, colour: str, opacity: float = 1.0) -> None:
    """Blends the colour over the image ("over" of Porter and Duff, straight alpha)."""
    place = region(picture, block.drawn)
    share = covered[..., None] * np.float32(opacity / 255)
    alpha = place[..., 3:] * np.float32(1 / 255)
    kept = alpha * (1 - share)
    total = share + kept
    mixed = np.array(rgb(colour), np.float32) * share + place[..., :3] * kept
    painted = np.concatenate([mixed / np.maximum(total, np.float32(1e-9)), total * 255], axis=-1)
    np.copyto(place, np.rint(painted).astype(np.uint8), where=share > 0)


def _shadow(body: Mask, block: Block) -> Mask:
    drop, blur = shadow_px(block.face)
    fallen = np.pad(body, ((drop, 0), (0, 0)))[: body.shape[0]]
    size = 2 * blur + 1
    return np.asarray(cv2.GaussianBlur(fallen, (size, size), 0), np.uint8)


def _plate(block: Block) -> Mask:
    """Returns the coverage of a rounded rectangle around the glyphs, supersampled."""
    across, along = plate_px(block.face)
    left, top = block.ink.x - across - block.drawn.x, block.ink.y - along - block.drawn.y
    right, bottom = left + block.ink.width + 2 * across, top + block.ink.height + 2 * along
    size = (block.drawn.width, block.drawn.height)
    canvas = Image.new("L", (size[0] * _SAMPLES, size[1] * _SAMPLES))
    ImageDraw.Draw(canvas).rounded_rectangle(
        (left * _SAMPLES, top * _SAMPLES, right * _SAMPLES - 1, bottom * _SAMPLES - 1),
        radius=_CORNER * block.face.size_px * _SAMPLES,
        fill=255,
    )
    return np.asarray(canvas.reduce(_SAMPLES))
