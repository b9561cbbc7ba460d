"""Serve's own autoscaling with a minimum that follows a schedule.

Serve's controller runs this: it imports nothing slow and makes no calls.
"""

from typing import Any, cast

from ray.serve.autoscaling_policy import replica_queue_length_autoscaling_policy
from ray.serve.config import AutoscalingContext

from app.types.schedule import ReplicaWindow, highest_floors


class ScheduledAutoscaling:
    """As many replicas as the load asks for, never fewer than the windows open now ask for.

    Serve applies its delays to the result, and its bounds last; the minimum is kept within those
    bounds here already, so that the policy never asks for more replicas than Serve allows.
    """

    def __init__(self, windows: list[dict[str, Any]]) -> None:
        """Reads `windows` from JSON, which is how Serve keeps the arguments of a policy."""
        read = [ReplicaWindow.model_validate(window) for window in windows]
        self._floors = [(window, window.min_replicas) for window in read]

    def __call__(self, context: AutoscalingContext) -> tuple[float, dict[str, Any]]:
        """Returns the wanted number of replicas and Serve's state; pure, by the context's time."""
        by_load, state = replica_queue_length_autoscaling_policy(context)
        now = cast(float, context.current_time)  # Serve leaves it out only in its own tests
        floor = highest_floors(self._floors, now)
        return max(by_load, min(floor, context.capacity_adjusted_max_replicas)), state
