"""Duplicates: image fingerprints, and the nearest neighbour among the images seen so far.

A 64-bit perceptual hash compares shape and colour with many images at once; a small thumbnail (the
sketch) confirms what the hash finds alike.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]

_SIDE = 32
_HASH_BITS = 64
_SKETCH = 6
_BYTES = 4 * _SKETCH**2
_CLOSE = 8
"""Sketches are compared up to this many differing bits: a retouched copy stays within 3."""
_LIGHTER = 0.1
_SHAPE_BITS = 36
_HUES = 8
_CHROMA = (0.08, 0.2, 0.4)
_DARK = 0.3
"""Added to the lightness that chroma is divided by: the hue of near black is mostly noise."""
_LIGHTNESS = (0.25, 0.4, 0.55, 0.7)
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], dtype=np.float32)


def perceptual_hash(pixels: Pixels) -> int:
    """Returns the 64-bit hash of a uint8 RGBA image; few differing bits mean a near duplicate.

    The object is cropped to its opaque rectangle first, so that its position in the frame does not
    matter, and put on black, so that its brightness hardly matters. Then
    - 36 bits are the lowest frequencies of the luminance's cosine transform against their median
      (pHash: Zauner, "Implementation and Benchmarking of Perceptual Image Hash Functions", 2010);
    - 24 bits tell on which side of 8 directions of hue, at 3 strengths, the mean colour lies;
    - 4 bits are the mean lightness as a thermometer code.
    The further apart two hues are, the more of their colour bits differ: a red gem and a blue gem
    of one shape are no duplicates. An image without opaque pixels has the hash 0.
    """
    square = _opaque_square(pixels)
    return _hash(square) if square.size else 0


def _hash(object_pixels: NDArray[np.float32]) -> int:
    mean = object_pixels[..., :3].sum(axis=(0, 1)) / object_pixels[..., 3].sum()
    bits = np.concatenate([_shape_bits(object_pixels), _hue_bits(mean), _lightness_bits(mean)])
    return int.from_bytes(np.packbits(bits).tobytes(), "big")


def _opaque_square(pixels: Pixels) -> NDArray[np.float32]:
    """Returns the opaque rectangle centred in a clear square, premultiplied, 32x32, 0 to 1."""
    opaque = pixels[..., 3] >= 128
    rows, columns = np.flatnonzero(opaque.any(axis=1)), np.flatnonzero(opaque.any(axis=0))
    if not rows.size:
        return np.empty((0, 0, 4), dtype=np.float32)
    part = _premultiplied_part(pixels[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
    height, width = part.shape[:2]
    side = max(height, width)
    top, left = (side - height) // 2, (side - width) // 2
    around = (top, side - height - top, left, side - width - left)
    square = cv2.copyMakeBorder(part, *around, cv2.BORDER_CONSTANT, value=(0, 0, 0, 0))
    small = cv2.resize(square, (_SIDE, _SIDE), interpolation=cv2.INTER_AREA)
    return np.asarray(small, np.float32) / np.float32(255 if small.dtype == np.uint8 else 1)


def _premultiplied_part(part: Pixels) -> NDArray[np.uint8] | NDArray[np.float32]:
    """Returns the part premultiplied: as floats 0 to 1, or as bytes if it is large.

    In a large part the rounding averages out when it is shrunk.
    """
    if max(part.shape) > 4 * _SIDE:
        alpha = np.ascontiguousarray(part[..., 3])
        share = cv2.merge([alpha, alpha, alpha, np.full_like(alpha, 255)])
        return np.asarray(cv2.multiply(part, share, scale=1 / 255), np.uint8)
    unit = part.astype(np.float32)
    unit /= 255  # in place: allocating memory costs more than the division
    for channel in range(3):  # one by one: iterating over rows of three is slow
        unit[..., channel] *= unit[..., 3]
    return unit


def _shape_bits(object_pixels: NDArray[np.float32]) -> NDArray[np.bool_]:
    frequencies = cv2.dct(np.ascontiguousarray(object_pixels[..., :3] @ _LUMINANCE))
    lowest = frequencies.ravel()[_from_low_to_high()[1 : _SHAPE_BITS + 1]]
    return np.asarray(lowest > np.median(lowest))


@cache
def _from_low_to_high() -> NDArray[np.intp]:
    """Returns the indices of the frequencies in the flat transform, the constant one first."""
    row, column = np.indices((_SIDE, _SIDE))
    return np.lexsort((row.ravel(), (row + column).ravel()))


def _hue_bits(mean: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Returns the mean colour's position in the hue circle, as half-planes of opponent axes."""
    red, green, blue = mean
    opponents = np.array([red - (green + blue) / 2, (green - blue) * np.sqrt(3) / 2])
    angles = np.arange(_HUES) * 2 * np.pi / _HUES
    along = opponents @ np.stack([np.cos(angles), np.sin(angles)]) / (mean @ _LUMINANCE + _DARK)
    return np.asarray(np.greater.outer(along, _CHROMA).ravel())


