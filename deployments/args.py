"""The typed arguments of the application: every number of `serve.yaml`, none has a default here."""

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
"""Explicit everywhere: Serve would take a whole core for each replica."""


class Replicas(Value):
    """How many replicas, by load; the names are those of Serve's autoscaling."""

    min_replicas: NonNegativeInt
    max_replicas: PositiveInt
    target_ongoing_requests: PositiveFloat
    metrics_interval_s: PositiveFloat
    look_back_period_s: PositiveFloat
    upscale_delay_s: NonNegativeFloat
    downscale_delay_s: PositiveFloat
    downscale_to_zero_delay_s: PositiveFloat | None = None
    """How long the last replica stays without work, where none is a number of replicas."""


class CallLimits(Value):
    """What one call may bring along, and what is kept for calls that are repeated."""

    body_bytes: PositiveInt
    body_seconds: PositiveFloat
    header_bytes: PositiveInt
    retry_after_seconds: PositiveInt
    """What callers who are turned away are told to wait."""
    kept_answers: PositiveInt
    kept_bytes: PositiveInt
    """Of the answers under Idempotency-Key, and as much again of pictures to go on from."""
    picture_bytes: PositiveInt
    """What a body may have that brings pictures along."""


class RouterArgs(Value):
    """The deployment that every call enters by; one replica, whose memory knows the keyed calls."""

    num_cpus: CpuShare
    max_ongoing_requests: PositiveInt
    max_queued_requests: PositiveInt
    health_check_period_s: PositiveFloat
    graceful_shutdown_timeout_s: PositiveFloat
    limits: CallLimits


class RendererArgs(Value):
    """The deployment of one role: one engine a replica."""

    model: str
    """A bundled model, or a registered one as `name/number`, or `name@alias`, which is followed."""
    residency: str
    """Where its pictures are made and stay, in the words that callers use."""
    size: Size
    """What is painted when a caller leaves the size open."""
    mode: Mode
    """How far a step is padded: see `app/engine/engine.py`. `exact` keeps a CPU's bits."""
    steps: Steps
    max_steps: Steps
    threads: PositiveInt
    capacity: Annotated[int, Field(ge=MAX_IMAGES)]
    """Images under way in one replica at most; a call may ask for ten and is taken as a whole."""
    stuck_seconds: PositiveFloat
    usd_per_hour: NonNegativeFloat
    """What an hour of one replica costs; every picture is told its share."""
    num_cpus: CpuShare
    num_gpus: Annotated[float, Field(ge=0, le=8)]
    max_ongoing_requests: PositiveInt
    max_queued_requests: PositiveInt
    health_check_period_s: PositiveFloat
    health_check_timeout_s: PositiveFloat
    graceful_shutdown_timeout_s: PositiveFloat
    replicas: Replicas
    schedule: tuple[ReplicaWindow, ...] = ()
    """Replicas that stand ready before a spike that is known; of windows that overlap, the most."""

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
    """How a role that is deployed by an alias (draft@champion) keeps to it."""

    look_seconds: PositiveFloat
    """How often the catalog is asked where the alias points."""
    retry_seconds: PositiveFloat
    """When a version that was refused is tried again, if the alias still points at it."""


class ServiceArgs(Value):
    """The whole service; a role that is left out is not deployed."""

    router: RouterArgs
    follow: AliasFollowing
    draft: RendererArgs
    polish: RendererArgs | None = None
    typography: RendererArgs | None = None

    @property
    def renderers(self) -> dict[Role, RendererArgs]:
        """What is deployed for each role."""
        roles = {
            Role.DRAFT: self.draft,
            Role.FINAL: self.polish,
            Role.TYPOGRAPHY: self.typography,
        }
        return {role: args for role, args in roles.items() if args is not None}
