"""Palette: how far an image's colours are from those of a brand, in units of CIE Lab.

A difference of 2.3 is just noticeable, 10 is another shade, and shading alone changes lightness by
20 or 30: a tolerance sets how much of it a brand allows.
"""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from app.check.planes import HALF, Pixels

_MOST = 16_384
_SUMMARY_PIXELS = 4096
"""The most pixels examined, evenly spaced."""
_NEARLY_ALL = 0.9


def palette_error(pixels: Pixels, colours: Sequence[str]) -> float | None:
    """Returns the 0.9 quantile of the distances from opaque pixels to their nearest colour.

    Takes RGBA [height, width, 4] and colours as #rrggbb; None without an opaque pixel.
    """
    opaque = pixels[pixels[..., 3] >= HALF][:, :3]
    if not len(opaque):
        return None
    some = lab(opaque[:: max(1, len(opaque) // _MOST)])
    palette = lab(np.array([rgb(colour) for colour in colours], np.uint8))
    apart = np.linalg.norm(some[:, None] - palette[None], axis=2).min(axis=1)
    return float(np.quantile(apart, _NEARLY_ALL))


def lab(colours: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Returns RGB [n, 3] as CIE Lab (D65), [n, 3]."""
    unit = colours.astype(np.float32) / np.float32(255)
    return np.asarray(cv2.cvtColor(unit[None], cv2.COLOR_RGB2Lab)[0])


def rgb(colour: str) -> tuple[int, int, int]:
    """Returns the three numbers of a colour as #rrggbb."""
    red, green, blue = bytes.fromhex(colour.removeprefix("#"))
    return red, green, blue


def colour_summary(pixels: Pixels) -> dict[str, float]:
    """Returns the means of CIE Lab over the opaque area, the mean chroma and lightness spread.

    Takes RGBA [height, width, 4]; all are 0 without an opaque pixel.
    """
    opaque = pixels[pixels[..., 3] >= HALF][:, :3]
    if not len(opaque):
        return dict.fromkeys(("lightness", "redness", "yellowness", "chroma", "modelling"), 0.0)
    seen = lab(opaque[:: max(1, len(opaque) // _SUMMARY_PIXELS)])
    lightness, redness, yellowness = (float(mean) for mean in seen.mean(axis=0))
    return {
        "lightness": lightness,
        "redness": redness,
        "yellowness": yellowness,
        "chroma": float(np.linalg.norm(seen[:, 1:], axis=1).mean()),
        "modelling": float(seen[:, 0].std()),
    }
