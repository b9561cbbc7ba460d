"""A pipeline that continues from another one: same steps, other sizes or pixels."""

from abc import ABC, abstractmethod

import torch

from app.engine.pipeline import Pipeline, Pixels, Rows, Start
from app.engine.state import DenoiseState, PromptEmbedding
from app.image.resize import resize
from app.types import EngineSettings, GenerationRequest, Size


class ChainedPipeline(ABC):
    """Runs the steps of `base` on a derived request, then processes its pixels.

    A starting image is first resized to the derived request's size.
    """

    def __init__(self, base: Pipeline) -> None:
        self.base = base

    @abstractmethod
    def base_request(self, request: GenerationRequest) -> GenerationRequest:
        """Returns the request for the base; raises InvalidRequest before any step."""

    @abstractmethod
    def finish(self, pixels: Pixels, request: GenerationRequest) -> Pixels:
        """Returns the requested image, made from the base's image [height, width, 4]."""

    @property
    def settings(self) -> EngineSettings:
        """Returns the base's settings."""
        return self.base.settings

    def encode(self, text: str) -> PromptEmbedding:
        """Encodes the text with the base."""
        return self.base.encode(text)

    def begin(
        self, request: GenerationRequest, *, init: Start | None = None, mask: Pixels | None = None
    ) -> DenoiseState:
        """Returns the base's initial state for the derived request, with the original request."""
        inner = self.base_request(request)
        size = Size(width=inner.width, height=inner.height)
        state = self.base.begin(
            inner,
            init=init if init is None or isinstance(init, torch.Tensor) else resize(init, size),
            mask=None if mask is None else resize(mask, size),
        )
        state.request = request
        return state

    def predict(self, rows: Rows) -> torch.Tensor:
        """Runs one forward pass of the base."""
        return self.base.predict(rows)

    def wait_for_previous_step(self) -> None:
        """Waits as the base does."""
        self.base.wait_for_previous_step()

    def preview(self, latents: torch.Tensor) -> Pixels:
        """Returns the base's preview."""
        return self.base.preview(latents)

    def decode(self, latents: torch.Tensor, request: GenerationRequest) -> Pixels:
        """Returns the finished image; raises what the base raises, and InvalidRequest."""
        return self.finish(self.base.decode(latents, self.base_request(request)), request)
