"""The engine's results for a request: a preview, the image, or the reason why there is none."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.errors import AtelierError
from app.types import EngineSettings, Environment, GenerationRequest, NoiseSchedule


@dataclass(frozen=True, slots=True)
class Preview:
    """The expected image after step `step` of `steps`.

    `pixels` are uint8 RGBA at the size of the latents; the viewer scales them up.
    """

    request: GenerationRequest
    step: int
    steps: int
    pixels: NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class RenderedImage:
    """One image: uint8 RGBA pixels [height, width, 4] and what provenance needs to know.

    `latents` [channels, height, width] are set only for requests that asked to keep them.
    """

    request: GenerationRequest
    pixels: NDArray[np.uint8]
    seconds: float
    prompt_embedding_digest: str | None = None
    noise_schedule: NoiseSchedule | None = None
    engine: EngineSettings | None = None
    latents: NDArray[np.float32] | None = None
    environment: Environment | None = None
    """The machine that made it; None: the machine of this process."""


@dataclass(frozen=True, slots=True)
class FailedRequest:
    """One request that failed, and why; other requests in the batch are not affected."""

    request: GenerationRequest
    error: AtelierError


@dataclass(frozen=True, slots=True)
class EngineEvent:
    """One result for the request that `submit` gave this ticket."""

    ticket: int
    result: Preview | RenderedImage | FailedRequest
