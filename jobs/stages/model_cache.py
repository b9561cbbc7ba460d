"""Warm models: what a worker keeps loaded; the least recently used one is given up first."""

import gc
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from app.backends.base import Backend
from app.models.bundled import base_of, folder_of
from app.types import ModelVersion, Route

ECHO = "echo"


class ModelCache:
    """Loads a route's backend once and keeps it, as long as all that is kept stays within bounds.

    `max_bytes` bounds the weights that are loaded at once, by what `size_of` says; the one at work
    may be larger and is then alone. Room is made before a model is loaded, not after; `collect`
    frees what was given up.
    """

    def __init__(
        self,
        load: Callable[[Route], Backend],
        size_of: Callable[[Route], int],
        *,
        max_bytes: int,
        collect: Callable[[], object] = gc.collect,
    ) -> None:
        self._load, self._size_of, self._max_bytes = load, size_of, max_bytes
        self._collect = collect
        self._kept: OrderedDict[str, tuple[Backend, int]] = OrderedDict()
        self.loads = 0
        """How often a backend was loaded."""

    def backend(self, route: Route) -> Backend:
        """The backend of the route's model version; raises what loading it raises."""
        reference = route.model.reference
        if reference not in self._kept:
            size = self._size_of(route)
            self._make_room(size)
            self._kept[reference] = (self._load(route), size)
            self.loads += 1
        self._kept.move_to_end(reference)
        return self._kept[reference][0]

    def _make_room(self, wanted: int) -> None:
        taken = sum(size for _, size in self._kept.values())
        given_up = False
        while self._kept and taken + wanted > self._max_bytes:
            size = self._kept.popitem(last=False)[1][1]  # and no name for the backend: it must go
            taken, given_up = taken - size, True
        if given_up:
            self._collect()  # a pipeline's parts point at each other: until then they stay


def weight_bytes(route: Route) -> int:
    """The bytes of the weight files behind a route, those a model goes on from included.

    Nothing for what has none. Raises ModelNotFound.
    """
    model = route.model
    if model.hosted is not None or route.backend == ECHO:
        return 0
    return _files(folder_of(model))


def _files(folder: Path) -> int:
    base: tuple[Path, ModelVersion] | None = base_of(folder)
    own = sum(file.stat().st_size for file in folder.rglob("*.safetensors"))
    return own + (_files(base[0]) if base else 0)
