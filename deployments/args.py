"""The typed arguments of the application: every number of `serve.yaml`, none has a default here."""

from typing import Annotated, TypeAlias

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt

from app.engine.engine import Mode
from app.types import Steps, Value

CpuShare: TypeAlias = Annotated[float, Field(gt=0, le=64)]
"""Explicit everywhere: Serve would take a whole core for each replica."""


class Replicas(Value):
    """How many replicas, by load; the names are those of Serve's autoscaling."""

    min_replicas: NonNegativeInt
    max_replicas: PositiveInt
    target_ongoing_requests: PositiveFloat
    metrics_interval_s: PositiveFloat
    look_back_period_s: PositiveFloat
    upscale_delay_s: PositiveFloat
    downscale_delay_s: PositiveFloat


class Limits(Value):
    """What one call may bring along, and what is kept for calls that are repeated."""

    body_bytes: PositiveInt
    body_seconds: PositiveFloat
    header_bytes: PositiveInt
    retry_after_seconds: PositiveInt
    """What callers who are turned away are told to wait."""
    kept_answers: PositiveInt
    kept_bytes: PositiveInt


class RouterArgs(Value):
    """The deployment that every call enters by; one replica, whose memory knows the keyed calls."""

    num_cpus: CpuShare
    max_ongoing_requests: PositiveInt
    max_queued_requests: PositiveInt
    health_check_period_s: PositiveFloat
    graceful_shutdown_timeout_s: PositiveFloat
    limits: Limits


class DraftArgs(Value):
    """The deployment of quick previews: one engine a replica."""

    model: str
    mode: Mode
    """How far a step is padded: see `app/engine/engine.py`. `exact` keeps a CPU's bits."""
    steps: Steps
    max_steps: Steps
    threads: PositiveInt
    capacity: PositiveInt
    """Images under way in one replica at most."""
    stuck_seconds: PositiveFloat
    num_cpus: CpuShare
    max_ongoing_requests: PositiveInt
    max_queued_requests: PositiveInt
    health_check_period_s: PositiveFloat
    health_check_timeout_s: PositiveFloat
    graceful_shutdown_timeout_s: PositiveFloat
    replicas: Replicas


class ServiceArgs(Value):
    """The whole service."""

    router: RouterArgs
    draft: DraftArgs
