"""The version a replica renders with: the one its alias points at, if it passes its probe."""

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
    """The workers of a replica as one; each job is rendered by the worker that accepted it."""

    def __init__(self, worker: EngineWorker) -> None:
        self._present = worker
        self._leaving: list[EngineWorker] = []
        self._forward_passes = self._row_steps = 0

    @property
    def model(self) -> ModelVersion:
        """Returns the version that takes new jobs."""
        return self._present.model

    async def render(self, job: RenderJob) -> AsyncGenerator[RenderEvent]:
        """Yields events as they arrive; before the first image event, the version that renders.

        Nothing is awaited between choosing the worker and its accepting the job, so that no job
        reaches a worker that has begun to drain.
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
        """Sends new jobs to this worker from now on; returns when the previous one has drained."""
        before, self._present = self._present, worker
        self._leaving.append(before)
        await before.drain()
        self._leaving.remove(before)
        ended = await before.state()
        self._forward_passes += ended.forward_passes
        self._row_steps += ended.row_steps

    async def state(self) -> ReplicaState:
        """Returns what is in flight in all workers; the counters include ended workers."""
        states = [await worker.state() for worker in (self._present, *self._leaving)]
        return states[0].replace(
            in_flight=sum(state.in_flight for state in states),
            bulk_in_flight=sum(state.bulk_in_flight for state in states),
            forward_passes=self._forward_passes + sum(state.forward_passes for state in states),
            row_steps=self._row_steps + sum(state.row_steps for state in states),
        )

    def check(self) -> None:
        """Raises EngineError when a worker broke, or makes no progress with work in flight."""
        for worker in (self._present, *self._leaving):
            worker.check()

    async def drain(self) -> None:
        """Refuses new jobs and waits for those in flight."""
        for worker in (self._present, *self._leaving):
            await worker.drain()


def _moved_refusal(wanted: str, present: str) -> Refused:
    return Refused(
        reason="moved",
        message=f"{wanted} does not paint here, {present} does; ask again, or by another name",
    )


log = logging.getLogger("ray.serve")

MAX_PREDECESSORS = 3
"""How many versions before the newest a replica tries when it starts and the newest fails."""


class VersionRollover:
    """Starts with the version that the alias points at, and follows the alias.

    `find` returns the version behind `name/number`, `open_worker` a worker whose engine passed its
    probe; both block and are called in threads. A version is loaded beside the present one, so
    there are two at most: the next is not considered before the previous one has ended.
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
        """One thread for all probes: what a thread allocates to load a model stays with it."""
        self.as_of = 0
        self.refused: RejectedVersion | None = None

    def open_first(self) -> EngineWorker:
        """Returns a worker of the newest version that passes; else of an earlier target of the
        alias.

        Raises the newest version's error when none passes.
        """
        moves, failures = self._moves(), list[Exception]()
        for target in _targets(moves, self._deployed.reference):
            try:
                worker = self._probe(target)
            except Exception as error:  # whatever a version does, an earlier one may render
                if _unknown(error):
                    return self._open_worker(self._deployed)  # the first poll tries again
                self.refused = self.refused or self._refusal(target, error)
                failures.append(error)
            else:
                self.as_of = moves[0].number if moves else 0
                return worker
        raise failures[0]

    async def follow_move(self, workers: EngineWorkers, pointed: Pointer) -> None:
        """Follows this move of the alias, unless it was handled; a failed probe changes nothing.

        Raises CatalogError or RegistryError when the version cannot be looked up.
        """
        if pointed.number == self.as_of and not self._retry_due:
            return
        if pointed.target == workers.model.reference:
            self.as_of, self.refused = pointed.number, None
            return
        await self._follow(workers, pointed)
        await asyncio.to_thread(gc.collect)  # an engine's reference cycles keep it alive

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
            await worker.drain()  # the alias moved on during the probe
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
    """Returns the alias' targets, the newest first and each once, and last the version deployed."""
    targets = list(dict.fromkeys(move.target for move in moves))[: 1 + MAX_PREDECESSORS]
    return list(dict.fromkeys([*targets, deployed]))


def _unknown(error: Exception) -> bool:
    """Returns whether the error says nothing of the version: catalog or registry did not answer."""
    return isinstance(error, CatalogError | RegistryError) and not isinstance(error, ModelNotFound)
