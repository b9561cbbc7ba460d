"""The contrast ratio of text to its background, by WCAG 2.

https://www.w3.org/TR/WCAG22/#dfn-contrast-ratio
"""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from app.models.text.masks import Mask, near
from app.models.text.shaping import Face

LARGE_PX, LARGE_BOLD_PX, BOLD = 24, 19, 700
"""WCAG's large text: 18 pt, or 14 pt in bold, at 96 px to the inch."""


def required_contrast(face: Face) -> float:
    """Returns 3 for large text, else 4.5: success criterion 1.4.3."""
    large = LARGE_BOLD_PX if face.font.weight >= BOLD else LARGE_PX
    return 3.0 if face.size_px >= large else 4.5


def ring_px(face: Face) -> int:
    """Returns how far around its glyphs a text's background counts: an eighth of the x-height."""
    return max(1, round(face.x_height_px / 8))


def contrast(picture: Mask, ink: Mask, colour: str, face: Face) -> float:
    """Returns the lowest ratio of the colour to the RGBA image [h, w, 4] near the ink [h, w].

    The background at each pixel of the ink and of a ring around it is the mean luminance, over that
    area, of a square about as wide as a stem: one noisy pixel does not count, one badly placed
    letter does. Anything from black to white may be put behind a transparent pixel, so the worst
    case counts.
    """
    ring = ring_px(face)
    body = ink >= max(1, int(ink.max()) // 2)
    area = near(body, ring)
    darkest, lightest = (_behind(picture, area, 2 * ring + 1, under=under) for under in (0, 255))
    own = luminance(colour)
    worst = np.clip(own, darkest, lightest)
    ratios = (np.maximum(own, worst) + 0.05) / (np.minimum(own, worst) + 0.05)
    return float(ratios[area].min())


def luminance(colour: str) -> float:
    """Returns the relative luminance, 0 to 1, of a colour written #rrggbb."""
    return float(_luminances(np.array(rgb(colour), np.uint8)))


def rgb(colour: str) -> tuple[int, int, int]:
    """Returns red, green and blue, 0 to 255, of a colour written #rrggbb."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def black_or_white(colour: str) -> str:
    """Returns black or white, whichever contrasts more: at least 4.58, the square root of 21."""
    own = luminance(colour) + 0.05
    return "#000000" if own / 0.05 >= 1.05 / own else "#ffffff"


def _behind(
    picture: Mask, area: NDArray[np.bool_], side: int, *, under: int
) -> NDArray[np.float64]:
    """Returns the mean luminance of the area's part of each square, with the image over a grey."""
    alpha = picture[..., 3:].astype(np.float64) / 255
    seen = np.rint(picture[..., :3] * alpha + under * (1 - alpha)).astype(np.uint8)
    weights = area.astype(np.float64)
    window = (side, side)
    total = cv2.boxFilter(_luminances(seen) * weights, -1, window, normalize=False)
    count = cv2.boxFilter(weights, -1, window, normalize=False)
    return np.asarray(total / np.maximum(count, 1), np.float64)


def _luminances(colours: Mask) -> NDArray[np.float64]:
    linear = _linear()[colours]
    return np.asarray(linear @ (0.2126, 0.7152, 0.0722), np.float64)


@cache
def _linear() -> NDArray[np.float64]:
    """Returns the linear light of each 8-bit sRGB value."""
    value = np.arange(256) / 255
    return np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
