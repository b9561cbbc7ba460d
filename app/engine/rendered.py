"""What becomes of one request: pixels with the facts of their making, or the reason why not."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.errors import AtelierError
from app.types import EngineSettings, GenerationRequest, NoiseSchedule


@dataclass(frozen=True, slots=True)
class Rendered:
    """One image: uint8 RGBA pixels [height, width, 4] and what provenance needs to know."""

    request: GenerationRequest
    pixels: NDArray[np.uint8]
    seconds: float
    prompt_embedding_digest: str | None = None
    noise_schedule: NoiseSchedule | None = None
    engine: EngineSettings | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """One request that came to nothing, and why; its neighbours are untouched."""

    request: GenerationRequest
    error: AtelierError
