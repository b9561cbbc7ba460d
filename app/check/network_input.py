"""Seen: a picture as the small networks take it, brought to 64 x 64."""

import cv2
import numpy as np
from numpy.typing import NDArray

from app.check.planes import Pixels

_SIDE = 64


def premultiplied(image: Pixels) -> NDArray[np.float32]:
    """What is seen of a straight-alpha picture, at their size: [64, 64, 4] from 0 to 1.

    A picture that has to shrink is multiplied in whole bytes: the mean of many hides the rounding.
    """
    if image.shape[:2] == (_SIDE, _SIDE):
        unit = image.astype(np.float32) / np.float32(255)
        for channel in range(3):  # one by one: rows of three are slow to walk
            unit[..., channel] *= unit[..., 3]
        return unit
    alpha = np.ascontiguousarray(image[..., 3])
    share = cv2.merge([alpha, alpha, alpha, np.full_like(alpha, 255)])
    seen = cv2.multiply(image, share, scale=1 / 255)
    shrinking = max(image.shape[:2]) >= _SIDE
    method = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    small = cv2.resize(seen, (_SIDE, _SIDE), interpolation=method)
    return np.asarray(small, np.float32) / np.float32(255)
