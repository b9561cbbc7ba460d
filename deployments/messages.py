"""What a router asks of a replica, and the words that come back one after the other."""

from collections.abc import AsyncGenerator
from typing import Annotated, Literal, Protocol, TypeAlias

from pydantic import Field

from app.api.responses import ServedImage
from app.types import Digest, GenerationRequest, ModelVersion, Value


class RenderJob(Value):
    """The images of one call: all are painted or none is."""

    requests: Annotated[tuple[GenerationRequest, ...], Field(min_length=1)]
    preview_every: Annotated[int, Field(ge=0)] = 0
    """A rough picture after every so many steps; 0 asks for none."""
    files: dict[Digest, bytes] = Field(default_factory=dict)
    """The pictures or latents that the requests name, by digest."""
    deadline_ms: Annotated[int, Field(ge=1)] | None = None
    """From when a replica takes it; what is not done by then is not painted on."""
    share: Annotated[float, Field(gt=0)] = 1.0
    """The weight of the requests' team where others' requests wait too."""
    call: str = ""
    """The call's id, for the log; it never enters what is made."""
    bulk: bool = False
    """Whether nobody waits for it: it has room of its own, and rows that people leave."""
    version: str | None = None
    """The one version that may paint it, as draft/7; None: whichever the replica has."""


class Started(Value):
    """Before the words of a replica's pictures: the version that paints them."""

    model: ModelVersion


class PartialImage(Value):
    """A rough PNG of one image, counted from 0, at full size."""

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
    """Why nothing more will come: no room, no time, the request's own fault, or ours."""

    reason: Literal["capacity", "queue", "invalid", "lost", "late", "moved", "failed"]
    message: str


RenderEvent: TypeAlias = Started | PartialImage | ImageDone | Refused


class RejectedVersion(Value):
    """A version that the alias points at and that does not paint here, and why."""

    model: str
    reason: str
    """A sentence of ours; what was found stands in the log."""


class ReplicaState(Value):
    """What one replica has under way and has done since it started."""

    model: ModelVersion
    """The version that paints what comes."""
    as_of: int = 0
    """The last move of the alias that was followed or refused; 0: none, or there is no alias."""
    refused: RejectedVersion | None = None
    in_flight: int = 0
    bulk_in_flight: int = 0
    """Of them, those that nobody waits for."""
    forward_passes: int = 0
    row_steps: int = 0
    exact_rows: dict[str, tuple[int, ...]] = Field(default_factory=dict)
    """By size (64x64): the row counts of a step that are proven to give the same bits here."""
    asleep: bool = False
    """No replica stands: the next call waits until one does."""


class Renderer(Protocol):
    """Whatever paints commissions: a replica, or all replicas of a deployment."""

    def render(self, job: RenderJob) -> AsyncGenerator[RenderEvent]:
        """Words as they come; the last is the last picture or a `Refused`.

        Closing it early gives back what the commission holds. Safe to repeat: the same
        requests give the same bytes.
        """

    async def state(self) -> ReplicaState:
        """What it has under way; raises what keeps it from answering."""
