"""A font at one size: lines shaped by HarfBuzz and ordered by FriBiDi, as coverage masks."""

import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw, ImageFont, features

from app.errors import AtelierError, InvalidRequest
from app.models.text.fonts import Font
from app.models.text.masks import Mask

FINE_PX = 256
"""Glyphs are drawn at an em of at least this many samples, then averaged into pixels.

This keeps hinting and whole-pixel rounding out of their spacing.
"""
MAX_SAMPLES = 8
"""Samples along one side of a pixel."""


@dataclass(frozen=True, slots=True)
class Ink:
    """Coverage 0 to 255 in samples, and the position of its top left from the pen's origin."""

    mask: Mask
    left: int
    top: int

    @property
    def width(self) -> int:
        """Returns the width in samples."""
        return int(self.mask.shape[1])

    @property
    def bottom(self) -> int:
        """Returns the lower edge relative to the baseline, in samples."""
        return self.top + int(self.mask.shape[0])


def direction_of(text: str, asked: str = "auto") -> str:
    """Returns `ltr` or `rtl`: as asked, else by the first strongly directed letter, else ltr."""
    if asked != "auto":
        return asked
    kinds = (unicodedata.bidirectional(letter) for letter in text)
    first = next((kind for kind in kinds if kind in ("L", "R", "AL")), "L")
    return "ltr" if first == "L" else "rtl"


@dataclass(frozen=True)
class Face:
    """A font at `size_px`; measures and draws in samples, `scale` of them to a pixel's side."""

    font: Font
    size_px: int
    _inks: dict[tuple[str, str, int], Ink] = field(default_factory=dict, compare=False)

    @property
    def scale(self) -> int:
        """Returns the samples along one side of a pixel: more for small sizes."""
        return min(MAX_SAMPLES, -(-FINE_PX // self.size_px))

    @property
    def x_height_px(self) -> float:
        """Returns the height of a lower-case x in pixels."""
        return self.font.x_height * self.size_px

    def advance(self, text: str, direction: str) -> float:
        """Returns how far the pen moves over the shaped text, in samples; kerning included."""
        with self._whole():
            return self._shaper.getlength(text, direction=direction)

    def ink(self, text: str, direction: str, *, outline_px: int = 0) -> Ink:
        """Returns the shaped line, widened by the outline; an empty mask if nothing is visible."""
        key = (text, direction, outline_px)
        if key not in self._inks:
            with self._whole():
                self._inks[key] = self._drawn(text, direction, outline_px * self.scale)
        return self._inks[key]

    def _drawn(self, text: str, direction: str, stroke: int) -> Ink:
        left, top, right, bottom = (
            int(edge)
            for edge in self._shaper.getbbox(
                text, anchor="ls", direction=direction, stroke_width=stroke
            )
        )
        canvas = Image.new("L", (max(1, right - left), max(1, bottom - top)))
        ImageDraw.Draw(canvas).text(
            (-left, -top), text, fill=255, font=self._shaper, anchor="ls", direction=direction,
            stroke_width=stroke,
        )  # fmt: skip
        ink = canvas.getbbox()
        if ink is None:
            return Ink(np.zeros((0, 0), np.uint8), left=0, top=0)
        return Ink(np.asarray(canvas.crop(ink)), left=left + ink[0], top=top + ink[1])

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """Raises InvalidRequest for a broken glyph, which FreeType notices only when drawing it."""
        try:
            yield
        except OSError as exc:
            raise InvalidRequest(
                f"font {self.font.name!r} has a broken glyph ({exc}); replace it by an intact one"
            ) from exc

    @cached_property
    def _shaper(self) -> ImageFont.FreeTypeFont:
        """Returns the font with raqm layout: without it Pillow sets Arabic unjoined and reversed.

        That happens silently, so a Pillow without raqm is an error.
        """
        if not features.check("raqm"):
            raise AtelierError("this Pillow has no raqm to shape text; install Pillow's own wheel")
        return ImageFont.truetype(
            BytesIO(self.font.data),
            self.size_px * self.scale,
            layout_engine=ImageFont.Layout.RAQM,
        )
