"""Warm models: what a worker keeps loaded; the least recently used one is dropped first."""

import gc
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from app.backends import Backend
from app.models.bundled import base_of, folder_of
from app.types import ModelVersion, Route

ECHO = "echo"


class ModelCache:
    """Loads a route's backend once and keeps it while the weights kept stay within `max_bytes`.

    `size_of` gives the bytes of a route's weights; a model larger than the limit is loaded alone.
    Room is made before a model is loaded, not after; `collect` frees what was dropped.
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
        """Returns the backend of the route's model version; raises what loading it raises."""
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
            size = self._kept.popitem(last=False)[1][1]  # bind no name to the backend
            taken, given_up = taken - size, True
        if given_up:
            self._collect()  # a pipeline's parts form reference cycles: only this frees them


def weight_bytes(route: Route) -> int:
    """Returns the bytes of the weight files behind a route, including those of its base models.

    Returns 0 for what has no weights. Raises ModelNotFound.
    """
    model = route.model
    if model.hosted is not None or route.backend == ECHO:
        return 0
    return _files(folder_of(model))


def _files(folder: Path) -> int:
    base: tuple[Path, ModelVersion] | None = base_of(folder)
    own = sum(file.stat().st_size for file in folder.rglob("*.safetensors"))
    return own + (_files(base[0]) if base else 0)
