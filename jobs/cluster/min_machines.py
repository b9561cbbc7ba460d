"""Keeps a floor of machines under a Ray cluster: asks for them, holds them, lets them go.

A machine is held by next to nothing of it, a byte of memory, that belongs to a placement group
whose members must all be on machines of their own. So machines that work already count, no GPU or
CPU is taken from those who work there, and all is let go of when the keeper ends, however it ends.
`ray.autoscaler.sdk.request_resources` would do neither: it stays when its caller is gone, and
Ray Data, which asks by it too, writes over what others asked for.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from time import monotonic
from typing import Annotated, Any, TypeAlias

import yaml
from pydantic import Field, PositiveFloat, PositiveInt, ValidationError
from ray.util.placement_group import (
    PlacementGroup,
    placement_group,
    placement_group_table,
    remove_placement_group,
)

from app.errors import InvalidRequest
from app.types.base import Value
from app.types.schedule import Window, highest_floors

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""What a pool's machines bear, sorted, so that two ways to write it are one pool."""
NonEmptyText: TypeAlias = Annotated[str, Field(min_length=1)]


class MachineWindow(Window):
    """While it holds, and for `lead_seconds` before, the pool has no fewer machines than this."""

    labels: Annotated[dict[NonEmptyText, NonEmptyText], Field(min_length=1)]
    """Of the pool's machines, as `cluster.yaml` has them: without any, the head would count."""
    min_machines: PositiveInt

    @property
    def pool(self) -> Labels:
        """The pool that is meant."""
        return tuple(sorted(self.labels.items()))


class MachineFloors(Value):
    """All windows of one cluster."""

    windows: Annotated[tuple[MachineWindow, ...], Field(min_length=1)]
    held_by: dict[NonEmptyText, PositiveFloat] = Field(default={"memory": 1}, min_length=1)
    """What a machine gives up while it is held: so little that nobody misses it, of something
    that the autoscaler knows the pool's machines to have. Clouds and Kubernetes tell it memory.
    Only object_store_memory will not do: a machine counts as idle while it is merely reserved."""

    def at(self, moment: float) -> dict[Labels, int]:
        """The floor of every pool that has a window at all; of windows that overlap, the most."""
        pools: dict[Labels, list[tuple[Window, int]]] = {}
        for window in self.windows:
            pools.setdefault(window.pool, []).append((window, window.min_machines))
        return {pool: highest_floors(own, moment) for pool, own in pools.items()}


def read_floors(file: Path) -> MachineFloors:
    """The windows of a file; raises InvalidRequest with the place and the value that is wrong."""
    try:
        written: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
        return MachineFloors.model_validate(written)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise InvalidRequest(f"{file}: {place}: {first['msg']}") from exc
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        reason = str(exc).splitlines()[0]
        raise InvalidRequest(f"{file} cannot be read as a cluster's floor: {reason}") from exc


class FloorKeeper:
    """What is asked for at present, by pool; to be used by a driver that has joined the cluster."""

    def __init__(self, held_by: Mapping[str, float], say: Callable[[str], None]) -> None:
        self._pools: dict[Labels, _PoolFloor] = {}
        self._held_by, self._say = dict(held_by), say

    def keep(self, floors: Mapping[Labels, int]) -> None:
        """Make these the floors. To be called every few seconds, also when nothing changes.

        A pool's floor comes whole or not at all: one beyond what the pool may have never does, and
        what was held before stays held.
        """
        for labels, machines in floors.items():
            pool = self._pools.setdefault(labels, _PoolFloor(labels, self._held_by, self._say))
            pool.ask(machines)
            pool.settle()


class _PoolFloor:
    """The groups that hold a pool's machines: the one that is wanted, and before it those which
    go when it is there, so that machines that are held stay held while more come."""

    def __init__(
        self, labels: Labels, held_by: dict[str, float], say: Callable[[str], None]
    ) -> None:
        self._labels, self._held_by = labels, held_by
        self._name = ", ".join(f"{name}={value}" for name, value in labels)
        self._say = say
        self._groups: list[PlacementGroup] = []
        self._floor = 0
        self._asked_at: float | None = None

    def ask(self, machines: int) -> None:
        if machines == self._floor:
            return
        self._say(f"{self._name}: a floor of {machines} is asked for, after {self._floor}")
        self._floor, self._asked_at = machines, monotonic()
        if machines:
            self._groups.append(self._group(machines))
        else:
            self._remove(len(self._groups))

    def _group(self, machines: int) -> PlacementGroup:
        group: PlacementGroup = placement_group(
            [self._held_by] * machines,
            strategy="STRICT_SPREAD",
            bundle_label_selector=[dict(self._labels)] * machines,
        )
        return group

    def settle(self) -> None:
        """Drop what is no longer needed once the last that was asked for is there."""
        if self._asked_at is None or not self._groups or not _is_placed(self._groups[-1]):
            return
        self._remove(len(self._groups) - 1)
        waited = monotonic() - self._asked_at
        self._say(f"{self._name}: the floor of {self._floor} is there after {waited:.1f} s")
        self._asked_at = None

    def _remove(self, number: int) -> None:
        for group in self._groups[:number]:
            remove_placement_group(group)
        del self._groups[:number]


def _is_placed(group: PlacementGroup) -> bool:
    return bool(placement_group_table(group)["state"] == "CREATED")
