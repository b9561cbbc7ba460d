"""Text contrast: how far text and background differ where text was set, without reading it."""

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from app.check.planes import Pixels
from app.types.text_layer import TextLayer, with_boxes

_GREY = 0.5
"""The background of a transparent image, 0 to 1."""
_FLARE = 0.05
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


def text_contrast(pixels: Pixels, layers: Sequence[TextLayer]) -> float | None:
    """Returns the lowest WCAG 2 contrast ratio of the layers' boxes, 1 to 21; None without layers.

    The box's luminances are split into a dark and a light class (Otsu 1979), and their means are
    compared. A busy background counts as text: a low ratio always means faint text, a high one does
    not prove the opposite.
    """
    height, width = pixels.shape[:2]
    contrasts = [_contrast(_place(pixels, layer)) for layer in with_boxes(layers, width, height)]
    return min(contrasts, default=None)


def _place(pixels: Pixels, layer: TextLayer) -> Pixels:
    box = layer.box
    assert box is not None  # `with_boxes` gave every layer one
    return pixels[box.y : box.y + box.height, box.x : box.x + box.width]


def _contrast(place: Pixels) -> float:
    alpha = place[..., 3:].astype(np.float32) / 255
    seen = place[..., :3].astype(np.float32) / 255 * alpha + _GREY * (1 - alpha)
    luminance = _linear(np.asarray(seen, np.float32)) @ _LUMINANCE
    grey = np.rint(255 * np.sqrt(luminance)).astype(np.uint8)
    light = cv2.threshold(grey, 0, 1, cv2.THRESH_BINARY | cv2.THRESH_OTSU)[1]
    lighter = light.astype(np.bool_)
    if lighter.all() or not lighter.any():
        return 1.0
    high, low = float(luminance[lighter].mean()), float(luminance[~lighter].mean())
    return (high + _FLARE) / (low + _FLARE)


def _linear(colour: NDArray[np.float32]) -> NDArray[np.float32]:
    """IEC 61966-2-1, sRGB."""
    return np.where(colour <= 0.04045, colour / 12.92, ((colour + 0.055) / 1.055) ** 2.4)
