"""The typed arguments of the application: the numbers of `serve.yaml`, without defaults here."""

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
"""Always set explicitly: Serve's default is a whole core for each replica."""


class Replicas(Value):
    """Serve's autoscaling options, under Serve's names."""

    min_replicas: NonNegativeInt
    max_replicas: PositiveInt
    target_ongoing_requests: PositiveFloat
    metrics_interval_s: PositiveFloat
    look_back_period_s: PositiveFloat
    upscale_delay_s: NonNegativeFloat
    downscale_delay_s: PositiveFloat
    downscale_to_zero_delay_s: PositiveFloat | None = None
    """How long the last replica stays idle, if `min_replicas` is 0."""


class CallLimits(Value):
    """Limits on the size of a call, and on the router's memory of results and images."""

    body_bytes: PositiveInt
    body_seconds: PositiveFloat
    header_bytes: PositiveInt
    retry_after_seconds: PositiveInt
    """`Retry-After` of calls that are refused for lack of capacity."""
    kept_answers: PositiveInt
    kept_bytes: PositiveInt
    """For the results under Idempotency-Key, and as much again for recent images."""
    picture_bytes: PositiveInt
    """The limit of a body with uploaded images."""


class RouterArgs(Value):
    """The router's deployment, which has one replica."""

    num_cpus: CpuShare
    max_ongoing_requests: PositiveInt
    max_queued_requests: PositiveInt
    health_check_period_s: PositiveFloat
    graceful_shutdown_timeout_s: PositiveFloat
    limits: CallLimits


class RendererArgs(Value):
    """A role's deployment, with one engine per replica."""

    model: str
    """A bundled model, a registered version as `name/number`, or an alias as `name@alias`."""
    residency: str
    """Where its images are rendered, in the words of callers."""
    size: Size
    """The size of images of calls without a size."""
    mode: Mode
    """How far a step is padded: see `app/engine/engine.py`."""
    steps: Steps
    max_steps: Steps
    threads: PositiveInt
    capacity: Annotated[int, Field(ge=MAX_IMAGES)]
    """At most this many images in flight per replica; a call's images are accepted together."""
    stuck_seconds: PositiveFloat
    usd_per_hour: NonNegativeFloat
    """Price of an hour of one replica; each image is charged its share."""
    num_cpus: CpuShare
    num_gpus: Annotated[float, Field(ge=0, le=8)]
    max_ongoing_requests: PositiveInt
    max_queued_requests: PositiveInt
    health_check_period_s: PositiveFloat
    health_check_timeout_s: PositiveFloat
    graceful_shutdown_timeout_s: PositiveFloat
    replicas: Replicas
    schedule: tuple[ReplicaWindow, ...] = ()
    """Minimum replicas at times of known load; of overlapping windows the largest counts."""

    @model_validator(mode="after")
    def _within_bounds(self) -> Self:
        limit = self.replicas.max_replicas
        for window in self.schedule:
            if window.min_replicas > limit:
                raise ValueError(
                    f"the window {window} has min_replicas {window.min_replicas}, more than "
                    f"max_replicas {limit} of this role; raise max_replicas or lower min_replicas"
                )
        return self


class AliasFollowing(Value):
    """How a role that is deployed by an alias (draft@champion) follows the alias."""

    look_seconds: PositiveFloat
    """Time between two reads of the alias from the catalog."""
    retry_seconds: PositiveFloat
    """Time until a refused version is tried again, if the alias still points at it."""


class ServiceArgs(Value):
    """The arguments of the service; a role that is left out is not deployed."""

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
