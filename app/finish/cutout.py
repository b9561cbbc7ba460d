"""A clean cutout: haze becomes clear, nearly opaque becomes opaque, stray specks go."""

import cv2
import numpy as np
import numpy.typing as npt

CLEAR_BELOW = 8
"""Alpha below this is haze; nobody sees it, but it would widen every trim rectangle."""
OPAQUE_ABOVE = 250
"""Alpha above this is what a decoder leaves of opaque."""
SPECK_SHARE = 0.005
"""A piece with less than this share of the largest piece's opacity is a speck.

At 64 x 64 that is about six opaque pixels beside a typical icon: a bomb's spark is well above
it. So is a broken-off piece of the object, which is the judge's to find and not ours to hide.
"""
SPECK_FRAME_SHARE = 0.0005
"""A piece with less than this share of the whole frame's opacity is a speck as well.

Two opaque pixels at 64 x 64: where a drawing is all small pieces, the largest is no measure.
"""


def snap_alpha(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A copy of the RGBA pixels [h, w, 4] in which haze is clear and nearly opaque is opaque."""
    snapped = pixels.copy()
    alpha = snapped[..., 3]
    alpha[alpha < CLEAR_BELOW] = 0
    alpha[alpha > OPAQUE_ABOVE] = 255
    return snapped


def remove_specks(pixels: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """A copy of the RGBA pixels [h, w, 4] in which the specks are clear.

    A piece is an 8-connected component of alpha > 0; it weighs the sum of its alpha, so that
    a wide but faint cloud is a speck where a small but solid dot is not. The heaviest piece
    always stays.
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
