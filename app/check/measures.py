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
from app.check.planes import FAINT, Pixels, Plane, Planes
from app.types import Measure

_PINHOLE_SHARE = 0.002
"""A hole up to this share of the frame is damage (8 pixels at 64x64); a larger one is drawn."""
_BLUR_SIZE = 11
"""The low-pass filter of Crete et al. 2007."""
_REACH = 7
"""How far a pixel's blurred gradient looks: half of the filter, one, and one across."""
_STRIP = 32_768
"""Pixels of a strip, about."""


def measures(pixels: Pixels) -> dict[Measure, float]:
    """Every measure that needs nothing but the pixels: COVERAGE to SEAM."""
    planes = Planes(pixels)
    return {measure: of(planes) for measure, of in MEASURES.items()}


def coverage(planes: Planes) -> float:
    """Share of pixels at least half opaque, 0 to 1: 0 is blank, 1 has no transparency left."""
    return cv2.countNonZero(planes.opaque) / planes.opaque.size


def softness(planes: Planes) -> float:
    """Share of the visible pixels that one can see through, 0 to 1.

    Visible is an alpha above 0.1, see-through one below 0.9. A clean edge is one pixel wide, so
    small and thin objects have more of it than large ones; a ghost is soft all over.
    """
    visible = cv2.countNonZero(cv2.inRange(planes.alpha, FAINT, 255))
    opaque = cv2.countNonZero(planes.solid)
    return (visible - opaque) / visible if visible else 0.0


def fragments(planes: Planes) -> float:
    """Area of what hangs loose or is pierced, as a share of the opaque area, 0 to 1.

    Counted are all connected pieces (8 neighbours) beside the largest, and enclosed holes
    (4 neighbours) of at most 0.2 % of the frame: specks and pinholes.
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
    """Largest alpha on the outermost pixel ring, 0 to 1; above 0.5 something is cut off."""
    alpha = planes.alpha
    ring = (alpha[0], alpha[-1], alpha[:, 0], alpha[:, -1])
    return max(float(side.max()) for side in ring) / 255


def contrast(planes: Planes) -> float:
    """Standard deviation of luminance over the opaque area, 0 to 0.5.

    A single fill gives 0, and so does a blank picture.
    """
    return float(cv2.meanStdDev(planes.luma, mask=planes.opaque)[1][0, 0])


def sharpness(planes: Planes) -> float:
    """1 - blur effect of the picture on mid grey and of its alpha taken together, 0 to 1.

    Source: Crete, Dolmiere, Ladret, Nicolas, "The blur effect", SPIE 6492 (2007): how much of the
    gradient survives another blur. An opaque grey picture has scikit-image's `blur_effect`. Alpha
    counts as a plane of its own, so that a grey object on the grey ground keeps its outline. A
    picture without any gradient is as blurred as can be: 0.
    """
    total, lost = np.zeros(2), np.zeros(2)
    for strip in _strips(planes):
        for along in (0, 1):
            gradient, gone = _gradients(strip, along)
            total[along] += sum(cv2.sumElems(gradient))
            lost[along] += sum(cv2.sumElems(gone))
    if not total.all():  # nothing changes along one direction: as blurred as can be
        return 0.0
    return 1.0 - float(((total - lost) / total).max())


def _gradients(strip: Plane, along: int) -> tuple[Plane, Plane]:
    """Sobel's magnitude along columns (0) or rows (1) of a strip, and what a blur takes from it.

    Smoothing across and averaging along may change places, and a running mean's difference is
    that of its ends: so the blurred picture itself is never needed.
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
    """The counted part of a strip, moved along columns (0) or rows (1) by so many pixels."""
    height, width = plane.shape[:2]

    def moved(by: int) -> Plane:
        down, right = (0, by) if along == 0 else (by, 0)
        return plane[
            _REACH + down : height - _REACH + down, _REACH + right : width - _REACH + right
        ]

    return moved


def _strips(planes: Planes) -> Iterator[Plane]:
    """Picture and alpha in strips of rows, with seven pixels around those that count.

    In strips, because at 512 x 512 the system's handing out of fresh memory for whole planes takes
    three times as long as all that is computed. Scikit-image leaves the same border out.
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
