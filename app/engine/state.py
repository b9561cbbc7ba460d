"""One request in flight inside the engine: its state between two steps."""

from dataclasses import dataclass, field
from enum import IntEnum

import torch

from app.types import GenerationRequest, NoiseSchedule


class ServiceClass(IntEnum):
    """The urgency class of a request; the smaller goes first."""

    INTERACTIVE = 0
    BULK = 1


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a request is served; never part of what is made.

    `deadline` is in seconds on the engine's clock. `preview_every` asks for a preview after every
    so many steps; 0 asks for none. `keep_latents` asks for the image's final latents too, for a
    model that continues from them. Where several teams wait, each is given rows in proportion to
    its `share`; within a team requests of higher `priority` go first.
    """

    service: ServiceClass = ServiceClass.BULK
    deadline: float | None = None
    preview_every: int = 0
    keep_latents: bool = False
    team: str = ""
    share: float = 1.0
    priority: int = 5


@dataclass(frozen=True, slots=True)
class PromptEmbedding:
    """A text as the transformer takes it: tokens [1, length, width] and pooled [1, width]."""

    tokens: torch.Tensor
    pooled: torch.Tensor
    digest: str

    @property
    def bytes(self) -> int:
        """Returns the memory that both tensors take, in bytes."""
        return self.tokens.nbytes + self.pooled.nbytes


@dataclass(frozen=True, slots=True)
class Repaint:
    """What an inpainted request keeps: outside the mask the image stays as it was.

    `latents` and `noise` are [channels, height, width]; `mask` [1, height, width] is 1 where the
    image is rendered anew.
    """

    latents: torch.Tensor
    noise: torch.Tensor
    mask: torch.Tensor


@dataclass(slots=True)
class DenoiseState:
    """The latents of one request on their way from noise to image.

    `latents` are [channels, height, width], in fp32 except with rounding "stock"; `sigmas` has one
    entry more than `timesteps`. `clean` is the multistep sampler's estimate of the final latents at
    the last step; `buckets` are the row counts of its forward passes.
    """

    request: GenerationRequest
    latents: torch.Tensor
    timesteps: torch.Tensor
    sigmas: torch.Tensor
    prompt: PromptEmbedding
    negative: PromptEmbedding | None
    schedule: NoiseSchedule
    repaint: Repaint | None = None
    clean: torch.Tensor | None = None
    ticket: int = 0
    joined: float = 0.0
    delivery: Delivery = Delivery()
    step: int = 0
    seconds: float = 0.0
    buckets: set[int] = field(default_factory=set)

    @property
    def rows(self) -> int:
        """Returns the rows of the batch it takes: two with classifier-free guidance, else one."""
        return 1 if self.negative is None else 2

    @property
    def steps_left(self) -> int:
        """Returns the number of forward passes still to come."""
        return len(self.timesteps) - self.step

    @property
    def finished(self) -> bool:
        """Returns whether the last step is done."""
        return self.steps_left == 0

    @property
    def preview_due(self) -> bool:
        """Returns whether a preview follows the next step; never after the last one."""
        every = self.delivery.preview_every
        return every > 0 and self.steps_left > 1 and (self.step + 1) % every == 0

    @property
    def family(self) -> tuple[int, ...]:
        """Returns what rows must share to be stacked: the latent shape and the prompt's length."""
        return (*self.latents.shape, self.prompt.tokens.shape[1])

    @property
    def embeddings(self) -> tuple[PromptEmbedding, ...]:
        """Returns one embedding per row, the unconditional before the conditional."""
        return (self.prompt,) if self.negative is None else (self.negative, self.prompt)
