"""Which version a replica paints with: the one its alias points at, if that passes its trial."""

import asyncio
import gc
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from time import monotonic

from app.errors import CatalogError, ModelNotFound, RegistryError
from app.store.pointers import Pointer
from app.types import ModelVersion
from deployments.messages import Refused
from deployments.replica.alias import Alias
from deployments.replica.engine_worker import Studio
from deployments.replica.probe import check_fit, reason_of
from deployments.replica.studios import Studios

log = logging.getLogger("ray.serve")

PREDECESSORS = 3
"""How many versions before the present one a replica tries that begins while that one is broken."""


class Succession:
    """Begins with the version that the alias points at, and goes where the alias goes.

    `find` gives the version behind `name/number`, `open_studio` one that has passed its trial;
    both block and are called in threads. A version is loaded beside the present one, so there
    are two at most: the next is not looked at before the one that leaves has ended.
    """

    def __init__(
        self,
        alias: Alias,
        deployed: ModelVersion,
        *,
        find: Callable[[str], ModelVersion],
        open_studio: Callable[[ModelVersion], Studio],
        retry_seconds: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._alias = alias
        self._deployed = deployed
        self._find = find
        self._open_studio = open_studio
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._retry_at = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="trial")
        """One for all trials: what a thread has used to load a model stays with it."""
        self.as_of = 0
        self.refused: Refused | None = None

    def begin(self) -> Studio:
        """A studio of the newest version that passes: where the alias pointed before counts too.

        Raises what keeps the newest from painting when none passes.
        """
        moves, failures = self._moves(), list[Exception]()
        for target in _targets(moves, self._deployed.reference):
            try:
                studio = self._tried(target)
            except Exception as error:  # whatever a version does, one before it may paint
                if _unknown(error):
                    return self._open_studio(self._deployed)  # the first look tries again
                self.refused = self.refused or self._refusal(target, error)
                failures.append(error)
            else:
                self.as_of = moves[0].number if moves else 0
                return studio
        raise failures[0]

    async def look(self, studios: Studios, pointed: Pointer) -> None:
        """Follow this move of the alias, unless it was dealt with; a failed trial changes nothing.

        Raises CatalogError or RegistryError when it cannot be said what to follow.
        """
        if pointed.number == self.as_of and not self._retry_due:
            return
        if pointed.target == studios.model.reference:
            self.as_of, self.refused = pointed.number, None
            return
        await self._follow(studios, pointed)
        await asyncio.to_thread(gc.collect)  # an engine refers to itself and would stay for long

    async def _follow(self, studios: Studios, pointed: Pointer) -> None:
        began = self._clock()
        try:
            loop = asyncio.get_running_loop()
            studio = await loop.run_in_executor(self._thread, self._tried, pointed.target)
        except Exception as error:  # whatever a version does, the present one goes on
            if _unknown(error):
                raise
            self.as_of, self.refused = pointed.number, self._refusal(pointed.target, error)
            return
        if await asyncio.to_thread(self._alias.now) != pointed:
            await studio.drain()  # it moved on while this one was tried: nobody wants it now
            return
        log.info("%s took %.1f s to be ready", pointed.target, self._clock() - began)
        self.as_of, self.refused = pointed.number, None
        await studios.succeed(studio)

    @property
    def _retry_due(self) -> bool:
        return self.refused is not None and self._clock() >= self._retry_at

    def _tried(self, target: str) -> Studio:
        model = self._deployed if target == self._deployed.reference else self._find(target)
        check_fit(model, self._deployed)
        return self._open_studio(model)

    def _moves(self) -> list[Pointer]:
        try:
            return self._alias.moves()
        except CatalogError:
            log.exception("%s is not known now; it begins as deployed", self._alias.reference)
            return []

    def _refusal(self, target: str, error: Exception) -> Refused:
        log.error("%s does not become %s", target, self._alias.reference, exc_info=error)
        self._retry_at = self._clock() + self._retry_seconds
        return Refused(model=target, reason=reason_of(error))


def _targets(moves: list[Pointer], deployed: str) -> list[str]:
    """Where the alias pointed, the newest first and each once; at last the version deployed."""
    targets = list(dict.fromkeys(one.target for one in moves))[: 1 + PREDECESSORS]
    return list(dict.fromkeys([*targets, deployed]))


def _unknown(error: Exception) -> bool:
    """Whether it says nothing of the version: catalog or registry did not answer."""
    return isinstance(error, CatalogError | RegistryError) and not isinstance(error, ModelNotFound)
