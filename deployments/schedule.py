"""A role's windows: replicas that are there before a known spike begins; knows no Ray."""

from pydantic import PositiveInt

from app.types.schedule import Window


class ReplicaWindow(Window):
    """While it holds, and for `lead_seconds` before, there are no fewer replicas than this."""

    min_replicas: PositiveInt
