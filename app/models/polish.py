"""Polish: a model's small pictures enlarged by a network that learned how its drawings look."""

from typing import Protocol

from app.engine.pipeline import Pipeline, Pixels
from app.image.resize import resize
from app.models.chained import ChainedPipeline
from app.types import GenerationRequest, Size

QUICK_SIZE = Size(width=2048, height=2048)
"""Made from a quarter of itself: a fifth of the work of shrinking what is twice as large."""


class ImageUpscaler(Protocol):
    """Whatever makes a picture larger by a fixed factor."""

    def upscale(self, pixels: Pixels) -> Pixels:
        """RGBA [height, width, 4] -> RGBA, larger on both sides."""


class PolishedPipeline(ChainedPipeline):
    """Steps at the base's own size; its picture is enlarged until it covers what was asked for."""

    def __init__(self, base: Pipeline, enlarger: ImageUpscaler, frame: Size) -> None:
        super().__init__(base)
        self._enlarger = enlarger
        self._frame = frame

    def base_request(self, request: GenerationRequest) -> GenerationRequest:
        """The same at the base's size."""
        return request.replace(width=self._frame.width, height=self._frame.height)

    def finish(self, pixels: Pixels, request: GenerationRequest) -> Pixels:
        """Enlarged to exactly the size that was asked for."""
        wanted = Size(width=request.width, height=request.height)
        return upscale_to(pixels, wanted, self._enlarger)


def upscale_to(pixels: Pixels, wanted: Size, enlarger: ImageUpscaler) -> Pixels:
    """The picture enlarged step by step until it covers the size, then shrunk to it.

    Of the short way's size a quarter is made so, and enlarged once more.
    """
    if wanted != QUICK_SIZE:
        return _upscale_until(pixels, wanted, enlarger)
    quarter = Size(width=wanted.width // 4, height=wanted.height // 4)
    return resize(enlarger.upscale(_upscale_until(pixels, quarter, enlarger)), wanted)


def _upscale_until(pixels: Pixels, wanted: Size, enlarger: ImageUpscaler) -> Pixels:
    while pixels.shape[0] < wanted.height or pixels.shape[1] < wanted.width:
        pixels = enlarger.upscale(pixels)
    return resize(pixels, wanted)
