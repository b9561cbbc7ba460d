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
from deployments.messages import (
    Refused,
    RejectedVersion,
    RenderEvent,
    RenderJob,
    ReplicaState,
    Started,
)
from deployments.replica.alias import Alias
from deployments.replica.engine_worker import EngineWorker
from deployments.replica.probe import check_fit, reason_of


class EngineWorkers:
    """Paints as one; every commission is painted from first to last by the studio that took it."""

    def __init__(self, worker: EngineWorker) -> None:
        self._present = worker
        self._leaving: list[EngineWorker] = []
        self._forward_passes = self._row_steps = 0

    @property
    def model(self) -> ModelVersion:
        """The version that takes what comes."""
        return self._present.model

    async def render(self, job: RenderJob) -> AsyncGenerator[RenderEvent]:
        """Words as they come; before the first picture, the version that paints.

        Between choosing the studio and its taking the commission nothing is awaited, so that no
        commission meets a studio that has begun to leave.
        """
        worker = self._present
        if job.version not in (None, worker.model.reference):
            yield _moved_refusal(str(job.version), worker.model.reference)
            return
        begun = False
        async with aclosing(worker.render(job)) as events:
            async for event in events:
                if not begun and not isinstance(event, Refused):
                    begun = True
                    yield Started(model=worker.model)
                yield event

    async def switch_to(self, worker: EngineWorker) -> None:
        """Let this studio take what comes from now on; returns when the one before has ended."""
        before, self._present = self._present, worker
        self._leaving.append(before)
        await before.drain()
        self._leaving.remove(before)
        ended = await before.state()
        self._forward_passes += ended.forward_passes
        self._row_steps += ended.row_steps

    async def state(self) -> ReplicaState:
        """What is under way in all of them, and what they and those that left have done."""
        states = [await worker.state() for worker in (self._present, *self._leaving)]
        return states[0].replace(
            in_flight=sum(state.in_flight for state in states),
            bulk_in_flight=sum(state.bulk_in_flight for state in states),
            forward_passes=self._forward_passes + sum(state.forward_passes for state in states),
            row_steps=self._row_steps + sum(state.row_steps for state in states),
        )

    def check(self) -> None:
        """Raises EngineError when one of them broke, or stands still with work under way."""
        for worker in (self._present, *self._leaving):
            worker.check()

    async def drain(self) -> None:
        """Refuse what comes, and wait for what is under way."""
        for worker in (self._present, *self._leaving):
            await worker.drain()


def _moved_refusal(wanted: str, present: str) -> Refused:
    return Refused(
        reason="moved",
        message=f"{wanted} does not paint here, {present} does; ask again, or by another name",
    )


log = logging.getLogger("ray.serve")

MAX_PREDECESSORS = 3
"""How many versions before the present one a replica tries that begins while that one is broken."""


class VersionRollover:
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
        open_worker: Callable[[ModelVersion], EngineWorker],
        retry_seconds: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._alias = alias
        self._deployed = deployed
        self._find = find
        self._open_worker = open_worker
        self._retry_seconds = retry_seconds
        self._clock = clock
        self._retry_at = 0.0
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="trial")
        """One for all trials: what a thread has used to load a model stays with it."""
        self.as_of = 0
        self.refused: RejectedVersion | None = None

    def open_first(self) -> EngineWorker:
        """A studio of the newest version that passes: where the alias pointed before counts too.

        Raises what keeps the newest from painting when none passes.
        """
        moves, failures = self._moves(), list[Exception]()
        for target in _targets(moves, self._deployed.reference):
            try:
                worker = self._probe(target)
            except Exception as error:  # whatever a version does, one before it may paint
                if _unknown(error):
                    return self._open_worker(self._deployed)  # the first look tries again
                self.refused = self.refused or self._refusal(target, error)
                failures.append(error)
            else:
                self.as_of = moves[0].number if moves else 0
                return worker
        raise failures[0]

    async def follow_move(self, workers: EngineWorkers, pointed: Pointer) -> None:
        """Follow this move of the alias, unless it was dealt with; a failed trial changes nothing.

        Raises CatalogError or RegistryError when it cannot be said what to follow.
        """
        if pointed.number == self.as_of and not self._retry_due:
            return
        if pointed.target == workers.model.reference:
            self.as_of, self.refused = pointed.number, None
            return
        await self._follow(workers, pointed)
        await asyncio.to_thread(gc.collect)  # an engine refers to itself and would stay for long

    async def _follow(self, workers: EngineWorkers, pointed: Pointer) -> None:
        began = self._clock()
        try:
            loop = asyncio.get_running_loop()
            worker = await loop.run_in_executor(self._thread, self._probe, pointed.target)
        except Exception as error:  # whatever a version does, the present one goes on
            if _unknown(error):
                raise
            self.as_of, self.refused = pointed.number, self._refusal(pointed.target, error)
            return
        if await asyncio.to_thread(self._alias.newest_move) != pointed:
            await worker.drain()  # it moved on while this one was tried: nobody wants it now
            return
        log.info("%s took %.1f s to be ready", pointed.target, self._clock() - began)
        self.as_of, self.refused = pointed.number, None
        await workers.switch_to(worker)

    @property
    def _retry_due(self) -> bool:
        return self.refused is not None and self._clock() >= self._retry_at

    def _probe(self, target: str) -> EngineWorker:
        model = self._deployed if target == self._deployed.reference else self._find(target)
        check_fit(model, self._deployed)
        return self._open_worker(model)

    def _moves(self) -> list[Pointer]:
        try:
            return self._alias.moves()
        except CatalogError:
            log.exception("%s is not known now; it begins as deployed", self._alias.reference)
            return []

    def _refusal(self, target: str, error: Exception) -> RejectedVersion:
        log.error("%s does not become %s", target, self._alias.reference, exc_info=error)
        self._retry_at = self._clock() + self._retry_seconds
        return RejectedVersion(model=target, reason=reason_of(error))


def _targets(moves: list[Pointer], deployed: str) -> list[str]:
    """Where the alias pointed, the newest first and each once; at last the version deployed."""
    targets = list(dict.fromkeys(move.target for move in moves))[: 1 + MAX_PREDECESSORS]
    return list(dict.fromkeys([*targets, deployed]))


def _unknown(error: Exception) -> bool:
    """Whether it says nothing of the version: catalog or registry did not answer."""
    return isinstance(error, CatalogError | RegistryError) and not isinstance(error, ModelNotFound)
