"""Keeps a minimum of machines in a Ray cluster: requests them, holds them, releases them.

A machine is held by a tiny resource, a byte of memory, that belongs to a placement group whose
bundles must all be on different machines. So machines that already work count, no GPU or CPU is
taken from their jobs, and everything is released when the keeper ends, however it ends.
`ray.autoscaler.sdk.request_resources` would do neither: it stays when its caller is gone, and Ray
Data, which uses it too, overwrites the requests of others.
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
"""The labels of a pool's machines, sorted, so that two ways to write them are one pool."""
NonEmptyText: TypeAlias = Annotated[str, Field(min_length=1)]


class MachineWindow(Window):
    """The pool's minimum of machines while the window is open and for `lead_seconds` before."""

    labels: Annotated[dict[NonEmptyText, NonEmptyText], Field(min_length=1)]
    """Of the pool's machines, as in `cluster.yaml`; without any label the head would count."""
    min_machines: PositiveInt

    @property
    def pool(self) -> Labels:
        """Returns the labels of the pool."""
        return tuple(sorted(self.labels.items()))


class MachineFloors(Value):
    """All windows of one cluster."""

    windows: Annotated[tuple[MachineWindow, ...], Field(min_length=1)]
    held_by: dict[NonEmptyText, PositiveFloat] = Field(default={"memory": 1}, min_length=1)
    """The resources that hold a machine: a tiny amount of something that the autoscaler knows the
    pool's machines to have. Clouds and Kubernetes report memory. Only object_store_memory does not
    work: a machine counts as idle while it is merely reserved.
    """

    def at(self, moment: float) -> dict[Labels, int]:
        """Returns the minimum of every pool with a window; where windows overlap, the largest."""
        pools: dict[Labels, list[tuple[Window, int]]] = {}
        for window in self.windows:
            pools.setdefault(window.pool, []).append((window, window.min_machines))
        return {pool: highest_floors(own, moment) for pool, own in pools.items()}


def read_floors(file: Path) -> MachineFloors:
    """Returns the windows of a file; raises InvalidRequest with the faulty place and value."""
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
    """The minimums requested at present, by pool; used by a driver that has joined the cluster."""

    def __init__(self, held_by: Mapping[str, float], say: Callable[[str], None]) -> None:
        self._pools: dict[Labels, _PoolFloor] = {}
        self._held_by, self._say = dict(held_by), say

    def keep(self, floors: Mapping[Labels, int]) -> None:
        """Sets the minimums. Call it every few seconds, also when nothing changes.

        All machines of a minimum are requested together; if not all are available, none is held,
        and what was held before stays held.
        """
        for labels, machines in floors.items():
            pool = self._pools.setdefault(labels, _PoolFloor(labels, self._held_by, self._say))
            pool.ask(machines)
            pool.settle()


class _PoolFloor:
    """The placement groups that hold a pool's machines: the wanted one, and older ones that are
    removed when it is placed, so that machines stay held while more are requested.
    """

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
        """Removes the older groups once the newest is placed."""
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
