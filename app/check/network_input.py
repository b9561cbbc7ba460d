"""Network input: an image premultiplied and resized to 64 x 64 for the small networks."""

import cv2
import numpy as np
from numpy.typing import NDArray

from app.check.planes import Pixels

_SIDE = 64


def premultiplied(image: Pixels) -> NDArray[np.float32]:
    """Returns a straight-alpha image as premultiplied [64, 64, 4], from 0 to 1.

    An image that has to shrink is multiplied in whole bytes: the rounding averages out.
    """
    if image.shape[:2] == (_SIDE, _SIDE):
        unit = image.astype(np.float32) / np.float32(255)
        for channel in range(3):  # one by one: iterating over rows of three is slow
            unit[..., channel] *= unit[..., 3]
        return unit
    alpha = np.ascontiguousarray(image[..., 3])
    share = cv2.merge([alpha, alpha, alpha, np.full_like(alpha, 255)])
    seen = cv2.multiply(image, share, scale=1 / 255)
    shrinking = max(image.shape[:2]) >= _SIDE
    method = cv2.INTER_AREA if shrinking else cv2.INTER_LINEAR
    small = cv2.resize(seen, (_SIDE, _SIDE), interpolation=method)
    return np.asarray(small, np.float32) / np.float32(255)
