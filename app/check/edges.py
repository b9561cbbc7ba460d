"""Edges: whether an object's outline has the object's own colour, and whether it is clean."""

import cv2
import numpy as np

from app.check.planes import FAINT, NEARLY_OPAQUE, Planes

_MOST_EDGE = 8192
"""The most edge pixels examined, evenly spaced; this limits the cost of an image full of edges."""
_ROUND_EDGE = 32
"""An edge may be one pixel wide per this many pixels of the longer side."""


def fringe(planes: Planes) -> float:
    """Returns how far the colour of edge pixels is from the solid pixels beside them, 0 to 1.

    An edge pixel has an alpha from 0.1 to 0.9 and a solid neighbour (alpha above 0.9, among the
    eight). The difference to the mean of these neighbours is averaged over red, green and blue and
    over all edge pixels. An object cut out of a white or dark background without removing the
    background's colour has a fringe; an edge in the object's colour has none.
    """
    partly = cv2.inRange(planes.alpha, FAINT, NEARLY_OPAQUE - 1)
    if not cv2.countNonZero(partly):
        return 0.0
    beside = cv2.dilate(planes.solid, np.ones((3, 3), np.uint8))
    places = cv2.findNonZero(cv2.min(partly, beside))
    if places is None:
        return 0.0
    columns, rows = places.reshape(-1, 2).T
    padded = cv2.copyMakeBorder(planes.pixels, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=0)
    every = -(-rows.size // _MOST_EDGE)
    rows, columns = rows[::every], columns[::every]
    total = np.zeros((rows.size, 4), np.float32)
    for down in range(3):
        for right in range(3):
            near = padded[rows + down, columns + right].astype(np.float32)
            near[:, 3] = near[:, 3] >= NEARLY_OPAQUE
            total += near * near[:, 3:]
    own = padded[rows + 1, columns + 1, :3].astype(np.float32)
    return float(np.abs(own - total[:, :3] / total[:, 3:]).mean() / 255)


def halo(planes: Planes) -> float:
    """Returns the alpha away from the object, as a share of its opaque area, 0 to 1.

    Away means further from every half-opaque pixel than an edge is wide: one pixel per 32 of the
    longer side, two at 64. A glow, a shadow and haze count; an image without opaque pixels has 0.
    """
    area = cv2.countNonZero(planes.opaque)
    if area in (0, planes.opaque.size):
        return 0.0
    reach = max(1, round(max(planes.alpha.shape) / _ROUND_EDGE))
    near = cv2.dilate(planes.opaque, np.ones((2 * reach + 1,) * 2, np.uint8))
    return min(float(planes.alpha[near == 0].sum()) / 255 / area, 1.0)
