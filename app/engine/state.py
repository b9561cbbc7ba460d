"""One request in flight inside the engine: what changes between two steps."""

from dataclasses import dataclass, field
from enum import IntEnum

import torch

from app.types import GenerationRequest, NoiseSchedule


class ServiceClass(IntEnum):
    """Who waits for the picture; the smaller goes first."""

    INTERACTIVE = 0
    BULK = 1


@dataclass(frozen=True, slots=True)
class Delivery:
    """How a request wishes to be served; never part of what is made.

    `deadline` is in seconds on the engine's clock. `preview_every` asks for a rough picture
    after every so many steps; 0 asks for none. `keep_latents` asks for the picture's latents too,
    for whoever goes on from them. Where several teams wait, each is given rows in proportion to
    its `share`; of one team's requests those of higher `priority` go first.
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
        """The memory both tensors take."""
        return self.tokens.nbytes + self.pooled.nbytes


@dataclass(frozen=True, slots=True)
class Repaint:
    """What an inpainted request keeps: outside the mask the picture stays as it was.

    `latents` and `noise` are [channels, height, width]; `mask` [1, height, width] is 1 where
    the picture is painted anew.
    """

    latents: torch.Tensor
    noise: torch.Tensor
    mask: torch.Tensor


@dataclass(slots=True)
class DenoiseState:
    """The latents of one request on their way from noise to image.

    `latents` are [channels, height, width], in fp32 but for the mode `stock`; `sigmas` has one
    entry more than `timesteps`. `clean` is what the multistep sampler's last step took the
    finished latents to be; `buckets` are the row counts its forward passes ran at.
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

    @property
    def preview_due(self) -> bool:
        """Whether a rough picture follows the next step; after the last one comes the picture."""
        every = self.delivery.preview_every
        return every > 0 and self.steps_left > 1 and (self.step + 1) % every == 0

    @property
    def family(self) -> tuple[int, ...]:
        """What rows must share to be stacked: the latent shape and the prompt's length."""
        return (*self.latents.shape, self.prompt.tokens.shape[1])

    @property
    def embeddings(self) -> tuple[PromptEmbedding, ...]:
        """One embedding per row, the unconditional before the conditional."""
        return (self.prompt,) if self.negative is None else (self.negative, self.prompt)
