"""Typesetting pipeline: text over an image or beside it, laid out before anything is rendered."""

from collections.abc import Sequence

import numpy as np
import torch

from app.digest import digest
from app.engine.pipeline import Pipeline, Pixels, Start
from app.engine.state import DenoiseState
from app.errors import InvalidRequest
from app.image.resize import cover
from app.models.chained import ChainedPipeline
from app.models.text.fonts import Fonts
from app.models.typography import check_layers, typeset
from app.types import GenerationRequest, NoiseSchedule, Rect, Size
from app.types.text_layer import MARGIN, TextLayer, with_boxes

NO_ROOM = 3
"""If boxes leave less than this part of the shorter side, the image goes under the text."""
_UNPAINTED = NoiseSchedule(scheduler="none", sigmas_digest=digest([]), steps=0)


class TypesetPipeline(ChainedPipeline):
    """Renders a square image with the base, places it clear of the text, and sets the text.

    At strength 0 nothing is rendered: `init_image` itself fills the canvas, and the text is set
    over it. Such a request has no steps, and no part of the model reads the image.
    """

    def __init__(self, base: Pipeline, fonts: Fonts) -> None:
        super().__init__(base)
        self._fonts = fonts

    def base_request(self, request: GenerationRequest) -> GenerationRequest:
        """Returns the request for the image alone, at the size of its square.

        Raises InvalidRequest for faulty layers.
        """
        self._check_layers(request)
        side = plate_of(request).width
        return request.replace(width=side, height=side, text_layers=())

    def begin(
        self, request: GenerationRequest, *, init: Start | None = None, mask: Pixels | None = None
    ) -> DenoiseState:
        """Returns the base's initial state, or at strength 0 a state that holds the image's pixels.

        Raises InvalidRequest for faulty layers or images, and OutOfBounds as the base does.
        """
        if request.strength > 0:
            return super().begin(request, init=init, mask=mask)
        self._check_layers(request)
        return DenoiseState(
            request=request,
            latents=_latents(_background(request, init, mask)),
            timesteps=torch.empty(0),
            sigmas=torch.zeros(1),
            prompt=self.encode(request.prompt),
            negative=None,
            schedule=_UNPAINTED,
        )

    def decode(self, latents: torch.Tensor, request: GenerationRequest) -> Pixels:
        """Returns the rendered image with its text; at strength 0 the text over the given image."""
        if request.strength > 0:
            return super().decode(latents, request)
        return typeset(latents.permute(1, 2, 0).numpy(), _boxed(request), self._fonts)[0]

    def finish(self, pixels: Pixels, request: GenerationRequest) -> Pixels:
        """Returns the canvas: transparent except for the image and the text."""
        canvas = np.zeros((request.height, request.width, 4), np.uint8)
        plate = plate_of(request)
        canvas[plate.y : plate.y + plate.height, plate.x : plate.x + plate.width] = pixels
        return typeset(canvas, _boxed(request), self._fonts)[0]

    def _check_layers(self, request: GenerationRequest) -> None:
        check_layers(_boxed(request), self._fonts, request.width, request.height)


def _background(request: GenerationRequest, init: Start | None, mask: Pixels | None) -> Pixels:
    """Returns the image at the canvas's size."""
    if not isinstance(init, np.ndarray) or mask is not None or not request.text_layers:
        raise InvalidRequest(
            "strength 0 sets text over an unchanged image; give a PNG as init_image, text_layers "
            "and no mask_image, or raise strength"
        )
    return cover(init, Size(width=request.width, height=request.height))


def _latents(pixels: Pixels) -> torch.Tensor:
    """Returns pixels [height, width, 4] in the order of latents, still as bytes."""
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def plate_of(request: GenerationRequest) -> Rect:
    """Returns the square of the image: the largest that the text leaves free."""
    canvas = Rect(x=0, y=0, width=request.width, height=request.height)
    boxes = [layer.box for layer in _boxed(request) if layer.box]
    free = max(_around(boxes, canvas), key=_side) if boxes else canvas
    if _side(free) * NO_ROOM < _side(canvas):
        free = canvas
    side = max(1, _side(free) - 2 * (_side(free) // MARGIN))
    return Rect(
        x=free.x + (free.width - side) // 2,
        y=free.y + (free.height - side) // 2,
        width=side,
        height=side,
    )


def _boxed(request: GenerationRequest) -> tuple[TextLayer, ...]:
    return with_boxes(request.text_layers, request.width, request.height)


def _around(boxes: Sequence[Rect], canvas: Rect) -> list[Rect]:
    """Returns the areas wholly above, below, left and right of all the boxes."""
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
