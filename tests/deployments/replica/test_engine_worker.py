"""One engine for many callers: shared steps, the same bytes, whole or not at all, never stuck."""

import asyncio
from itertools import pairwise
from threading import Event
from typing import Any

import pytest
import torch

from app.engine.pipeline import Rows
from app.errors import EngineError
from app.image.png import read_png
from app.models.bundled import FOLDERS, bundled_models
from app.models.load import load
from app.models.sd3 import Sd3Pipeline
from app.types import GenerationRequest
from deployments.messages import ImageDone, PartialImage, Refused, RenderEvent
from deployments.replica.engine_worker import EngineWorker
from tests.deployments.workers import SIDE, render_job, rendered, run, worker_of
from tests.engine.engines import LENGTH
from tests.engine.test_async_engine import Gated


def tiny(stock: Any) -> Sd3Pipeline:
    return Sd3Pipeline(stock, max_sequence_length=LENGTH)


def pngs(events: list[RenderEvent]) -> dict[int, bytes]:
    return {event.index: event.image.png for event in events if isinstance(event, ImageDone)}


def test_callers_share_steps_and_get_the_bytes_they_would_get_alone(
    stock: Any, request_of: Any
) -> None:
    requests = [request_of(seed=seed) for seed in range(6)]

    async def story() -> None:
        alone = []
        for request in requests:
            async with worker_of(tiny(stock)) as (worker, _):
                alone.append(pngs(await rendered(worker, render_job(request)))[0])
        pipeline = Gated(stock)
        pipeline.gate.clear()
        async with worker_of(pipeline) as (worker, engine):
            callers = [
                asyncio.create_task(rendered(worker, render_job(request))) for request in requests
            ]
            await asyncio.sleep(0)  # every caller has asked
            pipeline.gate.set()
            together = [pngs(events)[0] for events in await asyncio.gather(*callers)]
            assert engine.forward_passes < 4 * len(requests)
        assert together == alone

    run(story)


@pytest.mark.slow
def test_company_does_not_change_what_the_starter_draws() -> None:
    """Padded to fewer than `EXACT_ROWS`, each of these comes out otherwise alone than together."""
    words = [("a red potion", 1), ("a blue potion", 0), ("a green gem", 1), ("a golden sword", 1)]
    requests = [
        GenerationRequest(
            prompt=prompt, seed=seed, width=64, height=64, num_inference_steps=12, guidance_scale=2
        )
        for prompt, seed in words
    ]
    pipeline = load(FOLDERS["starter"], bundled_models()["starter"])
    assert isinstance(pipeline, Sd3Pipeline)

    async def story() -> None:
        async with worker_of(pipeline) as (worker, _):
            alone = [pngs(await rendered(worker, render_job(request)))[0] for request in requests]
            together = pngs(await rendered(worker, render_job(*requests)))
        assert [together[index] for index in range(len(requests))] == alone

    run(story)


def test_a_call_for_several_images_says_which_is_which(stock: Any, request_of: Any) -> None:
    requests = [request_of(seed=seed) for seed in range(3)]

    async def story() -> None:
        async with worker_of(tiny(stock)) as (worker, _):
            together = pngs(await rendered(worker, render_job(*requests)))
            for index, request in enumerate(requests):
                assert together[index] == pngs(await rendered(worker, render_job(request)))[0]
        assert len(set(together.values())) == 3

    run(story)


def test_sketches_come_before_the_picture_at_its_size(stock: Any, request_of: Any) -> None:
    async def story() -> None:
        async with worker_of(tiny(stock)) as (worker, _):
            events = await rendered(worker, render_job(request_of(), preview_every=1))
        sketches = [event for event in events if isinstance(event, PartialImage)]
        assert [event.step for event in sketches] == [1, 2, 3]
        assert isinstance(events[-1], ImageDone)
        for event in events:
            assert not isinstance(event, Refused)
            png = event.image.png if isinstance(event, ImageDone) else event.png
            assert read_png(png).shape == (SIDE, SIDE, 4)
        assert all(sketch.png != other.png for sketch, other in pairwise(sketches))

    run(story)


