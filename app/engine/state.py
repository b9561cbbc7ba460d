"""One request in flight inside the engine: what changes between two steps."""

from dataclasses import dataclass

import torch

from app.types import GenerationRequest, NoiseSchedule


@dataclass(frozen=True, slots=True)
class PromptEmbedding:
    """A text as the transformer takes it: tokens [1, length, width] and pooled [1, width]."""

    tokens: torch.Tensor
    pooled: torch.Tensor
    digest: str

    @property
    def bytes(self) -> int:
        """The memory both tensors take."""
        return self.tokens.nbytes + self.pooled.nbytes


@dataclass(slots=True)
class DenoiseState:
    """The latents of one request on their way from noise to image.

    `latents` are fp32 [channels, height, width]; `sigmas` has one entry more than `timesteps`.
    """

    request: GenerationRequest
    latents: torch.Tensor
    timesteps: torch.Tensor
    sigmas: torch.Tensor
    prompt: PromptEmbedding
    negative: PromptEmbedding | None
    schedule: NoiseSchedule
    step: int = 0
    seconds: float = 0.0

    @property
    def rows(self) -> int:
        """Rows of the batch this request takes: two with classifier-free guidance, else one."""
        return 1 if self.negative is None else 2

    @property
    def steps_left(self) -> int:
        """Forward passes still to come."""
        return len(self.timesteps) - self.step

    @property
    def finished(self) -> bool:
        """Whether the last step is done."""
        return self.steps_left == 0
