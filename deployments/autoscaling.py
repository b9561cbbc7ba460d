"""Serve's autoscaling policy with a minimum that follows a schedule.

Serve's controller imports and runs it: it imports nothing slow and makes no calls.
"""

from typing import Any, cast

from ray.serve.autoscaling_policy import replica_queue_length_autoscaling_policy
from ray.serve.config import AutoscalingContext

from app.types.schedule import ReplicaWindow, highest_floors


class ScheduledAutoscaling:
    """As many replicas as the load requires, and at least the minimum of the open windows.

    Serve applies its delays and then its bounds to the result. The minimum is kept within the upper
    bound here, so that the policy never requests more replicas than Serve allows.
    """

    def __init__(self, windows: list[dict[str, Any]]) -> None:
        """Reads `windows` from JSON, the form in which Serve stores the arguments of a policy."""
        parsed = [ReplicaWindow.model_validate(window) for window in windows]
        self._floors = [(window, window.min_replicas) for window in parsed]

    def __call__(self, context: AutoscalingContext) -> tuple[float, dict[str, Any]]:
        """Returns the number of replicas and Serve's state; depends on the context only."""
        by_load, state = replica_queue_length_autoscaling_policy(context)
        now = cast(float, context.current_time)  # None only in Serve's own tests
        floor = highest_floors(self._floors, now)
        return max(by_load, min(floor, context.capacity_adjusted_max_replicas)), state
