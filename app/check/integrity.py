"""Integrity: whether a file is a valid image of the requested size, read from the file itself."""

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from app.errors import BadImage
from app.image.png import SIGNATURE, read_png
from app.types import Measure

_SRGB_GAMMA = 45_455
_SRGB_PRIMARIES = (31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000)
"""The values of gAMA and cHRM that mean sRGB (W3C PNG, third edition, 11.3.2)."""


def decode_or_none(data: bytes) -> NDArray[np.uint8] | None:
    """Returns the pixels [height, width, 4] of a file; None unless it is a whole sRGB RGBA PNG."""
    try:
        pixels = read_png(data)
    except BadImage:
        return None
    return pixels if is_srgb(data) else None


def is_srgb(data: bytes) -> bool:
    """Returns whether a whole PNG is sRGB: it declares sRGB, or declares no colour space.

    An embedded profile is refused whatever it contains: it would have to be applied.
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
    """Returns DECODES and SIZE_ERROR for the result of `decode_or_none`.

    Invalid bytes give a score, never an error: DECODES is 0 and SIZE_ERROR is width + height.
    """
    if pixels is None:
        return {Measure.DECODES: 0.0, Measure.SIZE_ERROR: float(width + height)}
    found_height, found_width = pixels.shape[:2]
    size_error = abs(found_width - width) + abs(found_height - height)
    return {Measure.DECODES: 1.0, Measure.SIZE_ERROR: float(size_error)}


def _before_pixels(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Yields the chunks before the pixels; no other chunk declares colour."""
    position = len(SIGNATURE)
    while data[position + 4 : position + 8] not in (b"IDAT", b"IEND", b""):
        length = int.from_bytes(data[position : position + 4], "big")
        yield data[position + 4 : position + 8], data[position + 8 : position + 8 + length]
        position += 12 + length
