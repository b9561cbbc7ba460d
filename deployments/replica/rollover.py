"""The model version of a replica: the one its alias points at, if it passes its probe."""

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

log = logging.getLogger("ray.serve")

MAX_PREDECESSORS = 3
"""How many earlier versions a replica tries when it starts and the newest one fails."""


class EngineWorkers:
    """Renders with the current version's worker; those of earlier versions finish their jobs."""

    def __init__(self, worker: EngineWorker) -> None:
        self._current = worker
        self._draining: list[EngineWorker] = []
        self._forward_passes = self._row_steps = 0  # of workers that have drained

    @property
    def model(self) -> ModelVersion:
        """Returns the version that renders new jobs."""
        return self._current.model

    async def render(self, job: RenderJob) -> AsyncGenerator[RenderEvent]:
        """Yields events as they arrive; before the first one of an image, the version that renders.

        Nothing is awaited between the choice of the worker and its acceptance of the job, so that
        no job reaches a draining worker.
        """
        worker = self._current
        if job.version not in (None, worker.model.reference):
            yield Refused(
                reason="moved",
                message=f"{job.version} was replaced by {worker.model.reference}; retry, or name "
                "the role",
            )
            return
        started = False
        async with aclosing(worker.render(job)) as events:
            async for event in events:
                if not started and not isinstance(event, Refused):
                    started = True
                    yield Started(model=worker.model)
                yield event

    async def switch_to(self, worker: EngineWorker) -> None:
        """Renders new jobs with this worker; returns when the previous one has drained."""
        previous, self._current = self._current, worker
        self._draining.append(previous)
        await previous.drain()
        self._draining.remove(previous)
        state = await previous.state()
        self._forward_passes += state.forward_passes
        self._row_steps += state.row_steps

    async def state(self) -> ReplicaState:
        """Returns the state of all workers; the counters include those that have drained."""
        states = [await worker.state() for worker in self._workers]
        return states[0].replace(
            in_flight=sum(state.in_flight for state in states),
            bulk_in_flight=sum(state.bulk_in_flight for state in states),
            forward_passes=self._forward_passes + sum(state.forward_passes for state in states),
            row_steps=self._row_steps + sum(state.row_steps for state in states),
        )

    def check_health(self) -> None:
        """Raises EngineError when a worker's engine broke or is stuck."""
        for worker in self._workers:
            worker.check()

    async def drain(self) -> None:
        """Refuses new jobs and waits for those in flight."""
        for worker in self._workers:
            await worker.drain()

    @property
    def _workers(self) -> tuple[EngineWorker, ...]:
        return (self._current, *self._draining)


class VersionRollover:
    """Starts with the version that the alias points at, and follows the alias.

    `find` returns the version of `name/number`, `open_worker` a worker whose engine passed its
    probe; both block and are called in threads. A new version is loaded beside the current one; the
    next move is followed only after the previous version was unloaded, so at most two are loaded.
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
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="probe")
        """One thread for all probes: a thread keeps memory that it allocated to load a model."""
        self.as_of = 0
        self.refused: RejectedVersion | None = None

    def open_first(self) -> EngineWorker:
        """Returns a worker of the newest version that passes its probe, else of an earlier one.

        Raises the newest version's error when none passes.
        """
        moves, failures = self._moves(), list[Exception]()
        for target in _targets(moves, self._deployed.reference):
            try:
                worker = self._probe(target)
            except Exception as error:  # of any kind: an earlier version may work
                if _unknown(error):
                    return self._open_worker(self._deployed)  # the first poll retries
                self.refused = self.refused or self._refusal(target, error)
                failures.append(error)
            else:
                self.as_of = moves[0].number if moves else 0
                return worker
        raise failures[0]

    async def follow_move(self, workers: EngineWorkers, move: Pointer) -> None:
        """Follows this move of the alias unless it was handled; a failed probe changes nothing.

        Raises CatalogError or RegistryError when the version cannot be looked up.
        """
        if move.number == self.as_of and not self._retry_due:
            return
        if move.target == workers.model.reference:
            self.as_of, self.refused = move.number, None
            return
        await self._follow(workers, move)
        await asyncio.to_thread(gc.collect)  # an engine's reference cycles keep it alive

    async def _follow(self, workers: EngineWorkers, move: Pointer) -> None:
        started_at = self._clock()
        try:
            loop = asyncio.get_running_loop()
            worker = await loop.run_in_executor(self._thread, self._probe, move.target)
        except Exception as error:  # of any kind: the current version continues
            if _unknown(error):
                raise
            self.as_of, self.refused = move.number, self._refusal(move.target, error)
            return
        if await asyncio.to_thread(self._alias.newest_move) != move:
            await worker.drain()  # the alias moved again during the probe
            return
        log.info("%s was ready after %.1f s", move.target, self._clock() - started_at)
        self.as_of, self.refused = move.number, None
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
            log.exception(
                "the moves of %s cannot be read; starting with the deployed version",
                self._alias.reference,
            )
            return []

    def _refusal(self, target: str, error: Exception) -> RejectedVersion:
        log.error("%s is refused as %s", target, self._alias.reference, exc_info=error)
        self._retry_at = self._clock() + self._retry_seconds
        return RejectedVersion(model=target, reason=reason_of(error))


def _targets(moves: list[Pointer], deployed: str) -> list[str]:
    """Returns the alias' distinct targets, the newest first, then the deployed version."""
    targets = list(dict.fromkeys(move.target for move in moves))[: 1 + MAX_PREDECESSORS]
    return list(dict.fromkeys([*targets, deployed]))


def _unknown(error: Exception) -> bool:
    """Returns whether the catalog or registry did not answer, so the version is not to blame."""
    return isinstance(error, CatalogError | RegistryError) and not isinstance(error, ModelNotFound)
