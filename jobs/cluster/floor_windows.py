"""The file of a cluster's floor: how many machines of a pool there are, and when."""

from pathlib import Path
from typing import Annotated, Any, TypeAlias

import yaml
from pydantic import Field, PositiveFloat, PositiveInt, ValidationError

from app.errors import InvalidRequest
from app.types.base import Value
from app.types.schedule import Window, highest

Labels: TypeAlias = tuple[tuple[str, str], ...]
"""What a pool's machines bear, sorted, so that two ways to write it are one pool."""
Word: TypeAlias = Annotated[str, Field(min_length=1)]


class MachineWindow(Window):
    """While it holds, and for `lead_seconds` before, the pool has no fewer machines than this."""

    labels: Annotated[dict[Word, Word], Field(min_length=1)]
    """Of the pool's machines, as `cluster.yaml` has them: without any, the head would count."""
    min_machines: PositiveInt

    @property
    def pool(self) -> Labels:
        """The pool that is meant."""
        return tuple(sorted(self.labels.items()))


class Floors(Value):
    """All windows of one cluster."""

    windows: Annotated[tuple[MachineWindow, ...], Field(min_length=1)]
    held_by: dict[Word, PositiveFloat] = Field(default={"memory": 1}, min_length=1)
    """What a machine gives up while it is held: so little that nobody misses it, of something
    that the autoscaler knows the pool's machines to have. Clouds and Kubernetes tell it memory.
    Only object_store_memory will not do: a machine counts as idle while it is merely reserved."""

    def at(self, moment: float) -> dict[Labels, int]:
        """The floor of every pool that has a window at all; of windows that overlap, the most."""
        pools: dict[Labels, list[tuple[Window, int]]] = {}
        for window in self.windows:
            pools.setdefault(window.pool, []).append((window, window.min_machines))
        return {pool: highest(own, moment) for pool, own in pools.items()}


def read_floors(file: Path) -> Floors:
    """The windows of a file; raises InvalidRequest with the place and the value that is wrong."""
    try:
        written: Any = yaml.safe_load(file.read_text(encoding="utf-8"))
        return Floors.model_validate(written)
    except ValidationError as exc:
        first = exc.errors(include_url=False)[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise InvalidRequest(f"{file}: {place}: {first['msg']}") from exc
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        reason = str(exc).splitlines()[0]
        raise InvalidRequest(f"{file} cannot be read as a cluster's floor: {reason}") from exc
