"""Measures: one number per question about a picture's pixels, each a function of its own.

Pictures are uint8 RGBA of shape [height, width, 4] with straight alpha. The colour of a fully
clear pixel never matters, and the same pixels always give the same numbers.
"""

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from app.types import Measure

Pixels = NDArray[np.uint8]

_HALF = 128
"""An alpha from here on counts as opaque."""
_NEARLY_CLEAR, _NEARLY_OPAQUE = 0.1 * 255, 0.9 * 255
_PINHOLE_SHARE = 0.002
"""A hole up to this share of the frame is damage (8 pixels at 64x64); a larger one is drawn."""
_BLUR_SIZE = 11
"""The low-pass filter of Crete et al. 2007."""
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)
"""ITU-R BT.709 weights, applied to the stored values (luma)."""


def measures(pixels: Pixels) -> dict[Measure, float]:
    """Every measure that needs nothing but the pixels: COVERAGE to SHARPNESS."""
    return {measure: of(pixels) for measure, of in _MEASURES.items()}


def coverage(pixels: Pixels) -> float:
    """Share of pixels at least half opaque, 0 to 1: 0 is blank, 1 has no transparency left."""
    return float(_opaque(pixels).mean())


def softness(pixels: Pixels) -> float:
    """Share of the visible pixels that one can see through, 0 to 1.

    Visible is an alpha above 0.1, see-through one below 0.9. A clean edge is one pixel wide, so
    small and thin objects have more of it than large ones; a ghost is soft all over.
    """
    alpha = pixels[..., 3]
    visible = alpha > _NEARLY_CLEAR
    return _share(visible & (alpha < _NEARLY_OPAQUE), visible)


def fragments(pixels: Pixels) -> float:
    """Area of what hangs loose or is pierced, as a share of the opaque area, 0 to 1.

    Counted are all connected pieces (8 neighbours) beside the largest, and enclosed holes
    (4 neighbours) of at most 0.2 % of the frame: specks and pinholes.
    """
    opaque = _opaque(pixels)
    pieces = _areas(opaque, connectivity=8)
    if not pieces.size:
        return 0.0
    holes = _areas(np.pad(~opaque, 1, constant_values=True), connectivity=4)
    pinholes = holes[holes <= _PINHOLE_SHARE * opaque.size].sum()
    return float(min((pieces.sum() - pieces.max() + pinholes) / pieces.sum(), 1.0))


def border(pixels: Pixels) -> float:
    """Largest alpha on the outermost pixel ring, 0 to 1; above 0.5 something is cut off."""
    alpha = pixels[..., 3]
    ring = (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1])
    return max(float(side.max()) for side in ring) / 255


def contrast(pixels: Pixels) -> float:
    """Standard deviation of luminance over the opaque area, 0 to 0.5.

    A single fill gives 0, and so does a blank picture.
    """
    luminance = pixels[_opaque(pixels)][:, :3] @ (_LUMINANCE / 255)
    return float(luminance.std()) if luminance.size else 0.0


def sharpness(pixels: Pixels) -> float:
    """1 - blur effect of the picture on mid grey and of its alpha taken together, 0 to 1.

    Source: Crete, Dolmiere, Ladret, Nicolas, "The blur effect", SPIE 6492 (2007): how much of the
    gradient survives another blur. An opaque grey picture has scikit-image's `blur_effect`. Alpha
    counts as a plane of its own, so that a grey object on the grey ground keeps its outline. A
    picture without any gradient is as blurred as can be: 0.
    """
    alpha = pixels[..., 3].astype(np.float32) / 255
    luminance = pixels[..., :3] @ (_LUMINANCE / 255)
    planes = np.dstack([luminance * alpha + 0.5 * (1 - alpha), alpha]).astype(np.float32)
    return 1.0 - max(_blur_along(planes, dx=1, dy=0), _blur_along(planes, dx=0, dy=1))


def _blur_along(planes: NDArray[np.float32], *, dx: int, dy: int) -> float:
    """The share of the gradient in one direction that is still there after a blur along it."""
    size = (_BLUR_SIZE, 1) if dx else (1, _BLUR_SIZE)
    blurred = cv2.blur(planes, size, borderType=cv2.BORDER_REFLECT)
    before, after = (
        np.abs(cv2.Sobel(image, cv2.CV_32F, dx, dy, borderType=cv2.BORDER_REFLECT))[2:-1, 2:-1]
        for image in (planes, blurred)
    )
    total = float(before.sum())
    lost = float(np.maximum(before - after, 0).sum())
    return 1.0 if total == 0 else (total - lost) / total


def _opaque(pixels: Pixels) -> NDArray[np.bool_]:
    return pixels[..., 3] >= _HALF


def _share(part: NDArray[np.bool_], whole: NDArray[np.bool_]) -> float:
    return float(part.sum() / whole.sum()) if whole.any() else 0.0


def _areas(mask: NDArray[np.bool_], *, connectivity: int) -> NDArray[np.int64]:
    """The size of each connected piece in pixels."""
    labels = cv2.connectedComponents(mask.astype(np.uint8), connectivity=connectivity)[1]
    return np.bincount(labels.ravel())[1:]


_MEASURES: dict[Measure, Callable[[Pixels], float]] = {
    Measure.COVERAGE: coverage,
    Measure.SOFTNESS: softness,
    Measure.FRAGMENTS: fragments,
    Measure.BORDER: border,
    Measure.CONTRAST: contrast,
    Measure.SHARPNESS: sharpness,
}
