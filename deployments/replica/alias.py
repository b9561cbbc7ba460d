"""The alias that a role was deployed by, and where it points in the catalog now."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import cached_property

from app.settings import Settings
from app.store.catalog import Catalog
from app.store.pointers import Pointer, moves, pointer

log = logging.getLogger("ray.serve")


class Alias:
    """`name@alias`; opens the catalog on first use. All but `read` raise CatalogError."""

    def __init__(self, reference: str, settings: Settings) -> None:
        self.reference = reference
        self._name, _, self._alias = reference.partition("@")
        self._settings = settings

    @classmethod
    def read(cls, reference: str, settings: Settings) -> "Alias | None":
        """Returns the alias a reference names; None for a bundled model and for `name/number`."""
        return cls(reference, settings) if "@" in reference else None

    def newest_move(self) -> Pointer | None:
        """Returns the newest move; None when the alias never pointed anywhere."""
        return pointer(self._catalog, self._name, self._alias)

    def moves(self) -> list[Pointer]:
        """Returns every move, the newest first."""
        return moves(self._catalog, self._name, self._alias)

    @cached_property
    def _catalog(self) -> Catalog:
        return Catalog.open(self._settings.catalog)


async def follow(
    alias: Alias, look: Callable[[Pointer], Awaitable[None]], *, look_seconds: float
) -> None:
    """Calls `look` with the newest move, again and again, until the task is cancelled.

    Errors are logged once per streak and the next poll tries again: a catalog that does not answer
    must not stop the service.
    """
    last_error = ""
    while True:
        try:
            pointed = await asyncio.to_thread(alias.newest_move)
            if pointed is not None:
                await look(pointed)
            last_error = ""
        except Exception as error:
            if str(error) != last_error:
                log.exception("%s could not be followed and is looked at again", alias.reference)
            last_error = str(error)
        await asyncio.sleep(look_seconds)
