"""Integrity: whether a file is the picture that was asked for, read from the file itself."""

from app.errors import AtelierError
from app.png import read_png
from app.types import Measure


def integrity(data: bytes, *, width: int, height: int) -> dict[Measure, float]:
    """DECODES and SIZE_ERROR of a file's bytes.

    Bad bytes are a score, never an error: they decode to 0 and miss the whole asked size.
    """
    try:
        found_height, found_width = read_png(data).shape[:2]
    except AtelierError:
        return {Measure.DECODES: 0.0, Measure.SIZE_ERROR: float(width + height)}
    size_error = abs(found_width - width) + abs(found_height - height)
    return {Measure.DECODES: 1.0, Measure.SIZE_ERROR: float(size_error)}
