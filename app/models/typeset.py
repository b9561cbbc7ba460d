"""Typesetting: a picture in its place and text in its own, laid out before anything is painted."""

from collections.abc import Sequence

import numpy as np

from app.engine.pipeline import Pipeline, Pixels
from app.models.extended import Extended
from app.models.text.fonts import Fonts
from app.models.typography import check_layers, set_text
from app.text_layer import MARGIN, TextLayer, boxed
from app.types import GenerationRequest, Rect

CROWDED = 3
"""When boxes leave less than this part of the shorter side, the picture stands under the text."""


class Typeset(Extended):
    """The base paints a square picture; it is placed clear of the text, and the text is set."""

    def __init__(self, base: Pipeline, fonts: Fonts) -> None:
        super().__init__(base)
        self._fonts = fonts

    def inner(self, request: GenerationRequest) -> GenerationRequest:
        """The picture alone, at the size of its place; raises InvalidRequest for faulty layers."""
        check_layers(_boxed(request), self._fonts, request.width, request.height)
        side = plate_of(request).width
        return request.replace(width=side, height=side, text_layers=())

    def beyond(self, pixels: Pixels, request: GenerationRequest) -> Pixels:
        """The canvas: clear but for the picture and the text."""
        canvas = np.zeros((request.height, request.width, 4), np.uint8)
        plate = plate_of(request)
        canvas[plate.y : plate.y + plate.height, plate.x : plate.x + plate.width] = pixels
        return set_text(canvas, _boxed(request), self._fonts)[0]


def plate_of(request: GenerationRequest) -> Rect:
    """The square in which the picture stands: the largest that the text leaves free."""
    canvas = Rect(x=0, y=0, width=request.width, height=request.height)
    boxes = [layer.box for layer in _boxed(request) if layer.box]
    free = max(_around(boxes, canvas), key=_side) if boxes else canvas
    if _side(free) * CROWDED < _side(canvas):
        free = canvas
    side = max(1, _side(free) - 2 * (_side(free) // MARGIN))
    return Rect(
        x=free.x + (free.width - side) // 2,
        y=free.y + (free.height - side) // 2,
        width=side,
        height=side,
    )


def _boxed(request: GenerationRequest) -> tuple[TextLayer, ...]:
    return boxed(request.text_layers, request.width, request.height)


def _around(boxes: Sequence[Rect], canvas: Rect) -> list[Rect]:
    """What lies wholly above, below, left or right of all the boxes."""
    left, top = min(box.x for box in boxes), min(box.y for box in boxes)
    right = max(box.x + box.width for box in boxes)
    bottom = max(box.y + box.height for box in boxes)
    width, height = canvas.width, canvas.height
    return [
        Rect(x=0, y=0, width=width, height=top),
        Rect(x=0, y=min(bottom, height), width=width, height=max(0, height - bottom)),
        Rect(x=0, y=0, width=left, height=height),
        Rect(x=min(right, width), y=0, width=max(0, width - right), height=height),
    ]


def _side(rect: Rect) -> int:
    return min(rect.width, rect.height)
