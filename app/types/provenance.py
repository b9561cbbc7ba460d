"""The origin of an image: settings, machine, libraries, request."""

from typing import Annotated

from pydantic import Field

from app.types.base import Pixels, Value
from app.types.fields import Digest
from app.types.request import GenerationRequest


class NoiseSchedule(Value):
    """The scheduler and the sigmas that one request ran through."""

    scheduler: str
    sigmas_digest: Digest
    steps: int


class EngineSettings(Value):
    """How the engine ran: what the pixels may depend on besides request and weights."""

    mode: str
    row_buckets: tuple[int, ...]
    exact_rows: tuple[int, ...] = ()
    """The row counts proven to give the same bits on that machine; empty if no proof was needed."""
    rounding: str
    dtype: str
    device: str
    attention: str
    threads: int


class Environment(Value):
    """The machine and the libraries that made an image."""

    python: str
    platform: str
    processor: str
    libraries: dict[str, str]
    blas_mode: str = ""
    """MKL's mode of numerical reproducibility (MKL_CBWR); empty if unset."""
    service: str = ""
    """Host and port of the service whose engine made it; empty if the worker's own engine did."""


class Provenance(Value):
    """The origin of an image: enough to make it again. No field has a default."""

    request: GenerationRequest
    request_id: Digest
    prompt_digest: Digest
    prompt_embedding_digest: Digest | None
    noise_schedule: NoiseSchedule | None
    model: str
    weights_digest: Digest
    backend: str
    pipeline_version: str
    engine: EngineSettings | None
    environment: Environment
    finishing: tuple[str, ...]
    attempt: Annotated[int, Field(ge=1)]
    parent: Digest | None


class GeneratedImage(Value):
    """One image as the backend made it, stored under its digest."""

    key: Digest
    request_id: Digest
    digest: Digest
    width: Pixels
    height: Pixels
    seconds: Annotated[float, Field(ge=0)]
    cost_usd: Annotated[float, Field(ge=0)]
    provenance: Provenance
    latents: Digest | None = None
    """The digest of its final latents, kept where another model may continue from them."""
