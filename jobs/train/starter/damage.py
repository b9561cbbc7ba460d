"""Damages drawings: negatives for the critic, and controls that must not score well.

Every function takes and returns straight-alpha RGBA pixels [64, 64, 4]; erased pixels are clear.
"""

from collections.abc import Callable
from typing import cast

import cv2
import numpy as np

from jobs.train.starter.drawings import Pixels

_SIDE = 64


def erase_blocks(
    pixels: Pixels, rng: np.random.Generator, *, share: float, block: int = 8
) -> Pixels:
    """Clears the given share of all blocks, chosen at random; returns new pixels."""
    count = _SIDE // block
    order = rng.permutation(count * count)
    kept = (order >= round(share * count * count)).reshape(count, count)
    return _kept(pixels, np.kron(kept, np.ones((block, block), dtype=bool)))


def cut(pixels: Pixels, rng: np.random.Generator, *, share: float = 0.5) -> Pixels:
    """Clears the given share of the object's extent, from a random side."""
    mask = pixels[..., 3] > 8
    axis, from_end = int(rng.integers(2)), bool(rng.integers(2))
    occupied = np.flatnonzero(mask.any(axis=1 - axis))
    if not occupied.size:
        return pixels
    edge = occupied[0] + round(float(occupied[-1] - occupied[0] + 1) * share)
    place = np.arange(_SIDE) < _SIDE - edge if from_end else np.arange(_SIDE) >= edge
    return _kept(pixels, np.broadcast_to(place[:, None] if axis == 0 else place, (_SIDE, _SIDE)))


def empty(pixels: Pixels) -> Pixels:
    """Returns the drawing with all pixels clear."""
    return _kept(pixels, np.zeros((_SIDE, _SIDE), dtype=bool))


def apply_random_damage(pixels: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    """Returns the drawing with one random damage of random strength; `other` may be mixed in."""
    return _DAMAGES[rng.choice(len(_DAMAGES), p=_SHARES)](pixels, other, rng)


def _kept(pixels: Pixels, mask: np.ndarray) -> Pixels:
    out = pixels.copy()
    out[..., 3] = np.where(mask, pixels[..., 3], 0)
    return out


def _erased(pixels: Pixels, _: Pixels, rng: np.random.Generator) -> Pixels:
    block = int(rng.choice([4, 8, 8, 16]))
    return erase_blocks(pixels, rng, share=rng.uniform(0.25, 0.8), block=block)


def _cut_off(pixels: Pixels, _: Pixels, rng: np.random.Generator) -> Pixels:
    return cut(pixels, rng, share=rng.uniform(0.35, 0.65))


def _holed(pixels: Pixels, _: Pixels, rng: np.random.Generator) -> Pixels:
    mask = np.ones((_SIDE, _SIDE), dtype=np.uint8)
    rows, columns = np.nonzero(pixels[..., 3] > 128)
    for index in rng.integers(len(rows), size=rng.integers(2, 6)) if len(rows) else ():
        axes = (int(rng.integers(5, 11)), int(rng.integers(5, 11)))
        centre = (int(columns[index]), int(rows[index]))
        cv2.ellipse(mask, centre, axes, float(rng.uniform(0, 180)), 0, 360, 0, -1)
    return _kept(pixels, mask > 0)


def _shuffled(pixels: Pixels, _: Pixels, rng: np.random.Generator) -> Pixels:
    blocks = pixels.reshape(4, 16, 4, 16, 4).transpose(0, 2, 1, 3, 4).reshape(16, 16, 16, 4)
    mixed = blocks[rng.permutation(16)].reshape(4, 4, 16, 16, 4).transpose(0, 2, 1, 3, 4)
    return np.ascontiguousarray(mixed.reshape(_SIDE, _SIDE, 4))


def _warped(pixels: Pixels, _: Pixels, rng: np.random.Generator) -> Pixels:
    waves = rng.normal(0, 1, (2, 8, 8)).astype(np.float32) * rng.uniform(6, 10)
    shift = [cv2.resize(wave, (_SIDE, _SIDE), interpolation=cv2.INTER_CUBIC) for wave in waves]
    y, x = np.mgrid[0:_SIDE, 0:_SIDE].astype(np.float32)
    return cast(Pixels, cv2.remap(pixels, x + shift[0], y + shift[1], cv2.INTER_LINEAR))


def _half_other(pixels: Pixels, other: Pixels, rng: np.random.Generator) -> Pixels:
    out, at = pixels.copy(), int(rng.integers(26, 38))
    if rng.random() < 0.5:
        out[at:] = other[at:]
    else:
        out[:, at:] = other[:, at:]
    return out


def _emptied(pixels: Pixels, _: Pixels, rng: np.random.Generator) -> Pixels:
    return _kept(pixels, rng.random((_SIDE, _SIDE)) < rng.choice([0.0, 0.02, 0.1]))


_DAMAGES: tuple[Callable[[Pixels, Pixels, np.random.Generator], Pixels], ...] = (
    _erased,
    _cut_off,
    _holed,
    _shuffled,
    _warped,
    _half_other,
    _emptied,
)
_SHARES = (0.3, 0.2, 0.15, 0.08, 0.1, 0.12, 0.05)
