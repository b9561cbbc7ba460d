"""Which version a replica paints with: the one its alias points at, if that passes its trial."""

import asyncio
import gc
import logging
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from time import monotonic

from app.errors import CatalogError, ModelNotFound, RegistryError
from app.store.pointers import Pointer
from app.types import ModelVersion
from deployments.messages import Begun, Commission, Refused, ReplicaState, Turned, Word
from deployments.replica.alias import Alias
from deployments.replica.engine_worker import Studio
from deployments.replica.probe import check_fit, reason_of


class Studios:
    """Paints as one; every commission is painted from first to last by the studio that took it."""

    def __init__(self, studio: Studio) -> None:
        self._present = studio
        self._leaving: list[Studio] = []
        self._forward_passes = self._row_steps = 0

    @property
    def model(self) -> ModelVersion:
        """The version that takes what comes."""
        return self._present.model

    async def paint(self, commission: Commission) -> AsyncGenerator[Word]:
        """Words as they come; before the first picture, the version that paints.

        Between choosing the studio and its taking the commission nothing is awaited, so that no
        commission meets a studio that has begun to leave.
        """
        studio = self._present
        if commission.version not in (None, studio.model.reference):
            yield _moved(str(commission.version), studio.model.reference)
            return
        begun = False
        async with aclosing(studio.paint(commission)) as words:
            async for word in words:
                if not begun and not isinstance(word, Turned):
                    begun = True
                    yield Begun(model=studio.model)
                yield word

    async def succeed(self, studio: Studio) -> None:
        """Let this studio take what comes from now on; returns when the one before has ended."""
        before, self._present = self._present, studio
        self._leaving.append(before)
        await before.drain()
        self._leaving.remove(before)
        ended = await before.state()
        self._forward_passes += ended.forward_passes
        self._row_steps += ended.row_steps

    async def state(self) -> ReplicaState:
        """What is under way in all of them, and what they and those that left have done."""
        states = [await one.state() for one in (self._present, *self._leaving)]
        return states[0].replace(
            in_flight=sum(one.in_flight for one in states),
            bulk_in_flight=sum(one.bulk_in_flight for one in states),
            forward_passes=self._forward_passes + sum(one.forward_passes for one in states),
            row_steps=self._row_steps + sum(one.row_steps for one in states),
        )

    def check(self) -> None:
        """Raises EngineError when one of them broke, or stands still with work under way."""
        for studio in (self._present, *self._leaving):
            studio.check()

    async def drain(self) -> None:
        """Refuse what comes, and wait for what is under way."""
        for studio in (self._present, *self._leaving):
            await studio.drain()


def _moved(wanted: str, present: str) -> Turned:
    return Turned(
        reason="moved",
        message=f"{wanted} does not paint here, {present} does; ask again, or by another name",
    )


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
