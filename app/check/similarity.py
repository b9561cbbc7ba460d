"""Similarity: a 64-bit perceptual hash that sees shape and colour, and its nearest neighbours."""

from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

_SIDE = 32
_SHAPE_BITS = 36
_HUES = 8
_CHROMA = (0.08, 0.2, 0.4)
_DARK = 0.3
"""Added to the lightness that chroma is divided by: the hue of near black is mostly noise."""
_LIGHTNESS = (0.25, 0.4, 0.55, 0.7)
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)


def perceptual_hash(pixels: Pixels) -> int:
    """The 64-bit hash of a uint8 RGBA picture; few differing bits mean a near duplicate.

    The object is cropped to its opaque rectangle first, so that its place in the frame does not
    matter, and laid on black, so that its brightness hardly does. Then

    - 36 bits are the lowest frequencies of the luminance's cosine transform against their median
      (pHash: Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010);
    - 24 bits say on which side of 8 directions of hue, at 3 strengths, the mean colour lies;
    - 4 bits are the mean lightness as a thermometer.

    The colour bits of two hues differ the more the further apart they are, so that a red gem and
    a blue gem of one shape are no duplicates. A picture with nothing opaque has the hash 0.
    """
    object_pixels = _opaque_square(pixels)
    if not object_pixels.size:
        return 0
    mean = object_pixels[..., :3].sum(axis=(0, 1)) / object_pixels[..., 3].sum()
    bits = np.concatenate([_shape_bits(object_pixels), _hue_bits(mean), _lightness_bits(mean)])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _opaque_square(pixels: Pixels) -> NDArray[np.float32]:
    """The opaque rectangle centred in a clear square, premultiplied, 32x32, values 0 to 1."""
    opaque = pixels[..., 3] >= 128
    rows, columns = np.flatnonzero(opaque.any(axis=1)), np.flatnonzero(opaque.any(axis=0))
    if not rows.size:
        return np.empty((0, 0, 4), dtype=np.float32)
    part = pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1].astype(np.float32)
    part /= 255  # in place: fresh memory costs more than the division
    for channel in range(3):  # one by one: rows of three are slow to walk
        part[..., channel] *= part[..., 3]
    height, width = part.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    around = (top, side - height - top, left, side - width - left)
    square = cv2.copyMakeBorder(part, *around, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
    return np.asarray(cv2.resize(square, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA))


def _shape_bits(object_pixels: NDArray[np.float32]) -> NDArray[np.bool_]:
    frequencies = cv2.dct(np.ascontiguousarray(object_pixels[..., :3] @ _LUMINANCE))
    lowest = frequencies.ravel()[_from_low_to_high()[1 : _SHAPE_BITS + 1]]
    return np.asarray(lowest > np.median(lowest))


@cache
def _from_low_to_high() -> NDArray[np.intp]:
    """Where the frequencies stand in the flat transform, the constant one first."""
    row, column = np.indices((_SIDE, _SIDE))
    return np.lexsort((row.ravel(), (row + column).ravel()))


def _hue_bits(mean: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The mean colour's place in the hue circle, as half-planes of RGB's opponent axes."""
    red, green, blue = mean
    opponents = np.array([red - (green + blue) / 2, (green - blue) * np.sqrt(3) / 2])
    angles = np.arange(_HUES) * 2 * np.pi / _HUES
    along = opponents @ np.stack([np.cos(angles), np.sin(angles)]) / (mean @ _LUMINANCE + _DARK)
    return np.asarray(np.greater.outer(along, _CHROMA).ravel())


def _lightness_bits(mean: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(np.array(_LIGHTNESS) < mean @ _LUMINANCE)


class Neighbours:
    """The hashes seen so far, with exact nearest neighbours by Hamming distance."""

    def __init__(self) -> None:
        self._hashes = np.empty(1024, dtype=np.uint64)
        self._names: list[str] = []

    def __len__(self) -> int:
        """How many hashes were added."""
        return len(self._names)

    def add(self, hash: int, name: str) -> None:
        """Remember a 64-bit hash under a name; names may repeat."""
        if len(self) == len(self._hashes):
            self._hashes = np.resize(self._hashes, 2 * len(self._hashes))
        self._hashes[len(self)] = hash
        self._names.append(name)

    def nearest(self, hash: int) -> tuple[int, str] | None:
        """Distance in bits and name of the nearest hash, the first of equals; None when empty."""
        if not self._names:
            return None
        distances = np.bitwise_count(self._hashes[: len(self)] ^ np.uint64(hash))
        index = int(distances.argmin())
        return int(distances[index]), self._names[index]
