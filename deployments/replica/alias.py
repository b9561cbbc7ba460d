"""The alias that a role was deployed by, and its moves in the catalog."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import cached_property

from app.settings import Settings
from app.store.catalog import Catalog
from app.store.pointers import Pointer, moves, pointer

log = logging.getLogger("ray.serve")


class Alias:
    """`name@alias`; opens the catalog on first use. All methods but `read` raise CatalogError."""

    def __init__(self, reference: str, settings: Settings) -> None:
        self.reference = reference
        self._name, _, self._alias = reference.partition("@")
        self._settings = settings

    @classmethod
    def read(cls, reference: str, settings: Settings) -> "Alias | None":
        """Returns the alias of a reference; None for a bundled model and for `name/number`."""
        return cls(reference, settings) if "@" in reference else None

    def newest_move(self) -> Pointer | None:
        """Returns the newest move; None when the alias was never set."""
        return pointer(self._catalog, self._name, self._alias)

    def moves(self) -> list[Pointer]:
        """Returns every move, the newest first."""
        return moves(self._catalog, self._name, self._alias)

    @cached_property
    def _catalog(self) -> Catalog:
        return Catalog.open(self._settings.catalog)


async def follow(
    alias: Alias, on_move: Callable[[Pointer], Awaitable[None]], *, look_seconds: float
) -> None:
    """Polls the alias and calls `on_move` with its newest move, until the task is cancelled.

    An error is logged once until it changes, and the next poll tries again: a catalog that does not
    answer must not stop the service.
    """
    last_error = ""
    while True:
        try:
            move = await asyncio.to_thread(alias.newest_move)
            if move is not None:
                await on_move(move)
            last_error = ""
        except Exception as error:
            if str(error) != last_error:
                log.exception("%s could not be followed; the next poll retries", alias.reference)
            last_error = str(error)
        await asyncio.sleep(look_seconds)
