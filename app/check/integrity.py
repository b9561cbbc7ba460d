"""Integrity: whether a file is the picture that was asked for, read from the file itself."""

import numpy as np
from numpy.typing import NDArray

from app.errors import BadImage
from app.png import read_png
from app.types import Measure


def decoded(data: bytes) -> NDArray[np.uint8] | None:
    """The pixels [height, width, 4] of a file's bytes; None when it is no whole RGBA PNG."""
    try:
        return read_png(data)
    except BadImage:
        return None


def integrity(pixels: NDArray[np.uint8] | None, *, width: int, height: int) -> dict[Measure, float]:
    """DECODES and SIZE_ERROR of what `decoded` gave.

    Bad bytes are a score, never an error: they decode to 0 and miss the whole asked size.
    """
    if pixels is None:
        return {Measure.DECODES: 0.0, Measure.SIZE_ERROR: float(width + height)}
    found_height, found_width = pixels.shape[:2]
    size_error = abs(found_width - width) + abs(found_height - height)
    return {Measure.DECODES: 1.0, Measure.SIZE_ERROR: float(size_error)}
