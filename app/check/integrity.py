"""Integrity: whether a file is the picture that was asked for, read from the file itself."""

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from app.errors import BadImage
from app.image.png import SIGNATURE, read_png
from app.types import Measure

_SRGB_GAMMA = 45_455
_SRGB_PRIMARIES = (31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)
"""What gAMA and cHRM say beside sRGB (W3C PNG, third edition, 11.3.2)."""


def decode_or_none(data: bytes) -> NDArray[np.uint8] | None:
    """The pixels [height, width, 4] of a file's bytes; None when it is no whole sRGB RGBA PNG."""
    try:
        pixels = read_png(data)
    except BadImage:
        return None
    return pixels if is_srgb(data) else None


def is_srgb(data: bytes) -> bool:
    """Whether a whole PNG's numbers are sRGB: it says so, or says nothing.

    An embedded profile is refused whatever it holds: it would have to be applied.
    """
    for kind, body in _before_pixels(data):
        if kind in (b"iCCP", b"cICP", b"mDCV"):
            return False
        if kind == b"gAMA" and body != struct.pack(">I", _SRGB_GAMMA):
            return False
        if kind == b"cHRM" and body != struct.pack(">8I", *_SRGB_PRIMARIES):
            return False
    return True


def integrity(pixels: NDArray[np.uint8] | None, *, width: int, height: int) -> dict[Measure, float]:
    """DECODES and SIZE_ERROR of what `decoded` gave.

    Bad bytes are a score, never an error: they decode to 0 and miss the whole asked size.
    """
    if pixels is None:
        return {Measure.DECODES: 0.0, Measure.SIZE_ERROR: float(width + height)}
    found_height, found_width = pixels.shape[:2]
    size_error = abs(found_width - width) + abs(found_height - height)
    return {Measure.DECODES: 1.0, Measure.SIZE_ERROR: float(size_error)}


def _before_pixels(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """The chunks in front of the pixels; colour is said nowhere else."""
    position = len(SIGNATURE)
    while data[position + 4 : position + 8] not in (b"IDAT", b"IEND", b""):
        length = int.from_bytes(data[position : position + 4], "big")
        yield data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        position += 12 + length
