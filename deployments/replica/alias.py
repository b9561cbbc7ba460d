"""An alias that a role was deployed by, and where the catalog's pointer lets it point now."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from functools import cached_property

from app.settings import Settings
from app.store.catalog import Catalog
from app.store.pointers import Pointer, moves, pointer

log = logging.getLogger("ray.serve")


class Alias:
    """`name@alias`; the first look opens the catalog. All but `read` raise CatalogError."""

    def __init__(self, reference: str, settings: Settings) -> None:
        self.reference = reference
        self._name, _, self._alias = reference.partition("@")
        self._settings = settings

    @classmethod
    def read(cls, reference: str, settings: Settings) -> "Alias | None":
        """The alias that a reference is; None for a bundled model and for `name/number`."""
        return cls(reference, settings) if "@" in reference else None

    def newest_move(self) -> Pointer | None:
        """The newest move; None when it never pointed anywhere."""
        return pointer(self._catalog, self._name, self._alias)

    def moves(self) -> list[Pointer]:
        """Every move, the newest first."""
        return moves(self._catalog, self._name, self._alias)

    @cached_property
    def _catalog(self) -> Catalog:
        return Catalog.open(self._settings.catalog)


async def follow(
    alias: Alias, look: Callable[[Pointer], Awaitable[None]], *, look_seconds: float
) -> None:
    """Show the newest move to `look`, again and again, until the task is cancelled.

    Whatever fails is logged, once in a row, and tried again at the next look: a catalog that
    does not answer must not end what is being served.
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
