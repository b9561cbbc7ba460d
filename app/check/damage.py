"""Damage: artefacts that processing leaves in an image: bands, blocks, clipped tones, seams."""

from functools import cache
from math import sqrt

import cv2
import numpy as np
from numpy.typing import NDArray

from app.check.planes import HALF, Pixels, Planes

_SMALL, _GENTLE = 5, 48
"""Limits of small and medium steps between neighbouring pixels, of 255.

Shading makes small steps; the border of a band makes larger ones, and an edge still larger ones.
"""
_STRETCH = 24
"""A channel that spans fewer levels than this is too flat to judge."""
_RARE = 0.01
"""Added to a divisor: where almost nothing is shaded there are no bands."""
_MOST_COUNTED = 131_072
"""The approximate number of pixels counted; of a larger image only every n-th row is used."""
_BLOCK = 8
"""The side of a JPEG block."""
_MOST_BLOCKS = 400
_WHOLE_BLOCK = 60
"""The nearly opaque pixels, of 64, that a block needs to count."""
_DETAIL = 1.5
"""Rounding to whole bytes alone makes coefficients up to this size."""
_FEW_DETAILS = 1.0
"""An image with fewer details per block than this has no texture to lose."""
_OTHER_GRIDS = ((4, 4), (4, 0), (0, 4), (2, 2), (6, 6), (3, 5), (5, 3))
_BAND = 8
"""The pixels on each side of the seam that its step is compared with."""
_WHITE, _BLACK = 254, 1


def banding(planes: Planes) -> float:
    """Returns how likely the shading inside the object has too few levels, 0 to 1.

    It is the share of a channel's levels between its darkest and lightest that no pixel has (the
    median of the three channels), times the share of steps between neighbours that are neither
    small, as in shading, nor large, as at edges. Quantised shading skips levels and steps over
    them; flat colour skips levels and has large steps; smooth shading does neither.
    """
    every = -(-planes.alpha.size // _MOST_COUNTED)
    pixels, inside = planes.pixels[::every], planes.inside[::every]
    if not inside.any():
        return 0.0
    levels = [np.flatnonzero(_histogram(pixels, inside, channel)) for channel in range(3)]
    spans = [int(used[-1] - used[0]) for used in levels]
    unused = [
        1 - (len(used) - 1) / span if span >= _STRETCH else 0.0
        for used, span in zip(levels, spans, strict=True)
    ]
    return sorted(unused)[1] * _stepped(planes, int(np.argmax(spans)), every)


def _stepped(planes: Planes, channel: int, every: int) -> float:
    """Returns the share of a channel's steps inside the object that are medium in size."""
    plane, inside = cv2.extractChannel(planes.pixels, channel), planes.inside
    steps = np.zeros(256)
    for position, next_ in (
        (np.s_[::every, :-1], np.s_[::every, 1:]),
        (np.s_[:-1:every], np.s_[1::every]),
    ):
        if plane[position].size:
            both = cv2.min(inside[position], inside[next_])
            steps += _histogram(np.asarray(cv2.absdiff(plane[position], plane[next_])), both, 0)
    gentle, small = steps[_SMALL + 1 : _GENTLE + 1].sum(), steps[1 : _SMALL + 1].sum()
    return float(gentle / (gentle + small + _RARE * max(steps.sum(), 1)))


def _histogram(pixels: Pixels, mask: Pixels, channel: int) -> NDArray[np.float64]:
    counted = cv2.calcHist([pixels], [channel], mask, [256], [0, 256])
    return np.asarray(counted, np.float64).ravel()


def blockiness(planes: Planes) -> float:
    """Returns how many fewer details JPEG's own blocks have than shifted blocks, 0 to 1.

    Details are coefficients of the 8 x 8 cosine transform of luma that rounding cannot explain.
    JPEG removes most of them in the blocks that start at the upper left corner, and the borders of
    those blocks are details in every other grid; an image that was never a JPEG has as many in
    each. An image whose grid was lost by resizing or moving has 0.
    """
    luma = cv2.cvtColor(planes.pixels, cv2.COLOR_RGBA2GRAY)  # BT.601, as JPEG uses
    solid = planes.solid
    own, *others = (_details(luma, solid, *start) for start in ((0, 0), *_OTHER_GRIDS))
    usual = sum(others) / len(others)
    return max(0.0, 1 - own / usual) if usual > _FEW_DETAILS else 0.0


def _details(luma: Pixels, solid: Pixels, top: int, left: int) -> float:
    """Returns the mean number of details per block of a grid, evenly sampled if there are many."""
    whole = _blocks(solid, top, left).sum(axis=1) >= _WHOLE_BLOCK
    if not whole.any():
        return 0.0
    coefficients = np.abs(_blocks(luma, top, left)[whole].astype(np.float32) @ _cosines())
    return float(np.count_nonzero(coefficients > _DETAIL)) / np.count_nonzero(whole)


def _blocks(plane: Pixels, top: int, left: int) -> Pixels:
    """Returns the blocks of a grid, one per row, [n, 64]; evenly sampled if there are many."""
    part = plane[top:, left:]
    down, right = part.shape[0] // _BLOCK, part.shape[1] // _BLOCK
    part = part[: down * _BLOCK, : right * _BLOCK].reshape(down, _BLOCK, right, _BLOCK)
    every = max(1, round(sqrt(down * right / _MOST_BLOCKS)))
    return part.swapaxes(1, 2)[::every, ::every].reshape(-1, _BLOCK * _BLOCK)


@cache
def _cosines() -> NDArray[np.float32]:
    """Returns the matrix [64, 63] of all cosine coefficients of 64 pixels except the constant."""
    place, frequency = np.arange(_BLOCK), np.arange(_BLOCK)[:, None]
    waves = np.cos((2 * place + 1) * frequency * np.pi / (2 * _BLOCK)) / 2
    waves[0] /= np.sqrt(2)
    return np.asarray(np.kron(waves, waves).T[:, 1:], np.float32)


def clipping(planes: Planes) -> float:
    """Returns the share of the opaque area that is pure white or pure black, 0 to 1."""
    area = cv2.countNonZero(planes.opaque)
    if not area:
        return 0.0
    darkest, lightest = cv2.minMaxLoc(planes.luma, mask=planes.opaque)[:2]
    lost = 0
    if lightest > (_WHITE - 0.1) / 255:  # otherwise no pixel can be white
        whites = cv2.inRange(planes.pixels, (_WHITE, _WHITE, _WHITE, HALF), (255, 255, 255, 255))
        lost += cv2.countNonZero(whites)
    if darkest < (_BLACK + 0.1) / 255:
        blacks = cv2.inRange(planes.pixels, (0, 0, 0, HALF), (_BLACK, _BLACK, _BLACK, 255))
        lost += cv2.countNonZero(blacks)
    return lost / area


def seam(planes: Planes) -> float:
    """Returns how much larger the step between opposite borders is than those beside it, 0 to 1.

    It is 1 - (mean step among the 8 pixels next to the borders) / (mean step across), 0 when the
    step across is no larger, and the worse of both directions: it shows in a tiled texture.
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
