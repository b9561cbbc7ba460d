"""Polish: enlarges a model's small images with a network trained on that model's images."""

from typing import Protocol

from app.engine.pipeline import Pipeline, Pixels
from app.image.resize import resize
from app.models.chained import ChainedPipeline
from app.types import GenerationRequest, Size

QUICK_SIZE = Size(width=2048, height=2048)
"""Upscaled from a quarter of its size: a fifth of the work of upscaling further and shrinking."""


class ImageUpscaler(Protocol):
    """Enlarges an image by a fixed factor."""

    def upscale(self, pixels: Pixels) -> Pixels:
        """Returns RGBA pixels larger on both sides than the given RGBA [height, width, 4]."""


class PolishedPipeline(ChainedPipeline):
    """Runs the steps at the base's own size, then enlarges its image to the requested size."""

    def __init__(self, base: Pipeline, enlarger: ImageUpscaler, frame: Size) -> None:
        super().__init__(base)
        self._enlarger = enlarger
        self._frame = frame

    def base_request(self, request: GenerationRequest) -> GenerationRequest:
        """Returns the same request at the base's size."""
        return request.replace(width=self._frame.width, height=self._frame.height)

    def finish(self, pixels: Pixels, request: GenerationRequest) -> Pixels:
        """Enlarges the image to exactly the requested size."""
        wanted = Size(width=request.width, height=request.height)
        return upscale_to(pixels, wanted, self._enlarger)


def upscale_to(pixels: Pixels, wanted: Size, enlarger: ImageUpscaler) -> Pixels:
    """Returns the image enlarged until it covers the size, then shrunk to it.

    For `QUICK_SIZE` a quarter of the size is made this way and enlarged once more.
    """
    if wanted != QUICK_SIZE:
        return _upscale_until(pixels, wanted, enlarger)
    quarter = Size(width=wanted.width // 4, height=wanted.height // 4)
    return resize(enlarger.upscale(_upscale_until(pixels, quarter, enlarger)), wanted)


def _upscale_until(pixels: Pixels, wanted: Size, enlarger: ImageUpscaler) -> Pixels:
    while pixels.shape[0] < wanted.height or pixels.shape[1] < wanted.width:
        pixels = enlarger.upscale(pixels)
    return resize(pixels, wanted)
