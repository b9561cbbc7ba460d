"""Measures: one number per question about a picture's pixels, each a function of its own.

Pictures are uint8 RGBA of shape [height, width, 4] with straight alpha. The colour of a fully
clear pixel never matters, and the same pixels always give the same numbers.
"""

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from app.check.damage import banding, blockiness, clipping, seam
from app.check.edges import fringe, halo
from app.check.grain import blotches, noise
from app.check.planes import Pixels, Plane, Planes
from app.types import Measure

_NEARLY_CLEAR, _NEARLY_OPAQUE = 0.1 * 255, 0.9 * 255
_PINHOLE_SHARE = 0.002
"""A hole up to this share of the frame is damage (8 pixels at 64x64); a larger one is drawn."""
_BLUR_SIZE = 11
"""The low-pass filter of Crete et al. 2007."""
_STRIP = 32_768
"""Pixels of a strip, about."""


def measures(pixels: Pixels) -> dict[Measure, float]:
    """Every measure that needs nothing but the pixels: COVERAGE to SEAM."""
    planes = Planes(pixels)
    return {measure: of(planes) for measure, of in MEASURES.items()}


def coverage(planes: Planes) -> float:
    """Share of pixels at least half opaque, 0 to 1: 0 is blank, 1 has no transparency left."""
    return float(planes.opaque.mean())


def softness(planes: Planes) -> float:
    """Share of the visible pixels that one can see through, 0 to 1.

    Visible is an alpha above 0.1, see-through one below 0.9. A clean edge is one pixel wide, so
    small and thin objects have more of it than large ones; a ghost is soft all over.
    """
    visible = np.count_nonzero(planes.alpha > _NEARLY_CLEAR)
    opaque = np.count_nonzero(planes.alpha >= _NEARLY_OPAQUE)
    return (visible - opaque) / visible if visible else 0.0


def fragments(planes: Planes) -> float:
    """Area of what hangs loose or is pierced, as a share of the opaque area, 0 to 1.

    Counted are all connected pieces (8 neighbours) beside the largest, and enclosed holes
    (4 neighbours) of at most 0.2 % of the frame: specks and pinholes.
    """
    opaque = planes.opaque
    pieces = _areas(opaque, connectivity=8)
    if not pieces.size:
        return 0.0
    around = cv2.copyMakeBorder(1 - opaque, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    holes = _areas(around, connectivity=4)
    pinholes = holes[holes <= _PINHOLE_SHARE * opaque.size].sum()
    return float(min((pieces.sum() - pieces.max() + pinholes) / pieces.sum(), 1.0))


def border(planes: Planes) -> float:
    """Largest alpha on the outermost pixel ring, 0 to 1; above 0.5 something is cut off."""
    alpha = planes.alpha
    ring = (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1])
    return max(float(side.max()) for side in ring) / 255


def contrast(planes: Planes) -> float:
    """Standard deviation of luminance over the opaque area, 0 to 0.5.

    A single fill gives 0, and so does a blank picture.
    """
    luminance = planes.luma[planes.opaque.view(np.bool_)]
    return float(luminance.std()) if luminance.size else 0.0


def sharpness(planes: Planes) -> float:
    """1 - blur effect of the picture on mid grey and of its alpha taken together, 0 to 1.

    Source: Crete, Dolmiere, Ladret, Nicolas, "The blur effect", SPIE 6492 (2007): how much of the
    gradient survives another blur. An opaque grey picture has scikit-image's `blur_effect`. Alpha
    counts as a plane of its own, so that a grey object on the grey ground keeps its outline. A
    picture without any gradient is as blurred as can be: 0.
    """
    total, lost = np.zeros(2), np.zeros(2)
    for seen, rows in _strips(planes):
        for index in range(2):
            before, after = _gradients(seen, rows, along=index)
            total[index] += before.sum()
            lost[index] += np.maximum(before - after, 0).sum()
    if not total.all():  # nothing changes along one direction: as blurred as can be
        return 0.0
    return 1.0 - float(((total - lost) / total).max())


def _gradients(seen: Plane, rows: slice, *, along: int) -> list[Plane]:
    """The gradient's magnitude along rows (0) or columns (1), and that after a blur along them."""
    size = (_BLUR_SIZE, 1) if along == 0 else (1, _BLUR_SIZE)
    blurred = cv2.blur(seen, size, borderType=cv2.BORDER_REFLECT)
    return [np.abs(_sobel(image, 1 - along, along)[rows, 2:-1]) for image in (seen, blurred)]


def _sobel(image: Plane, dx: int, dy: int) -> Plane:
    return np.asarray(cv2.Sobel(image, cv2.CV_32F, dx, dy, borderType=cv2.BORDER_REFLECT))


def _strips(planes: Planes) -> Iterator[tuple[Plane, slice]]:
    """Picture and alpha in strips of rows, each with the rows that count in it.

    In strips, because at 512 x 512 the system's handing out of fresh memory for whole planes takes
    three times as long as all that is computed. Scikit-image leaves the same border out.
    """
    height, width = planes.alpha.shape
    rows = max(_BLUR_SIZE, _STRIP // width)
    for top in range(2, height - 1, rows):
        end = min(top + rows, height - 1)
        first = max(0, top - _BLUR_SIZE)
        part = slice(first, min(height, end + _BLUR_SIZE))
        alpha = planes.alpha[part].astype(np.float32) / np.float32(255)
        yield cv2.merge([planes.over_grey[part], alpha]), slice(top - first, end - first)


def _areas(mask: Pixels, *, connectivity: int) -> np.ndarray:
    """The size of each connected piece in pixels."""
    labels = cv2.connectedComponents(mask, connectivity=connectivity)[1]
    return np.bincount(labels.ravel())[1:]


MEASURES: dict[Measure, Callable[[Planes], float]] = {
    Measure.COVERAGE: coverage,
    Measure.SOFTNESS: softness,
    Measure.FRAGMENTS: fragments,
    Measure.BORDER: border,
    Measure.CONTRAST: contrast,
    Measure.SHARPNESS: sharpness,
    Measure.FRINGE: fringe,
    Measure.HALO: halo,
    Measure.NOISE: noise,
    Measure.BLOTCHES: blotches,
    Measure.BANDING: banding,
    Measure.BLOCKINESS: blockiness,
    Measure.CLIPPING: clipping,
    Measure.SEAM: seam,
}
