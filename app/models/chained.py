"""A pipeline that goes on where another one ends: other sizes, other pixels, the same steps."""

from abc import ABC, abstractmethod

import torch

from app.engine.pipeline import Pipeline, Pixels, Rows, Start
from app.engine.state import DenoiseState, PromptEmbedding
from app.image.resize import resize
from app.types import EngineSettings, GenerationRequest, Size


class ChainedPipeline(ABC):
    """Steps as `base` does on the request that `inner` gives, and makes its pixels into others.

    A picture to start from is brought to the inner request's size first.
    """

    def __init__(self, base: Pipeline) -> None:
        self.base = base

    @abstractmethod
    def base_request(self, request: GenerationRequest) -> GenerationRequest:
        """What the base is asked for; raises InvalidRequest before any step."""

    @abstractmethod
    def finish(self, pixels: Pixels, request: GenerationRequest) -> Pixels:
        """The base's picture [height, width, 4] made into the one that was asked for."""

    @property
    def settings(self) -> EngineSettings:
        """The base's."""
        return self.base.settings

    def encode(self, text: str) -> PromptEmbedding:
        """As the base does."""
        return self.base.encode(text)

    def begin(
        self, request: GenerationRequest, *, init: Start | None = None, mask: Pixels | None = None
    ) -> DenoiseState:
        """The inner request's start, under the name of the request itself."""
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
        """As the base does."""
        return self.base.predict(rows)

    def wait_for_previous_step(self) -> None:
        """As the base does."""
        self.base.wait_for_previous_step()

    def preview(self, latents: torch.Tensor) -> Pixels:
        """The base's."""
        return self.base.preview(latents)

    def decode(self, latents: torch.Tensor, request: GenerationRequest) -> Pixels:
        """The base's picture, gone on with; raises what the base raises, and InvalidRequest."""
        return self.finish(self.base.decode(latents, self.base_request(request)), request)
