"""What surrounds the glyphs: outline, plate and shadow, and the space they take."""

from collections.abc import Iterator
from dataclasses import dataclass

from app.models.text.contrast import black_or_white, ring_px
from app.models.text.shaping import Face
from app.types.base import Rect
from app.types.text_layer import TextLayer

PLATE_OPACITIES = (0.6, 0.8, 1.0)
"""Tried in order: a translucent plate hides less of the image."""
_SHADOW_DROP, _SHADOW_BLUR = 0.05, 0.08
_PLATE_WIDTH, _PLATE_HEIGHT = 0.45, 0.3
"""Shares of the font size."""


@dataclass(frozen=True, slots=True)
class Margins:
    """Pixels beyond the glyphs on each side."""

    side: int
    top: int
    bottom: int

    def inside(self, box: Rect) -> Rect:
        """Returns what remains of the box for glyphs; sizes are at least 0."""
        width = max(0, box.width - 2 * self.side)
        height = max(0, box.height - self.top - self.bottom)
        return Rect(x=box.x + self.side, y=box.y + self.top, width=width, height=height)

    def around(self, ink: Rect) -> Rect:
        """Returns the bounds of the glyphs together with everything around them."""
        width, height = ink.width + 2 * self.side, ink.height + self.top + self.bottom
        return Rect(x=ink.x - self.side, y=ink.y - self.top, width=width, height=height)


@dataclass(frozen=True, slots=True)
class TextStyle:
    """Colours of outline, plate and shadow; empty is none."""

    shadow: str = ""
    outline: str = ""
    plate: str = ""
    plate_opacity: float = 1.0

    def outline_px(self, face: Face) -> int:
        """Returns the outline's width: one pixel more than the ring where contrast is measured."""
        return ring_px(face) + 1 if self.outline else 0

    def margins(self, face: Face) -> Margins:
        """Returns the space that outline, shadow and plate take at this size."""
        outline = self.outline_px(face)
        drop, blur = shadow_px(face) if self.shadow else (0, 0)
        side, top, bottom = outline + blur, outline + max(0, blur - drop), outline + blur + drop
        if self.plate:
            across, along = plate_px(face)
            side, top, bottom = max(side, across), max(top, along), max(bottom, along)
        return Margins(side, top, bottom)


def text_styles(layer: TextLayer) -> Iterator[TextStyle]:
    """Yields the styles to try in order: the layer's own, then its automatic aids to contrast."""
    aid = black_or_white(layer.colour)
    outline = "" if layer.outline == "auto" else layer.outline
    plate = "" if layer.plate == "auto" else layer.plate
    yield TextStyle(layer.shadow, outline, plate)
    if layer.outline == "auto":
        yield TextStyle(layer.shadow, aid, plate)
    if layer.plate == "auto":
        for opacity in PLATE_OPACITIES:
            yield TextStyle(layer.shadow, outline, aid, opacity)


def shadow_px(face: Face) -> tuple[int, int]:
    """Returns the shadow's offset and the reach of its blur."""
    size = face.size_px
    return round(_SHADOW_DROP * size), max(1, round(_SHADOW_BLUR * size))


def plate_px(face: Face) -> tuple[int, int]:
    """Returns how far the plate extends beyond the glyphs: sideways, then up and down."""
    return round(_PLATE_WIDTH * face.size_px), round(_PLATE_HEIGHT * face.size_px)
