"""Planes: what several measures need of one image, each computed once and only on demand.

The small networks need one more thing: the image premultiplied and resized to 64 x 64.
"""

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
"""A tenth: below it a colour is hardly visible."""
_RED, _GREEN, _BLUE = 0.2126 / 255, 0.7152 / 255, 0.0722 / 255
"""ITU-R BT.709 weights, applied to the stored values (luma)."""
_SMALL = 64


class Planes:
    """One uint8 RGBA image of shape [height, width, 4] with straight alpha, never changed.

    The arrays are shared: callers must not write to them.
    """

    def __init__(self, pixels: Pixels) -> None:
        self.pixels = pixels
        self.alpha = pixels[..., 3]

    @cached_property
    def opaque(self) -> Pixels:
        """Returns 1 where the image is at least half opaque, else 0."""
        return (self.alpha >= HALF).astype(np.uint8)

    @cached_property
    def solid(self) -> Pixels:
        """Returns 1 where it is nearly opaque, else 0."""
        return (self.alpha >= NEARLY_OPAQUE).astype(np.uint8)

    @cached_property
    def inside(self) -> Pixels:
        """Returns 1 where a pixel and its eight neighbours are solid, else 0.

        Neighbours beyond the frame's edge count as solid.
        """
        return np.asarray(cv2.erode(self.solid, np.ones((3, 3), np.uint8)))

    @cached_property
    def luma(self) -> Plane:
        """Returns the luminance of the stored colour, 0 to 1; meaningless at clear pixels."""
        red, green, blue = (cv2.extractChannel(self.pixels, channel) for channel in range(3))
        both = cv2.addWeighted(red, _RED, green, _GREEN, 0, dtype=cv2.CV_32F)
        return np.asarray(cv2.addWeighted(both, 1, blue.astype(np.float32), _BLUE, 0))

    @cached_property
    def over_grey(self) -> Plane:
        """Returns the luminance of the image on mid grey, 0 to 1."""
        seen = self.luma - np.float32(0.5)
        seen *= self.alpha
        seen *= np.float32(1 / 255)
        seen += np.float32(0.5)
        return seen

    @cached_property
    def levels(self) -> Pixels:
        """Returns `over_grey` in whole levels, 0 to 255."""
        return np.asarray(cv2.convertScaleAbs(self.over_grey, alpha=255))

    @cached_property
    def thumbnail(self) -> Pixels:
        """Returns the premultiplied image with a longer side of at most 64 pixels."""
        seen = _multiplied(self.pixels)
        height, width = self.alpha.shape
        scale = _SMALL / max(height, width)
        if scale >= 1:
            return seen
        size = max(1, round(width * scale)), max(1, round(height * scale))
        return np.asarray(cv2.resize(seen, size, interpolation=cv2.INTER_AREA))


def premultiplied(image: Pixels) -> NDArray[np.float32]:
    """Returns a straight-alpha image as premultiplied [64, 64, 4], from 0 to 1.

    An image that has to shrink is multiplied in whole bytes: the rounding averages out.
    """
    if image.shape[:2] == (_SMALL, _SMALL):
        unit = image.astype(np.float32) / np.float32(255)
        for channel in range(3):  # one by one: iterating over rows of three is slow
            unit[..., channel] *= unit[..., 3]
        return unit
    shrinking = max(image.shape[:2]) >= _SMALL
    method = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    small = cv2.resize(_multiplied(image), (_SMALL, _SMALL), interpolation=method)
    return np.asarray(small, np.float32) / np.float32(255)


def _multiplied(image: Pixels) -> Pixels:
    """Returns the image multiplied by its alpha, in whole bytes."""
    alpha = np.ascontiguousarray(image[..., 3])
    share = cv2.merge([alpha, alpha, alpha, np.full_like(alpha, 255)])
    return np.asarray(cv2.multiply(image, share, scale=1 / 255))
