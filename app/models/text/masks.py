"""Widens and closes masks by exact distances, at a cost that does not grow with the distance."""

from typing import TypeAlias

import cv2
import numpy as np
from numpy.typing import NDArray

Mask: TypeAlias = NDArray[np.uint8]


def near(body: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """Returns where the body is, or is at most `pixels` away."""
    return _distance_to(body) <= pixels + 0.5


def closed(coverage: Mask, pixels: int) -> Mask:
    """Returns the coverage with gaps of up to twice `pixels` filled (a closing by a disc)."""
    border = pixels + 2
    padded = np.pad(coverage, border)
    outside = ~near(padded > 127, pixels)
    depth = _distance_to(outside) - pixels
    filled = np.rint(255 * np.clip(depth, 0, 1)).astype(np.uint8)
    return np.maximum(padded, filled)[border:-border, border:-border]


def _distance_to(body: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Returns each pixel's distance to the nearest pixel of the body; huge if there is none."""
    distances = cv2.distanceTransform((~body).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_PRECISE)
    return np.asarray(distances, np.float32)
