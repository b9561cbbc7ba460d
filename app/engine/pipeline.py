"""The protocol a model family implements so that the engine can drive it step by step."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from app.engine.state import DenoiseState, PromptEmbedding
from app.types import EngineSettings, GenerationRequest

Pixels = NDArray[np.uint8]
Start = Pixels | torch.Tensor
"""What a request starts from: RGBA pixels [h, w, 4], or clean latents [channels, h, w]."""


@dataclass(frozen=True, slots=True)
class Rows:
    """One batch for the transformer, row by row: nothing in it needs rows to agree but the shape.

    latents [rows, channels, height, width], timesteps [rows] on the CPU,
    tokens [rows, length, width], pooled [rows, width].
    """

    latents: torch.Tensor
    timesteps: torch.Tensor
    tokens: torch.Tensor
    pooled: torch.Tensor


def stack(states: Sequence[DenoiseState], bucket: int) -> Rows:
    """Stack every request's rows and pad to the bucket with rows that nobody reads."""
    rows = [(state, embedding) for state in states for embedding in state.embeddings]
    rows += [rows[-1]] * (bucket - len(rows))
    return Rows(
        latents=torch.stack([state.latents for state, _ in rows]),
        timesteps=torch.stack([state.timesteps[state.step] for state, _ in rows]),
        tokens=torch.cat([embedding.tokens for _, embedding in rows]),
        pooled=torch.cat([embedding.pooled for _, embedding in rows]),
    )


class Pipeline(Protocol):
    """What the engine needs of a model family; `app/models/sd3.py` is the reference.

    All but `decode` are called by the thread that owns the engine, `decode` by another one.
    """

    @property
    def settings(self) -> EngineSettings:
        """How this pipeline computes; mode and row buckets are the engine's to fill in."""

    def encode(self, text: str) -> PromptEmbedding:
        """Encode one text on its own, so that company cannot change it."""

    def begin(
        self, request: GenerationRequest, *, init: Start | None = None, mask: Pixels | None = None
    ) -> DenoiseState:
        """Encode, draw the noise from the request's seed alone and lay out its schedule.

        `init` is a picture or clean latents to start from; `mask` is RGBA [height, width, 4],
        painted anew where white. A state without steps goes straight to `decode`.
        """

    def predict(self, rows: Rows) -> torch.Tensor:
        """One forward pass: the predicted velocity [rows, channels, height, width].

        Raises OutOfMemory when so many rows do not fit; then nothing has changed.
        """

    def wait_for_previous_step(self) -> None:
        """Wait until at most one step is under way on the device, so that steps can be timed."""

    def preview(self, latents: torch.Tensor) -> Pixels:
        """A rough picture of clean latents [channels, height, width], one pixel per latent."""

    def decode(self, latents: torch.Tensor, request: GenerationRequest) -> Pixels:
        """One image: latents [channels, height, width] -> RGBA pixels of the request's size.

        Raises OutOfMemory, or NotFinite when the latents are no numbers.
        """
