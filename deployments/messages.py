"""The messages between a router and a replica: jobs, the events of a render, and states."""

from collections.abc import AsyncGenerator
from typing import Annotated, Literal, Protocol, TypeAlias

from pydantic import Field

from app.api.responses import ServedImage
from app.types import Digest, GenerationRequest, ModelVersion, Value


class RenderJob(Value):
    """The images of one call: all are rendered or none is."""

    requests: Annotated[tuple[GenerationRequest, ...], Field(min_length=1)]
    preview_every: Annotated[int, Field(ge=0)] = 0
    """A preview after every so many steps; 0 asks for none."""
    files: dict[Digest, bytes] = Field(default_factory=dict)
    """The images or latents that the requests name, by digest."""
    deadline_ms: Annotated[int, Field(ge=1)] | None = None
    """Counted from when a replica accepts the job; what is not done by then is dropped."""
    share: Annotated[float, Field(gt=0)] = 1.0
    """The weight of the requests' team while requests of other teams wait too."""
    call: str = ""
    """The call's id, for the log; it never changes what is rendered."""
    bulk: bool = False
    """Whether nobody waits for it: it has a capacity of its own and uses rows that are free."""
    version: str | None = None
    """The one version that may render it, as draft/7; None: whichever the replica has."""


class Started(Value):
    """Comes before the first event of a replica's images: the version that renders them."""

    model: ModelVersion


class PartialImage(Value):
    """A preview of one image as a PNG at full size; images are counted from 0."""

    index: int
    step: int
    png: bytes


class ImageDone(Value):
    """One finished image, counted from 0."""

    index: int
    image: ServedImage
    stages: dict[str, float] = Field(default_factory=dict)
    """Seconds in the replica: queue (all waiting), engine, encode."""


class Refused(Value):
    """Why no more events come: no capacity, no time left, a faulty request, or our own failure."""

    reason: Literal["capacity", "queue", "invalid", "lost", "late", "moved", "failed"]
    message: str


RenderEvent: TypeAlias = Started | PartialImage | ImageDone | Refused


class RejectedVersion(Value):
    """A version that the alias points at and that is not used here, and why."""

    model: str
    reason: str
    """A fixed sentence; the details are in the log."""


class ReplicaState(Value):
    """What one replica has in flight and has done since it started."""

    model: ModelVersion
    """The version that renders new jobs."""
    as_of: int = 0
    """The last move of the alias that was followed or refused; 0: none, or there is no alias."""
    refused: RejectedVersion | None = None
    in_flight: int = 0
    bulk_in_flight: int = 0
    """Those of them that are bulk."""
    forward_passes: int = 0
    row_steps: int = 0
    exact_rows: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    """By size (64x64): the row counts of a step that are proven to give the same bits here."""
    asleep: bool = False
    """No replica runs: the next call waits until one does."""


class Renderer(Protocol):
    """Anything that renders jobs: a replica, or all replicas of a deployment."""

    def render(self, job: RenderJob) -> AsyncGenerator[RenderEvent]:
        """Yields events as they arrive; the last is the last image or a `Refused`.

        Closing it early frees what the job holds. Safe to repeat: the same requests give the same
        bytes.
        """

    async def state(self) -> ReplicaState:
        """Returns what is in flight; raises the error that keeps it from answering."""
