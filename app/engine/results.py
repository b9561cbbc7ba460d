"""What the engine says of a request: a rough picture under way, the picture, or why none came."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.errors import AtelierError
from app.types import EngineSettings, Environment, GenerationRequest, NoiseSchedule


@dataclass(frozen=True, slots=True)
class Preview:
    """What the picture will be like, as far as step `step` of `steps` can tell.

    `pixels` are uint8 RGBA at the size of the latents; whoever shows them scales them up.
    """

    request: GenerationRequest
    step: int
    steps: int
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class RenderedImage:
    """One image: uint8 RGBA pixels [height, width, 4] and what provenance needs to know.

    `latents` [channels, height, width] are there for who asked to keep them.
    """

    request: GenerationRequest
    pixels: NDArray[np.uint8]
    seconds: float
    prompt_embedding_digest: str | None = None
    noise_schedule: NoiseSchedule | None = None
    engine: EngineSettings | None = None
    latents: NDArray[np.float32] | None = None
    environment: Environment | None = None
    """The machine that made it; None: this process' own."""


@dataclass(frozen=True, slots=True)
class FailedRequest:
    """One request that came to nothing, and why; its neighbours are untouched."""

    request: GenerationRequest
    error: AtelierError


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """One word from the engine on the request that `submit` gave this ticket."""

    ticket: int
    result: Preview | RenderedImage | FailedRequest