def _lightness_bits(mean: NDArray[np.float32]) -> NDArray[np.bool_]:
    return np.asarray(np.array(_LIGHTNESS) < mean @ _LUMINANCE)


def fingerprint(pixels: Pixels) -> int:
    """Returns a fingerprint: the 64-bit hash in the low bits, and above it a 144-byte sketch.

    The sketch is the same object at 6 x 6, premultiplied RGBA: it separates images that the hash
    finds alike, for example one object in two styles. An image without opaque pixels has the
    fingerprint 0.
    """
    square = _opaque_square(pixels)
    if not square.size:
        return 0
    sketch = cv2.resize(square, (_SKETCH, _SKETCH), interpolation=cv2.INTER_AREA)
    large = int.from_bytes(np.rint(sketch * 255).astype(np.uint8).tobytes(), "big")
    return large << _HASH_BITS | _hash(square)


@dataclass(frozen=True, slots=True)
class KnownImage:
    """An existing image: its fingerprint, its asset, and its run if that is relevant.

    A fingerprint below 2**64 is a hash without a sketch, from a catalog older than sketches.
    """

    fingerprint: int
    name: str
    run: str = ""

    def __str__(self) -> str:
        return f"{self.name} of run {self.run}" if self.run else self.name


class Neighbours:
    """The images seen so far, with exact nearest-neighbour search; 152 bytes each plus names.

    The distance of two images is the number of differing bits of their hashes, 0 to 64. Where that
    is at most 8 and both have a sketch, it is the mean difference of the sketches in 255ths if that
    is larger; brightness differences of up to a tenth are ignored.
    """

    def __init__(self, known: Iterable[KnownImage] = ()) -> None:
        self._hashes = np.empty(1024, dtype=np.uint64)
        self._sketches = np.empty((1024, _BYTES), dtype=np.uint8)
        self._seen: list[KnownImage] = []
        self._named: dict[str, list[int]] = {}
        for image in known:
            self._add(image)

    def __len__(self) -> int:
        """Returns how many images were added."""
        return len(self._seen)

    def add(self, fingerprint: int, name: str) -> None:
        """Adds a fingerprint under an asset's name; names may repeat."""
        self._add(KnownImage(fingerprint, name))

    def _add(self, image: KnownImage) -> None:
        if len(self) == len(self._hashes):
            room = 2 * len(self)
            self._hashes = np.resize(self._hashes, room)
            self._sketches = np.resize(self._sketches, (room, _BYTES))
        self._hashes[len(self)], self._sketches[len(self)] = _split_fingerprint(image.fingerprint)
        self._named.setdefault(image.name, []).append(len(self))
        self._seen.append(image)

    def nearest(self, fingerprint: int, *, exclude: str = "") -> tuple[float, str] | None:
        """Returns distance and name of the nearest image, the first of equals; None without any.

        `exclude` is the asset itself, whose earlier versions it may look like.
        """
        hash, sketch = _split_fingerprint(fingerprint)
        bits = np.bitwise_count(self._hashes[: len(self)] ^ hash)
        distances = bits.astype(np.float64)
        close = np.flatnonzero(bits <= _CLOSE)
        if close.size:
            distances[close] = np.maximum(distances[close], self._sketch_distances(sketch, close))
        distances[self._named.get(exclude, [])] = np.inf
        if not np.isfinite(distances).any():
            return None
        index = int(distances.argmin())
        return float(distances[index]), str(self._seen[index])

    def _sketch_distances(
        self, sketch: NDArray[np.uint8], rows: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Returns mean differences between a sketch and those of the rows; 0 if one is missing."""
        theirs, mine = self._sketches[rows].astype(np.float32), sketch.astype(np.float32)
        lights = theirs.mean(axis=1)
        gains = np.clip(mine.mean() / np.maximum(lights, 1), 1 - _LIGHTER, 1 + _LIGHTER)
        apart = np.abs(np.minimum(theirs * gains[:, None], 255) - mine).mean(axis=1)
        return np.where((lights > 0) & bool(sketch.any()), apart, 0).astype(np.float64)


def _split_fingerprint(fingerprint: int) -> tuple[np.uint64, NDArray[np.uint8]]:
    hash, sketch = fingerprint % 2**_HASH_BITS, fingerprint >> _HASH_BITS
    return np.uint64(hash), np.frombuffer(sketch.to_bytes(_BYTES, "big"), np.uint8)
