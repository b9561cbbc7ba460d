"""The messages between router and replica: jobs, their events, and the state of a replica."""

from collections.abc import AsyncGenerator
from typing import Annotated, Literal, Protocol, TypeAlias

from pydantic import Field

from app.api.responses import ServedImage
from app.types import Digest, GenerationRequest, ModelVersion, Value


class RenderJob(Value):
    """The images of one call; a replica accepts all of them or none."""

    requests: Annotated[tuple[GenerationRequest, ...], Field(min_length=1)]
    preview_every: Annotated[int, Field(ge=0)] = 0
    """Steps from one preview to the next; 0 for no previews."""
    files: dict[Digest, bytes] = Field(default_factory=dict)
    """The input images or latents of the requests, by digest."""
    deadline_ms: Annotated[int, Field(ge=1)] | None = None
    """Counted from when a replica accepts the job; images not finished by then are dropped."""
    share: Annotated[float, Field(gt=0)] = 1.0
    """The weight of the requests' team while other teams wait too."""
    call: str = ""
    """The id of the call for the log; it never changes an image."""
    bulk: bool = False
    """Whether it is of class bulk, which has its own capacity and takes the rows that are left."""
    version: str | None = None
    """The only version that may render it, such as draft/7; None: any version."""


class Started(Value):
    """The version that renders the job; it comes before the job's other events."""

    model: ModelVersion


class PartialImage(Value):
    """A preview of one image as a PNG at full size; `index` counts the job's images from 0."""

    index: int
    step: int
    png: bytes


class ImageDone(Value):
    """One finished image; `index` counts the job's images from 0."""

    index: int
    image: ServedImage
    stages: dict[str, float] = Field(default_factory=dict)
    """Seconds on the replica: queue (all waiting), engine, encode."""


class Refused(Value):
    """The end of a job that was refused or failed, and the reason."""

    reason: Literal["capacity", "queue", "invalid", "lost", "late", "moved", "failed"]
    message: str


RenderEvent: TypeAlias = Started | PartialImage | ImageDone | Refused


class RejectedVersion(Value):
    """A version that the alias points at but the replica does not use."""

    model: str
    reason: str
    """A fixed text without details, which are in the log."""


class ReplicaState(Value):
    """The state of one replica; the counters start with it."""

    model: ModelVersion
    """The version that renders new jobs."""
    as_of: int = 0
    """Number of the last move of the alias that was followed or refused; 0: none, or no alias."""
    refused: RejectedVersion | None = None
    in_flight: int = 0
    bulk_in_flight: int = 0
    """The bulk images among those in flight."""
    forward_passes: int = 0
    row_steps: int = 0
    exact_rows: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    """By size (64x64): the row counts of a step that are proven to give the same bits."""
    asleep: bool = False
    """True if no replica runs: the next call waits until one has started."""


class Renderer(Protocol):
    """Renders jobs: one replica, or all replicas of a deployment."""

    def render(self, job: RenderJob) -> AsyncGenerator[RenderEvent]:
        """Yields events as they arrive; the last one is the last image or a `Refused`.

        Closing it early cancels the job. Safe to repeat: the same requests give the same bytes.
        """

    async def state(self) -> ReplicaState:
        """Returns the state; raises CallRefused when no replica answers."""
