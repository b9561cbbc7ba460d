"""The protocol a model family implements so that the engine can drive it step by step."""

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from app.engine.state import DenoiseState, PromptEmbedding
from app.types import EngineSettings, GenerationRequest


@dataclass(frozen=True, slots=True)
class Rows:
    """One batch for the transformer, row by row: nothing in it needs rows to agree but the shape.

    latents [rows, channels, height, width], timesteps [rows], tokens [rows, length, width],
    pooled [rows, width].
    """

    latents: torch.Tensor
    timesteps: torch.Tensor
    tokens: torch.Tensor
    pooled: torch.Tensor


class Pipeline(Protocol):
    """What the engine needs of a model family; `app/models/sd3.py` is the reference."""

    @property
    def settings(self) -> EngineSettings:
        """How this pipeline computes; the row bucket is the engine's to fill in."""

    def encode(self, text: str) -> PromptEmbedding:
        """Encode one text on its own, so that company cannot change it."""

    def begin(self, request: GenerationRequest) -> DenoiseState:
        """Encode, draw the noise from the request's seed alone and lay out its schedule."""

    def predict(self, rows: Rows) -> torch.Tensor:
        """One forward pass: the predicted velocity [rows, channels, height, width]."""

    def decode(self, latents: torch.Tensor) -> NDArray[np.uint8]:
        """One image: latents [channels, height, width] -> RGBA pixels [height, width, 4]."""
