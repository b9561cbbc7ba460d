"""The typed arguments of the application: every number of `serve.yaml`; none has a default here."""

from typing import Annotated, Self, TypeAlias

from pydantic import (
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from app.api.requests import MAX_IMAGES
from app.engine.engine import Mode
from app.route.by_role import Role
from app.types import Size, Steps, Value
from app.types.schedule import ReplicaWindow

CpuShare: TypeAlias = Annotated[float, Field(gt=0, le=64)]
"""Set explicitly everywhere: Serve would reserve a whole core for each replica."""


class Replicas(Value):
    """How many replicas run, by load; the fields have the names of Serve's autoscaling options."""

    min_replicas: NonNegativeInt
    max_replicas: PositiveInt
    target_ongoing_requests: PositiveFloat
    metrics_interval_s: PositiveFloat
    look_back_period_s: PositiveFloat
    upscale_delay_s: NonNegativeFloat
    downscale_delay_s: PositiveFloat
    downscale_to_zero_delay_s: PositiveFloat | None = None
    """How long the last replica stays without work, where `min_replicas` is 0."""


class CallLimits(Value):
    """What one call may send, and how much is kept to answer repeated calls."""

    body_bytes: PositiveInt
    body_seconds: PositiveFloat
    header_bytes: PositiveInt
    retry_after_seconds: PositiveInt
    """The `Retry-After` of callers who are refused for lack of room."""
    kept_answers: PositiveInt
    kept_bytes: PositiveInt
    """For the answers under Idempotency-Key, and as much again for recent images to start from."""
    picture_bytes: PositiveInt
    """The limit of a body that carries images."""


class RouterArgs(Value):
    """The deployment that every call enters by; one replica, whose memory holds the keyed calls."""

    num_cpus: CpuShare
    max_ongoing_requests: PositiveInt
    max_queued_requests: PositiveInt
    health_check_period_s: PositiveFloat
    graceful_shutdown_timeout_s: PositiveFloat
    limits: CallLimits


class RendererArgs(Value):
    """The deployment of one role: one engine per replica."""

    model: str
    """A bundled model, a registered one as `name/number`, or `name@alias`, which is followed."""
    residency: str
    """Where its images are computed and stored, in the words that callers use."""
    size: Size
    """The size of an image when the caller does not give one."""
    mode: Mode
    """How far a step is padded: see `app/engine/engine.py`. `exact` keeps a CPU's bits."""
    steps: Steps
    max_steps: Steps
    threads: PositiveInt
    capacity: Annotated[int, Field(ge=MAX_IMAGES)]
    """Most images in flight in one replica; a call of up to ten images is accepted as a whole."""
    stuck_seconds: PositiveFloat
    usd_per_hour: NonNegativeFloat
    """What an hour of one replica costs; every image is charged its share."""
    num_cpus: CpuShare
    num_gpus: Annotated[float, Field(ge=0, le=8)]
    max_ongoing_requests: PositiveInt
    max_queued_requests: PositiveInt
    health_check_period_s: PositiveFloat
    health_check_timeout_s: PositiveFloat
    graceful_shutdown_timeout_s: PositiveFloat
    replicas: Replicas
    schedule: tuple[ReplicaWindow, ...] = ()
    """Replicas kept ready before a known spike; where windows overlap, the largest counts."""

    @model_validator(mode="after")
    def _within_bounds(self) -> Self:
        most = self.replicas.max_replicas
        for window in self.schedule:
            if window.min_replicas > most:
                raise ValueError(
                    f"the window {window} wants min_replicas {window.min_replicas}, beyond "
                    f"max_replicas {most} of this role; raise max_replicas, or want fewer"
                )
        return self


class AliasFollowing(Value):
    """How a role that is deployed by an alias (draft@champion) follows it."""

    look_seconds: PositiveFloat
    """How often the catalog is asked where the alias points."""
    retry_seconds: PositiveFloat
    """When a version that was refused is tried again, if the alias still points at it."""


class ServiceArgs(Value):
    """The arguments of the whole service; a role that is left out is not deployed."""

    router: RouterArgs
    follow: AliasFollowing
    draft: RendererArgs
    polish: RendererArgs | None = None
    typography: RendererArgs | None = None

    @property
    def renderers(self) -> dict[Role, RendererArgs]:
        """Returns the arguments of each role that is deployed."""
        roles = {
            Role.DRAFT: self.draft,
            Role.FINAL: self.polish,
            Role.TYPOGRAPHY: self.typography,
        }
        return {role: args for role, args in roles.items() if args is not None}