def test_a_call_that_fits_in_part_takes_no_room(stock: Any, request_of: Any) -> None:
    pipeline = Gated(stock)
    pipeline.gate.clear()

    async def story() -> None:
        async with worker_of(pipeline, capacity=3) as (worker, _):
            first = asyncio.create_task(
                rendered(worker, render_job(*[request_of(seed=seed) for seed in (1, 2)]))
            )
            await asyncio.sleep(0)
            refused = await rendered(worker, render_job(request_of(seed=3), request_of(seed=4)))
            assert [event.reason for event in refused if isinstance(event, Refused)] == ["capacity"]
            assert (await worker.state()).in_flight == 2
            last = asyncio.create_task(rendered(worker, render_job(request_of(seed=5))))
            await asyncio.sleep(0)
            assert (await worker.state()).in_flight == 3
            pipeline.gate.set()
            assert len(pngs(await first)) == 2
            assert len(pngs(await last)) == 1

    run(story)


def test_a_caller_who_goes_away_frees_all_its_rows_within_a_step(
    stock: Any, request_of: Any
) -> None:
    pipeline = Gated(stock)

    async def story() -> None:
        async with worker_of(pipeline) as (worker, _):
            begun = asyncio.Event()

            async def watch() -> None:
                requests = [request_of(num_inference_steps=200, seed=seed) for seed in (1, 2)]
                async for _ in worker.render(render_job(*requests, preview_every=1)):
                    begun.set()

            caller = asyncio.create_task(watch())
            await begun.wait()
            pipeline.gate.clear()
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
            steps = pipeline.steps
            pipeline.gate.set()
            while (await worker.state()).in_flight:
                await asyncio.sleep(0)
            assert pipeline.steps <= steps + 2  # the one under way, and the one held at the gate

    run(story)


def test_what_cannot_start_is_turned_away_with_its_reason(stock: Any, request_of: Any) -> None:
    async def story() -> None:
        async with worker_of(tiny(stock)) as (worker, _):
            (refused,) = await rendered(worker, render_job(request_of(width=17)))
            assert isinstance(refused, Refused)
            assert refused.reason == "invalid"
            assert "17" in refused.message
            assert len(pngs(await rendered(worker, render_job(request_of())))) == 1

    run(story)


def test_a_draining_worker_finishes_its_jobs_and_accepts_no_more(
    stock: Any, request_of: Any
) -> None:
    pipeline = Gated(stock)
    pipeline.gate.clear()

    async def story() -> None:
        async with worker_of(pipeline) as (worker, _):
            caller = asyncio.create_task(rendered(worker, render_job(request_of())))
            await asyncio.sleep(0)
            leaving = asyncio.create_task(worker.drain())
            await asyncio.sleep(0)
            (refused,) = await rendered(worker, render_job(request_of(seed=1)))
            assert isinstance(refused, Refused)
            assert refused.reason == "capacity"
            pipeline.gate.set()
            assert len(pngs(await caller)) == 1
            await leaving

    run(story)


class StuckPipeline(Gated):
    """Tells when a step has come to the closed gate."""

    def __init__(self, stock: Any) -> None:
        super().__init__(stock)
        self.standing = Event()

    def predict(self, rows: Rows) -> torch.Tensor:
        if not self.gate.is_set():
            self.standing.set()
        return super().predict(rows)


class Clock:
    """Time that passes when it is told to."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_stuck_engine_is_noticed_and_an_idle_or_busy_one_is_not(
    stock: Any, request_of: Any
) -> None:
    pipeline, clock = StuckPipeline(stock), Clock()

    def look(worker: EngineWorker, seconds: float) -> None:
        clock.now += seconds
        worker.check()

    async def story() -> None:
        async with worker_of(pipeline, stuck_seconds=10.0, clock=clock) as (worker, _):
            for _ in range(3):
                look(worker, 100)  # idle, however long
            request = request_of(num_inference_steps=200)
            events = worker.render(render_job(request, preview_every=1))
            for _ in range(3):
                await anext(events)
                look(worker, 9)  # slow, but it moves
            pipeline.gate.clear()
            assert await asyncio.to_thread(pipeline.standing.wait, 60)
            look(worker, 0)
            look(worker, 9)
            with pytest.raises(EngineError, match="made no progress for"):
                look(worker, 9)
            pipeline.gate.set()
            await events.aclose()

    run(story)


def test_a_broken_engine_is_noticed(stock: Any, request_of: Any) -> None:
    pipeline = Gated(stock)
    pipeline.broken = True

    async def story() -> None:
        async with worker_of(pipeline) as (worker, _):
            worker.check()
            (refused,) = await rendered(worker, render_job(request_of()))
            assert isinstance(refused, Refused)
            assert refused.reason == "failed"
            with pytest.raises(EngineError, match="broke"):
                worker.check()

    run(story)
