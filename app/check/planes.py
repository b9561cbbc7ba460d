"""Planes: what several measures see of one picture, each worked out once and only when asked."""

from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Plane = NDArray[np.float32]

HALF = 128
"""An alpha from here on counts as opaque."""
NEARLY_OPAQUE = 230
"""Nine tenths: from here on a pixel's colour is the object's own."""
FAINT = 26
"""A tenth: below it a colour is hardly seen."""
_RED, _GREEN, _BLUE = 0.2126 / 255, 0.7152 / 255, 0.0722 / 255
"""ITU-R BT.709 weights, applied to the stored values (luma)."""
_SMALL = 64


class Planes:
    """One uint8 RGBA picture of shape [height, width, 4] with straight alpha, never changed.

    Whatever is taken from it is shared: nobody may write into it.
    """

    def __init__(self, pixels: Pixels) -> None:
        self.pixels = pixels
        self.alpha = pixels[..., 3]

    @cached_property
    def opaque(self) -> Pixels:
        """1 where the picture is at least half opaque, else 0."""
        return (self.alpha >= HALF).astype(np.uint8)

    @cached_property
    def solid(self) -> Pixels:
        """1 where it is nearly opaque, else 0."""
        return (self.alpha >= NEARLY_OPAQUE).astype(np.uint8)

    @cached_property
    def inside(self) -> Pixels:
        """1 where it is solid together with all eight neighbours; the frame's edge counts so."""
        return np.asarray(cv2.erode(self.solid, np.ones((3, 3), np.uint8)))

    @cached_property
    def luma(self) -> Plane:
        """Luminance of the stored colour, 0 to 1; means nothing where the picture is clear."""
        red, green, blue = (cv2.extractChannel(self.pixels, channel) for channel in range(3))
        both = cv2.addWeighted(red, _RED, green, _GREEN, 0, dtype=cv2.CV_32F)
        return np.asarray(cv2.addWeighted(both, 1, blue.astype(np.float32), _BLUE, 0))

    @cached_property
    def over_grey(self) -> Plane:
        """The luminance seen when the picture lies on mid grey, 0 to 1."""
        seen = self.luma - np.float32(0.5)
        seen *= self.alpha
        seen *= np.float32(1 / 255)
        seen += np.float32(0.5)
        return seen

    @cached_property
    def levels(self) -> Pixels:
        """The same in whole levels, 0 to 255."""
        return np.asarray(cv2.convertScaleAbs(self.over_grey, alpha=255))

    @cached_property
    def thumbnail(self) -> Pixels:
        """What is seen, 64 pixels at the longer side at most: premultiplied."""
        alpha = self.alpha
        share = cv2.merge([alpha, alpha, alpha, np.full_like(alpha, 255)])
        seen = np.asarray(cv2.multiply(self.pixels, share, scale=1 / 255))
        height, width = alpha.shape
        scale = _SMALL / max(height, width)
        if scale >= 1:
            return seen
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_AREA))
