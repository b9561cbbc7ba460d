"""Cleans a cutout: snaps alpha, removes specks, trims, fills colour under transparent pixels."""

import cv2
import numpy as np
import numpy.typing as npt

from app.types import Rect

CLEAR_BELOW = 8
"""Alpha below this is haze: invisible, but it would widen every trim rectangle."""
OPAQUE_ABOVE = 250
"""Alpha above this counts as opaque: decoders rarely give exactly 255."""
SPECK_SHARE = 0.005
"""A piece with less than this share of the largest piece's opacity is a speck.

At 64 x 64 that is about six opaque pixels beside a typical icon: a bomb's spark is well above it.
So is a broken-off piece of the object, which the checks must find and finishing must not hide.
"""
SPECK_FRAME_SHARE = 0.0005
"""A piece with less than this share of the whole frame's opacity is a speck as well.

Two opaque pixels at 64 x 64, for images of small pieces only, where the largest is no measure.
"""


def snap_alpha(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Returns a copy of the RGBA pixels [h, w, 4] with haze made clear and near-opaque opaque."""
    snapped = pixels.copy()
    alpha = snapped[..., 3]
    alpha[alpha < CLEAR_BELOW] = 0
    alpha[alpha > OPAQUE_ABOVE] = 255
    return snapped


def remove_specks(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Returns a copy of the RGBA pixels [h, w, 4] in which the specks are transparent.

    A piece is an 8-connected component of alpha > 0; its weight is the sum of its alpha, so that a
    wide but faint cloud is a speck where a small but solid dot is not. The heaviest piece always
    stays.
    """
    alpha = pixels[..., 3]
    _, labels = cv2.connectedComponents((alpha > 0).astype(np.uint8), connectivity=8)
    weights = np.bincount(labels.ravel(), weights=alpha.ravel())
    largest = weights.max()
    limit = max(SPECK_SHARE * largest, SPECK_FRAME_SHARE * alpha.size * 255)
    speck = weights < min(limit, largest)
    cleaned = pixels.copy()
    cleaned[..., 3][speck[labels]] = 0
    return cleaned


def trim_rectangle(pixels: npt.NDArray[np.uint8]) -> Rect:
    """Returns the smallest rectangle that holds every pixel of the RGBA [h, w, 4] with alpha > 0.

    A fully transparent image gets its top left pixel: engines divide by a frame's size, so a frame
    without area would become NaN there.
    """
    x, y, width, height = cv2.boundingRect(np.ascontiguousarray(pixels[..., 3]))
    return Rect(x=x, y=y, width=max(1, width), height=max(1, height))


def bleed(pixels: npt.NDArray[np.uint8], trim: Rect) -> npt.NDArray[np.uint8]:
    """Returns RGBA pixels [h, w, 4] whose clear pixels have the nearest visible colour, alpha 0.

    Outside the trim rectangle every byte is 0: an atlas does not keep that area, so a sprite
    extracted from it equals this image to the byte. An image with nothing visible is all zeros.
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
