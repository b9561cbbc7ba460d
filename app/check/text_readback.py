"""Text read-back: compares the requested text with what an OCR reader finds in its place."""

import unicodedata
from collections.abc import Sequence
from importlib.util import find_spec

import numpy as np
from numpy.typing import NDArray

from app.types import Value
from app.types.text_layer import TextLayer, with_boxes

MARGIN = 8
"""Extra pixels around a box for the reader: letters at the very edge are misread."""
_SCRIPTS = ("LATIN", "CJK", "HIRAGANA", "KATAKANA")
"""The scripts the reader knows, as prefixes of Unicode character names."""


class TextRead(Value):
    """One layer's text, the text read back, and the share of characters that differ."""

    wanted: str
    read: str | None = None
    """None: no reader is installed, or it does not know the script."""
    error_rate: float | None = None


def read_back(pixels: NDArray[np.uint8], layers: Sequence[TextLayer]) -> tuple[TextRead, ...]:
    """Reads each layer's text from its box in an RGBA image [height, width, 4]; takes a second."""
    height, width = pixels.shape[:2]
    return tuple(_read(pixels, layer) for layer in with_boxes(layers, width, height))


def can_read(text: str) -> bool:
    """Returns whether the reader is installed and knows every letter's script."""
    return find_spec("rapidocr") is not None and all(
        unicodedata.name(letter, "").startswith(_SCRIPTS) for letter in text if letter.isalpha()
    )


def worst_error(read: Sequence[TextRead]) -> float | None:
    """Returns the largest error rate of all layers; None if any layer could not be read."""
    rates = [reading.error_rate for reading in read if reading.error_rate is not None]
    return max(rates) if rates and len(rates) == len(read) else None


def _read(pixels: NDArray[np.uint8], layer: TextLayer) -> TextRead:
    if not can_read(layer.text):
        return TextRead(wanted=layer.text)
    from app.check.legibility import cer, read_text

    text = read_text(_place(pixels, layer))
    return TextRead(wanted=layer.text, read=text, error_rate=round(cer(layer.text, text), 4))


def _place(pixels: NDArray[np.uint8], layer: TextLayer) -> NDArray[np.uint8]:
    if layer.box is None:
        return pixels
    box = layer.box
    top, left = max(0, box.y - MARGIN), max(0, box.x - MARGIN)
    bottom, right = box.y + box.height + MARGIN, box.x + box.width + MARGIN
    return pixels[top:bottom, left:right]
