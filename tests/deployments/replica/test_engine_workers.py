"""A worker replaces another: no job is refused, every job names the version that renders it."""

import asyncio
import gc
import weakref
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from app.digest import digest
from app.engine.engine import Engine
from app.errors import EngineError
from app.models.random_weights import Sd3Shape, random_sd3
from app.types import ModelVersion
from deployments.messages import ImageDone, Refused, RenderEvent, Started
from deployments.replica.engine_worker import EngineWorker
from deployments.replica.rollover import EngineWorkers
from tests.deployments.workers import TINY, render_job, rendered, run
from tests.engine.engines import engine_in_exact_mode
from tests.engine.test_async_engine import Gated

VERSIONS = [
    TINY.replace(version=str(number), weights_digest=digest(f"tiny {number}")) for number in (1, 2)
]


@pytest.fixture(scope="module")
def stocks() -> list[Any]:
    """Two models that paint differently."""
    return [random_sd3(Sd3Shape(), seed=seed) for seed in (0, 1)]


class WorkersHarness:
    """Workers that start with the first version, and the engine of each version."""

    def __init__(self, stocks: list[Any], **options: Any) -> None:
        self._stocks, self._options = stocks, {"stuck_seconds": 60.0} | options
        self.gates: list[Gated] = []
        self.engines: list[weakref.ref[Engine]] = []
        self.workers = EngineWorkers(self.open(0))

    def open(self, version: int) -> EngineWorker:
        """A worker of this version."""
        gate = Gated(self._stocks[version])
        engine = engine_in_exact_mode(gate)
        self.gates.append(gate)
        self.engines.append(weakref.ref(engine))
        return EngineWorker(engine, VERSIONS[version], capacity=8, **self._options)


@asynccontextmanager
async def scene(stocks: list[Any], **options: Any) -> AsyncGenerator[WorkersHarness]:
    """Workers that are drained at the end."""
    scene = WorkersHarness(stocks, **options)
    try:
        yield scene
    finally:
        for gate in scene.gates:
            gate.gate.set()
        await scene.workers.drain()


def version_and_image(events: list[RenderEvent]) -> tuple[ModelVersion, bytes]:
    """The version that rendered a job of one image, and the file."""
    started, done = events
    assert isinstance(started, Started)
    assert isinstance(done, ImageDone)
    assert done.image.provenance.model == started.model.reference
    assert done.image.provenance.weights_digest == started.model.weights_digest
    return started.model, done.image.png


def test_what_comes_before_during_and_after_a_change_is_painted_by_who_took_it(
    stocks: list[Any], request_of: Any
) -> None:
    async def story() -> None:
        async with scene(stocks) as opened:
            asked = render_job(request_of())
            before = version_and_image(await rendered(opened.workers, asked))
            opened.gates[0].gate.clear()
            during = [asyncio.create_task(rendered(opened.workers, asked)) for _ in range(3)]
            await asyncio.sleep(0)  # all of them were taken
            change = asyncio.create_task(opened.workers.switch_to(opened.open(1)))
            await asyncio.sleep(0)
            after = version_and_image(await rendered(opened.workers, asked))
            assert (await opened.workers.state()).in_flight == 3
            assert not change.done()
            opened.gates[0].gate.set()
            assert [version_and_image(events) for events in await asyncio.gather(*during)] == [
                before
            ] * 3
            await change
            assert [before[0], after[0]] == VERSIONS
            assert before[1] != after[1]

    run(story)


def test_who_leaves_is_freed_once_it_has_ended_and_not_before(
    stocks: list[Any], request_of: Any
) -> None:
    async def story() -> None:
        async with scene(stocks) as opened:
            opened.gates[0].gate.clear()
            last = asyncio.create_task(rendered(opened.workers, render_job(request_of())))
            await asyncio.sleep(0)
            change = asyncio.create_task(opened.workers.switch_to(opened.open(1)))
            await asyncio.sleep(0)
            gc.collect()
            assert opened.engines[0]() is not None
            opened.gates.pop(0).gate.set()
            await asyncio.gather(last, change)
            del last, change
            while opened.engines[0]() is not None:
                gc.collect()
                await asyncio.sleep(0)  # until the threads it had have let go of it
            assert opened.engines[1]() is not None

    run(story)


def test_there_and_back_is_as_if_nothing_had_been(stocks: list[Any], request_of: Any) -> None:
    async def story() -> None:
        async with scene(stocks) as opened:
            asked, seen, passes = render_job(request_of()), [], 0
            for version in (1, 0, 1):
                seen.append(version_and_image(await rendered(opened.workers, asked)))
                await opened.workers.switch_to(opened.open(version))
                state = await opened.workers.state()
                assert state.forward_passes > passes  # counted over all who painted here
                passes = state.forward_passes
            seen.append(version_and_image(await rendered(opened.workers, asked)))
            assert seen[0] == seen[2] != seen[1] == seen[3]

    run(story)


def test_one_who_asks_for_a_version_gets_that_one_or_none(
    stocks: list[Any], request_of: Any
) -> None:
    async def story() -> None:
        async with scene(stocks) as opened:
            first = render_job(request_of()).replace(version="tiny/1")
            assert version_and_image(await rendered(opened.workers, first))[0] == VERSIONS[0]
            await opened.workers.switch_to(opened.open(1))
            (refused,) = await rendered(opened.workers, first)
            assert isinstance(refused, Refused)
            assert refused.reason == "moved"
            assert "tiny/2" in refused.message

    run(story)


def test_one_who_leaves_and_stands_still_is_noticed(stocks: list[Any], request_of: Any) -> None:
    now = [0.0]

    async def story() -> None:
        async with scene(stocks, stuck_seconds=10.0, clock=lambda: now[0]) as opened:
            opened.gates[0].gate.clear()
            last = asyncio.create_task(rendered(opened.workers, render_job(request_of())))
            await asyncio.sleep(0)
            change = asyncio.create_task(opened.workers.switch_to(opened.open(1)))
            await asyncio.sleep(0)
            opened.workers.check_health()
            now[0] += 11
            with pytest.raises(EngineError, match="made no progress for"):
                opened.workers.check_health()
            opened.gates[0].gate.set()
            await asyncio.gather(last, change)
            opened.workers.check_health()

    run(story)
