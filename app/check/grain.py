"""Grain: unwanted noise in an image, per pixel and in patches."""

from math import ceil, sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from app.check.planes import Plane, Planes

_MOST = 16_384
"""The most pixels that a median is taken of, on an even grid."""
_TO_SIGMA = 1 / (6 * 0.6745 * 255)
"""Converts the median of the filter's magnitude to a standard deviation in 0 to 1."""
_WINDOW = 9
_SLIGHT = 0.02
"""Added to a colour spread before dividing by it: flat areas have no direction."""
_TENTH = 10
_FEW = 32


def noise(planes: Planes) -> float:
    """Returns the standard deviation of pixel noise in the object, 0 to 1, of the noisiest channel.

    Source: Immerkaer, "Fast Noise Variance Estimation", CVIU 64 (1996), with the median in place of
    the mean, so that drawn lines do not count. Texture does.
    """
    kernel = np.array([1.0, -2.0, 1.0])
    filtered = cv2.sepFilter2D(planes.pixels, cv2.CV_16S, kernel, kernel)
    every = ceil(sqrt(planes.alpha.size / _MOST))
    residuals = filtered[::every, ::every, :3][planes.inside[::every, ::every] > 0]
    if not len(residuals):
        return 0.0
    return min(float(np.median(np.abs(residuals), axis=0).max()) * _TO_SIGMA, 1.0)


def blotches(planes: Planes) -> float:
    """Returns how many-coloured the calmest tenth of the object is, 0 to 1.

    Around a point of a drawing or a photograph the colours lie on a line: one surface from dark to
    light, or two that meet (Omer and Werman, "Color Lines", CVPR 2004). The measure is the spread
    of colour across that line as a share of the spread along it, in windows of 9 pixels at a size
    of 64; the tenth percentile over the object. Tinted patches raise it, shading and edges do not.
    """
    seen = planes.thumbnail.astype(np.float32) / np.float32(255)
    solid = (seen[..., 3] >= 0.9).astype(np.float32)
    inner = cv2.erode(solid, np.ones((3, 3), np.uint8)) > 0
    inner = inner if np.count_nonzero(inner) >= _FEW else solid > 0
    if not inner.any():
        return 0.0
    total, along = _spread(seen, solid, inner)
    across = np.sqrt(np.maximum(total - along, 0))
    return float(np.percentile(across / (np.sqrt(along) + _SLIGHT), _TENTH))


def _spread(
    seen: Plane, solid: Plane, where: NDArray[np.bool_]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Returns the colour variance [n] of the solid pixels around each point, and its largest part.

    The largest eigenvalue of the covariance in closed form (Smith, "Eigenvalues of a symmetric 3 x
    3 matrix", CACM 4, 1961).
    """
    window = (_WINDOW, _WINDOW)
    red, green, blue = (seen[..., channel] * solid for channel in range(3))
    pairs = [red * red, red * green, red * blue, green * green, green * blue, blue * blue]
    share = np.maximum(cv2.blur(solid, window), 1e-6)
    r, g, b = (cv2.blur(plane, window)[where] / share[where] for plane in (red, green, blue))
    rr, rg, rb, gg, gb, bb = (cv2.blur(plane, window)[where] / share[where] for plane in pairs)
    xx, yy, zz = (np.float64(rr) - r * r, np.float64(gg) - g * g, np.float64(bb) - b * b)
    xy, xz, yz = (np.float64(rg) - r * g, np.float64(rb) - r * b, np.float64(gb) - g * b)
    mean = (xx + yy + zz) / 3
    x, y, z = xx - mean, yy - mean, zz - mean
    size = np.sqrt((x * x + y * y + z * z + 2 * (xy * xy + xz * xz + yz * yz)) / 6)
    volume = x * (y * z - yz * yz) - xy * (xy * z - yz * xz) + xz * (xy * yz - y * xz)
    turn = np.clip(volume / (2 * np.maximum(size, 1e-12) ** 3), -1, 1)
    return 3 * mean, np.maximum(mean + 2 * size * np.cos(np.arccos(turn) / 3), 0)
