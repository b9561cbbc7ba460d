"""Damage: the marks that processing leaves on a picture: bands, blocks, clipped tones, seams."""

import cv2
import numpy as np

from app.check.planes import Pixels, Planes

_GENTLE = 24
"""Steps of luminance, of 255, that shading may make from one pixel to the next."""
_BLOCK = 8
"""The side of a JPEG block."""
_EDGE = 24
"""A larger step is the picture's own; it counts as this."""
_FAIR = 1.0
"""Of 255: a grid fainter than this is not seen."""
_BAND = 8
"""Pixels on each side of the seam whose steps are the measure of it."""
_WHITE, _BLACK = 254, 1


def banding(planes: Planes) -> float:
    """Share of the object's area that lies at a gentle step between two level stretches, 0 to 1.

    A step is a change of luminance by 2 to 24 of 255 with no change for two pixels before and
    after it, along rows or columns; shading rounded to too few levels is full of them.
    """
    levels, inside = planes.levels, planes.inside
    area = int(inside.sum())
    if not area:
        return 0.0
    found = max(_steps(levels, inside), _steps(cv2.transpose(levels), cv2.transpose(inside)))
    return min(found / area, 1.0)


def _steps(levels: Pixels, inside: Pixels) -> int:
    """How many gentle steps between level stretches there are along the rows."""
    if levels.shape[1] < 6:
        return 0
    change = cv2.absdiff(levels[:, 1:], levels[:, :-1])
    level = change == 0
    gentle = (change[:, 2:-2] >= 2) & (change[:, 2:-2] <= _GENTLE)
    calm = level[:, :-4] & level[:, 1:-3] & level[:, 3:-1] & level[:, 4:]
    return int(np.count_nonzero(gentle & calm & (inside[:, 2:-3] > 0)))


def blockiness(planes: Planes) -> float:
    """How much larger steps are across the borders of 8 x 8 blocks than elsewhere, 0 to 1.

    The means of the steps of luminance inside the object, each counted up to 24 of 255, as
    (across - elsewhere) / (across + elsewhere + 1 of 255), of rows or columns whichever is
    larger; the blocks stand where JPEG puts them, from the upper left corner. After Wang, Bovik
    and Evans, "Blind Measurement of Blocking Artifacts in Images", ICIP 2000.
    """
    levels, solid = planes.levels, planes.solid
    return max(_grid(levels, solid), _grid(cv2.transpose(levels), cv2.transpose(solid)))


def _grid(levels: Pixels, solid: Pixels) -> float:
    if levels.shape[1] < 2:
        return 0.0
    counted = solid[:, 1:] & solid[:, :-1]
    steps = np.minimum(cv2.absdiff(levels[:, 1:], levels[:, :-1]), _EDGE) * counted
    totals = cv2.reduce(steps, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32F)[0]
    counts = cv2.reduce(counted, 0, cv2.REDUCE_SUM, dtype=cv2.CV_32F)[0]
    across = np.arange(len(totals)) % _BLOCK == _BLOCK - 1
    if not counts[across].sum() or not counts[~across].sum():
        return 0.0
    border = totals[across].sum() / counts[across].sum()
    elsewhere = totals[~across].sum() / counts[~across].sum()
    return max(0.0, float((border - elsewhere) / (border + elsewhere + _FAIR)))


def clipping(planes: Planes) -> float:
    """Share of the opaque area that is pure white or pure black, 0 to 1: tones that were lost."""
    area = int(planes.opaque.sum())
    if not area:
        return 0.0
    white = cv2.inRange(planes.pixels, (_WHITE, _WHITE, _WHITE, 128), (255, 255, 255, 255))
    black = cv2.inRange(planes.pixels, (0, 0, 0, 128), (_BLACK, _BLACK, _BLACK, 255))
    return (cv2.countNonZero(white) + cv2.countNonZero(black)) / area


def seam(planes: Planes) -> float:
    """How much harsher the step from one border to the opposite one is than those beside it, 0..1.

    1 - (mean step among the 8 pixels next to the borders) / (mean step across), 0 when the step
    across is no larger, of both directions the worse: a texture laid side by side shows it.
    """
    return max(_across(planes.pixels), _across(planes.pixels.transpose(1, 0, 2)))


def _across(pixels: Pixels) -> float:
    width = pixels.shape[1]
    reach = min(_BAND, width // 2)
    if reach < 2:
        return 0.0
    joined = np.concatenate([pixels[:, width - reach :], pixels[:, :reach]], axis=1)
    seen = joined[..., :3].astype(np.float32) * joined[..., 3:]
    steps = np.abs(np.diff(seen, axis=1)).mean(axis=(0, 2))
    across, beside = float(steps[reach - 1]), float(np.delete(steps, reach - 1).mean())
    return max(0.0, 1 - beside / across) if across > 255 else 0.0
