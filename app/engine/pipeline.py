"""The protocol that a model family implements so that the engine can drive it step by step."""

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
    """One batch for the transformer; rows need to agree in nothing but their shape.

    latents [rows, channels, height, width], timesteps [rows] on the CPU, tokens [rows, length,
    width], pooled [rows, width].
    """

    latents: torch.Tensor
    timesteps: torch.Tensor
    tokens: torch.Tensor
    pooled: torch.Tensor


def stack(states: Sequence[DenoiseState], bucket: int) -> Rows:
    """Stacks the rows of all requests and pads to the bucket with rows that are not used."""
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

    `decode` is called by another thread than the one that owns the engine; all others by the owner.
    """

    @property
    def settings(self) -> EngineSettings:
        """Returns how this pipeline computes; the engine fills in mode and row buckets."""

    def encode(self, text: str) -> PromptEmbedding:
        """Encodes one text by itself, so that batching cannot change it."""

    def begin(
        self, request: GenerationRequest, *, init: Start | None = None, mask: Pixels | None = None
    ) -> DenoiseState:
        """Returns the initial state: embeddings, schedule, and noise from the request's seed alone.

        `init` is an image or clean latents to start from; `mask` is RGBA [height, width, 4], white
        where to render anew. A state without steps goes straight to `decode`.
        """

    def predict(self, rows: Rows) -> torch.Tensor:
        """Returns the predicted velocity [rows, channels, height, width] of one forward pass.

        Raises OutOfMemory when the rows do not fit; then nothing has changed.
        """

    def wait_for_previous_step(self) -> None:
        """Waits until at most one step is running on the device, so that steps can be timed."""

    def preview(self, latents: torch.Tensor) -> Pixels:
        """Returns a rough image of clean latents [channels, height, width], a pixel per latent."""

    def decode(self, latents: torch.Tensor, request: GenerationRequest) -> Pixels:
        """Decodes latents [channels, height, width] to RGBA pixels of the request's size.

        Raises OutOfMemory, or NotFinite when the latents are not finite.
        """
