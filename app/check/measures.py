"""Measures: one number per question about an image's pixels, each a function of its own.

Images are uint8 RGBA of shape [height, width, 4] with straight alpha. The colour of a fully clear
pixel never matters, and the same pixels always give the same numbers.
"""

from collections.abc import Callable, Iterator

import cv2
import numpy as np

from app.check.damage import banding, blockiness, clipping, seam
from app.check.edges import fringe, halo
from app.check.grain import blotches, noise
from app.check.planes import FAINT, Pixels, Plane, Planes
from app.types import Measure

_PINHOLE_SHARE = 0.002
"""A hole up to this share of the frame is damage (8 pixels at 64x64); a larger one is intended."""
_BLUR_SIZE = 11
"""The low-pass filter size of Crete et al. 2007."""
_REACH = 7
"""The radius in pixels of a blurred gradient: half of the filter, plus one, plus one across."""
_STRIP = 32_768
"""The approximate number of pixels of a strip."""


def measures(pixels: Pixels) -> dict[Measure, float]:
    """Returns every measure that needs only the pixels: COVERAGE to SEAM."""
    planes = Planes(pixels)
    return {measure: of(planes) for measure, of in MEASURES.items()}


def coverage(planes: Planes) -> float:
    """Returns the share of pixels at least half opaque: 0 is blank, 1 has no transparency."""
    return cv2.countNonZero(planes.opaque) / planes.opaque.size


def softness(planes: Planes) -> float:
    """Returns the share of the visible pixels that are translucent, 0 to 1.

    Visible is an alpha above 0.1, translucent is one below 0.9. A clean edge is one pixel wide, so
    small and thin objects have a larger share than large ones; a ghost is soft all over.
    """
    visible = cv2.countNonZero(cv2.inRange(planes.alpha, FAINT, 255))
    opaque = cv2.countNonZero(planes.solid)
    return (visible - opaque) / visible if visible else 0.0


def fragments(planes: Planes) -> float:
    """Returns the area of loose pieces and pinholes as a share of the opaque area, 0 to 1.

    Counted are all connected pieces (8 neighbours) except the largest, and enclosed holes (4
    neighbours) of at most 0.2 % of the frame.
    """
    opaque = planes.opaque
    if cv2.countNonZero(opaque) == opaque.size:
        return 0.0
    pieces = _areas(opaque, connectivity=8)
    if not pieces.size:
        return 0.0
    around = cv2.copyMakeBorder(1 - opaque, 1, 1, 1, 1, cv2.BORDER_CONSTANT, value=1)
    holes = _areas(around, connectivity=4)
    pinholes = holes[holes <= _PINHOLE_SHARE * opaque.size].sum()
    return float(min((pieces.sum() - pieces.max() + pinholes) / pieces.sum(), 1.0))


def border(planes: Planes) -> float:
    """Returns the largest alpha on the outermost pixel ring, 0 to 1.

    Above 0.5 the object is cut off.
    """
    alpha = planes.alpha
    ring = (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1])
    return max(float(side.max()) for side in ring) / 255


def contrast(planes: Planes) -> float:
    """Returns the standard deviation of luminance over the opaque area, 0 to 0.5.

    A single fill gives 0, and so does a blank image.
    """
    return float(cv2.meanStdDev(planes.luma, mask=planes.opaque)[1][0, 0])


def sharpness(planes: Planes) -> float:
    """Returns 1 - blur effect of the image on mid grey together with its alpha, 0 to 1.

    Source: Crete, Dolmiere, Ladret, Nicolas, "The blur effect", SPIE 6492 (2007): how much of the
    gradient survives another blur. For an opaque grey image it is scikit-image's `blur_effect`.
    Alpha counts as a plane of its own, so that a grey object on the grey background keeps its
    outline. An image without any gradient is fully blurred: 0.
    """
    total, lost = np.zeros(2), np.zeros(2)
    for strip in _strips(planes):
        for along in (0, 1):
            gradient, gone = _gradients(strip, along)
            total[along] += sum(cv2.sumElems(gradient))
            lost[along] += sum(cv2.sumElems(gone))
    if not total.all():  # no gradient along one direction: fully blurred
        return 0.0
    return 1.0 - float(((total - lost) / total).max())


def _gradients(strip: Plane, along: int) -> tuple[Plane, Plane]:
    """Returns Sobel's magnitude along columns (0) or rows (1), and what a blur removes of it.

    Smoothing across and averaging along commute, and the difference of a running mean is that of
    its ends: so the blurred image itself is never needed.
    """
    single, across = np.ones(1), np.array([1.0, 2.0, 1.0])
    kernels = (single, across) if along == 0 else (across, single)
    smooth = _shifts(np.asarray(cv2.sepFilter2D(strip, cv2.CV_32F, *kernels)), along)
    gradient = cv2.absdiff(smooth(1), smooth(-1))
    ends = cv2.add(smooth(6), smooth(5)), cv2.add(smooth(-5), smooth(-6))
    after = cv2.absdiff(*ends)
    gone = cv2.threshold(cv2.scaleAdd(after, -1 / _BLUR_SIZE, gradient), 0, 0, cv2.THRESH_TOZERO)[1]
    return np.asarray(gradient), np.asarray(gone)


def _shifts(plane: Plane, along: int) -> Callable[[int], Plane]:
    """Returns a function that shifts a strip's counted part along columns (0) or rows (1)."""
    height, width = plane.shape[:2]

    def moved(by: int) -> Plane:
        down, right = (0, by) if along == 0 else (by, 0)
        return plane[
            _REACH + down : height - _REACH + down, _REACH + right : width - _REACH + right
        ]

    return moved


def _strips(planes: Planes) -> Iterator[Plane]:
    """Yields image and alpha in strips of rows, with seven pixels around the counted ones.

    In strips, because at 512 x 512 allocating memory for whole planes takes three times as long as
    the computation. Scikit-image leaves out the same border.
    """
    height, width = planes.alpha.shape
    rows = max(_REACH, _STRIP // width)
    for top in range(2, height - 1 if width > 3 else 0, rows):
        end = min(top + rows, height - 1)
        first, last = max(0, top - _REACH), min(height, end + _REACH)
        alpha = planes.alpha[first:last].astype(np.float32) / np.float32(255)
        seen = cv2.merge([planes.over_grey[first:last], alpha])
        above, below = _REACH - (top - first), _REACH - (last - end)
        sides = (above, below, _REACH - 2, _REACH - 1)
        yield np.asarray(cv2.copyMakeBorder(seen, *sides, cv2.BORDER_REFLECT))


def _areas(mask: Pixels, *, connectivity: int) -> np.ndarray:
    """Returns the size of each connected piece in pixels."""
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
