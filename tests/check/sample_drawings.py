"""Clean drawings for the tests of the checks, and the ways in which pictures go wrong."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

from jobs.train.starter.drawings import KINDS, Label, draw

Pixels = NDArray[np.uint8]


@cache
def clean() -> tuple[tuple[Label, Pixels], ...]:
    """Every kind in the colours and styles that are hardest on the measures."""
    looks = (("white", "flat"), ("black", "shaded"), ("yellow", "flat"), ("blue", "cartoon"))
    labels = [Label(kind, colour, style) for kind in KINDS for colour, style in looks]
    return tuple((label, draw(label, seed=5)) for label in labels)


def blurred(pixels: Pixels, sigma: float) -> Pixels:
    """A picture out of focus: blurred with premultiplied alpha."""
    alpha = pixels[..., 3:].astype(np.float32) / 255
    stacked = cv2.GaussianBlur(np.dstack([pixels[..., :3] * alpha, alpha]), (0, 0), sigma)
    colour = stacked[..., :3] / np.maximum(stacked[..., 3:], 1e-4)
    return np.clip(np.round(np.dstack([colour, stacked[..., 3:] * 255])), 0, 255).astype(np.uint8)


def specked(pixels: Pixels) -> Pixels:
    """Loose specks of 2x2 pixels wherever nothing is near, eight at most."""
    out = pixels.copy()
    near = cv2.dilate((pixels[..., 3] > 0).astype(np.uint8), np.ones((7, 7), np.uint8))
    free = np.argwhere(near[1:62:4, 1:62:4] == 0) * 4 + 1
    for y, x in free[:: max(len(free) // 8, 1)]:
        out[y : y + 2, x : x + 2] = 255
    return out


def pierced(pixels: Pixels) -> Pixels:
    """Pinholes all over the inner part: every fifth pixel of the eroded silhouette."""
    out = pixels.copy()
    inner = cv2.erode((pixels[..., 3] > 250).astype(np.uint8), np.ones((5, 5), np.uint8))
    holes = np.zeros_like(inner)
    holes[::4, ::4] = 1
    out[..., 3][(inner & holes) > 0] = 0
    return out


def cut(pixels: Pixels) -> Pixels:
    """The object slid out of the frame by its own half."""
    return np.roll(pixels, 24, axis=1) * (np.arange(64) >= 24)[None, :, None].astype(np.uint8)


def on_background(pixels: Pixels) -> Pixels:
    """The object on an opaque grey ground: no transparency left."""
    alpha = pixels[..., 3:].astype(np.float32) / 255
    colour = pixels[..., :3] * alpha + 128 * (1 - alpha)
    return np.dstack([colour.astype(np.uint8), np.full(pixels.shape[:2], 255, np.uint8)])


def ghost(pixels: Pixels) -> Pixels:
    """The object half see-through."""
    out = pixels.copy()
    out[..., 3] //= 2
    return out


def filled(colour: tuple[int, int, int, int]) -> Pixels:
    """One colour and nothing else."""
    return np.full((64, 64, 4), colour, dtype=np.uint8)


def silhouette(pixels: Pixels) -> Pixels:
    """The object's outline filled with one flat colour."""
    out = pixels.copy()
    out[..., :3] = (90, 90, 90)
    return out
