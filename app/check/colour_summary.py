"""Colouring: a picture's light and colours in a few numbers, so that sets of pictures compare."""

import numpy as np

from app.check.palette import lab
from app.check.planes import HALF, Pixels

_MOST = 4096


def colouring(pixels: Pixels) -> dict[str, float]:
    """Means of CIE Lab over the opaque area, its mean chroma, and the spread of its lightness.

    RGBA [height, width, 4]; all 0 without an opaque pixel.
    """
    opaque = pixels[pixels[..., 3] >= HALF][:, :3]
    if not len(opaque):
        return dict.fromkeys(("lightness", "redness", "yellowness", "chroma", "modelling"), 0.0)
    seen = lab(opaque[:: max(1, len(opaque) // _MOST)])
    lightness, redness, yellowness = (float(one) for one in seen.mean(axis=0))
    return {
        "lightness": lightness,
        "redness": redness,
        "yellowness": yellowness,
        "chroma": float(np.linalg.norm(seen[:, 1:], axis=1).mean()),
        "modelling": float(seen[:, 0].std()),
    }
