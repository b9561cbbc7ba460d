"""Serve's own autoscaling with a floor under it that follows a schedule.

Serve's controller runs this: it imports nothing that is slow, and asks nobody.
"""

from typing import Any, cast

from ray.serve.autoscaling_policy import replica_queue_length_autoscaling_policy
from ray.serve.config import AutoscalingContext

from app.types.schedule import ReplicaWindow, highest_floors


class ScheduledAutoscaling:
    """As many replicas as the load asks for, never fewer than the windows of now say.

    Serve applies its delays to what comes of it, and its bounds last of all; the floor is kept
    within them here already, so that it asks for nothing that cannot be.
    """

    def __init__(self, windows: list[dict[str, Any]]) -> None:
        """`windows` as JSON, which is how Serve keeps the arguments of a policy."""
        read = [ReplicaWindow.model_validate(window) for window in windows]
        self._floors = [(window, window.min_replicas) for window in read]

    def __call__(self, context: AutoscalingContext) -> tuple[float, dict[str, Any]]:
        """The number that is wished for; pure, by the moment that the context names."""
        by_load, state = replica_queue_length_autoscaling_policy(context)
        now = cast(float, context.current_time)  # Serve leaves it out only in tests of its own
        floor = highest_floors(self._floors, now)
        return max(by_load, min(floor, context.capacity_adjusted_max_replicas)), state
