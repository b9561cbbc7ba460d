"""Grain: what a picture has on it that nobody drew, pixel by pixel and in patches."""

from math import ceil, sqrt

import cv2
import numpy as np

from app.check.planes import Plane, Planes

_MOST = 16_384
"""Pixels that a median is taken of, on an even grid."""
_SECOND_DIFFERENCE = np.array([1.0, -2.0, 1.0])
_TO_SIGMA = 1 / (6 * 0.6745 * 255)
"""From the median of the filter's magnitude to a standard deviation, and to 0 to 1."""
_WINDOW = 9
_SLIGHT = 0.02
"""Added to a colour spread before it is divided by: flat areas have no direction."""
_TENTH = 10
_FEW = 32


def noise(planes: Planes) -> float:
    """The standard deviation of pixel noise inside the object, 0 to 1, of its noisiest channel.

    Source: Immerkaer, "Fast Noise Variance Estimation", CVIU 64 (1996), with the median in place
    of the mean, so that drawn lines do not count. Texture does.
    """
    filtered = cv2.sepFilter2D(planes.pixels, cv2.CV_16S, _SECOND_DIFFERENCE, _SECOND_DIFFERENCE)
    every = ceil(sqrt(planes.alpha.size / _MOST))
    found = filtered[::every, ::every, :3][planes.inside[::every, ::every] > 0]
    if not len(found):
        return 0.0
    return min(float(np.median(np.abs(found), axis=0).max()) * _TO_SIGMA, 1.0)


def blotches(planes: Planes) -> float:
    """How many-coloured the calmest tenth of the object is, 0 to 1.

    Around a point of a drawing or a photograph the colours lie on a line: one surface from dark
    to light, or two that meet (Omer and Werman, "Color Lines", CVPR 2004). The measure is the
    spread of colour across that line as a share of the spread along it, in windows of 9 pixels at
    a size of 64; the tenth percentile over the object. Tinted patches raise it, shading and edges
    do not.
    """
    seen = planes.small.astype(np.float32) / np.float32(255)
    solid = (seen[..., 3] >= 0.9).astype(np.float32)
    inner = cv2.erode(solid, np.ones((3, 3), np.uint8)) > 0
    inner = inner if np.count_nonzero(inner) >= _FEW else solid > 0
    if not inner.any():
        return 0.0
    spreads = np.sqrt(np.maximum(np.linalg.eigvalsh(_spread(seen, solid)[inner]), 0))
    across = np.hypot(spreads[:, 0], spreads[:, 1])
    return float(np.percentile(across / (spreads[:, 2] + _SLIGHT), _TENTH))


def _spread(seen: Plane, solid: Plane) -> Plane:
    """The covariance [h, w, 3, 3] of the solid pixels' colours around each pixel."""
    window = (_WINDOW, _WINDOW)
    red, green, blue = (seen[..., channel] * solid for channel in range(3))
    pairs = [red * red, red * green, red * blue, green * green, green * blue, blue * blue]
    share = np.maximum(cv2.blur(solid, window), 1e-6)
    means = np.dstack([cv2.blur(plane, window) / share for plane in (red, green, blue)])
    rr, rg, rb, gg, gb, bb = (cv2.blur(plane, window) / share for plane in pairs)
    products = np.stack([rr, rg, rb, rg, gg, gb, rb, gb, bb], axis=-1)
    outer = means[..., :, None] * means[..., None, :]
    return np.asarray(products.reshape(*solid.shape, 3, 3) - outer, np.float32)
