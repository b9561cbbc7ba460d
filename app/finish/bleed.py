"""Colour under transparent pixels: a texture filter that reaches there meets no dark fringe."""

import cv2
import numpy as np
import numpy.typing as npt

from app.types import Rect


def bleed(pixels: npt.NDArray[np.uint8], trim: Rect) -> npt.NDArray[np.uint8]:
    """The RGBA pixels [h, w, 4]; clear ones take their nearest visible pixel's colour, alpha 0.

    Outside the trim rectangle every byte is 0: an atlas keeps nothing of it, so a sprite cut
    back out equals this image to the byte. An image with nothing visible is all zeros.
    """
    bled = np.zeros_like(pixels)
    area = np.s_[trim.y : trim.y + trim.height, trim.x : trim.x + trim.width]
    if pixels[area][..., 3].any():
        bled[area] = _filled(pixels[area])
    return bled


def _filled(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    clear = pixels[..., 3] == 0
    _, nearest = cv2.distanceTransformWithLabels(
        clear.astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5, labelType=cv2.DIST_LABEL_PIXEL
    )
    colours = np.zeros((nearest.max() + 1, 3), np.uint8)
    colours[nearest[~clear]] = pixels[~clear][:, :3]
    return np.dstack([colours[nearest], pixels[..., 3]])
