"""Polish: a model's small pictures enlarged by a network that learned how its drawings look."""

from typing import Protocol

from app.engine.pipeline import Pipeline, Pixels
from app.models.extended import Extended
from app.resize import resize
from app.types import GenerationRequest, Size


class Enlarger(Protocol):
    """Whatever makes a picture larger by a fixed factor."""

    def enlarge(self, pixels: Pixels) -> Pixels:
        """RGBA [height, width, 4] -> RGBA, larger on both sides."""


class Polished(Extended):
    """Steps at the base's own size; its picture is enlarged until it covers what was asked for."""

    def __init__(self, base: Pipeline, enlarger: Enlarger, frame: Size) -> None:
        super().__init__(base)
        self._enlarger = enlarger
        self._frame = frame

    def inner(self, request: GenerationRequest) -> GenerationRequest:
        """The same at the base's size."""
        return request.replace(width=self._frame.width, height=self._frame.height)

    def beyond(self, pixels: Pixels, request: GenerationRequest) -> Pixels:
        """Enlarged step by step, then shrunk to the exact size."""
        while pixels.shape[0] < request.height or pixels.shape[1] < request.width:
            pixels = self._enlarger.enlarge(pixels)
        return resize(pixels, Size(width=request.width, height=request.height))
