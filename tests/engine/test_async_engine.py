"""Many callers, one engine: awaiting, streaming, cancelling, refusing, draining, breaking."""

import asyncio
from collections.abc import Awaitable, Callable
from threading import Event, current_thread
from typing import Any

import numpy as np
import pytest
import torch

from app.engine.async_engine import AsyncEngine
from app.engine.engine import Engine
from app.engine.pipeline import Rows
from app.engine.results import Preview, RenderedImage
from app.engine.state import Delivery, ServiceClass
from app.errors import EngineError, NotFinite, OutOfBounds, OutOfCapacity
from app.models.sd3 import Sd3Pipeline
from tests.engine.engines import LENGTH, engine_of, render_all


class Gated(Sd3Pipeline):
    """Lets steps pass only while its gate is open; notes which threads came."""

    def __init__(self, stock: Any) -> None:
        super().__init__(stock, max_sequence_length=LENGTH)
        self.gate = Event()
        self.gate.set()
        self.threads: set[str] = set()
        self.steps = 0
        self.broken = False

    def predict(self, rows: Rows) -> torch.Tensor:
        assert self.gate.wait(60)
        self.threads.add(current_thread().name)
        self.steps += 1
        if self.broken:
            raise ZeroDivisionError("a bug")
        return super().predict(rows)


def serve(
    pipeline: Gated, story: Callable[[AsyncEngine, Engine], Awaitable[None]], **options: Any
) -> None:
    """Run a story against an engine and drain it afterwards."""

    async def run_story() -> None:
        engine = engine_of(pipeline, 8)
        served = AsyncEngine(engine, **options)
        try:
            await story(served, engine)
        finally:
            pipeline.gate.set()
            await served.drain()

    asyncio.run(run_story())


def test_callers_share_steps_and_each_gets_its_own_image(stock: Any, request_of: Any) -> None:
    requests = [request_of(seed=seed, guidance_scale=0.0) for seed in range(6)]
    alone = render_all(engine_of(Sd3Pipeline(stock, max_sequence_length=LENGTH), 8), requests)
    pipeline = Gated(stock)
    pipeline.gate.clear()

    async def story(served: AsyncEngine, engine: Engine) -> None:
        tasks = [asyncio.create_task(served.generate(request)) for request in requests]
        await asyncio.sleep(0)  # every task has asked
        pipeline.gate.set()
        for request, rendered in zip(requests, await asyncio.gather(*tasks), strict=True):
            assert np.array_equal(rendered.pixels, alone[request.id].pixels)
        assert served.in_flight == 0
        assert engine.forward_passes <= 5  # the first may have begun before the others came

    serve(pipeline, story)
    assert pipeline.threads == {"engine"}


def test_previews_stream_before_the_image(stock: Any, request_of: Any) -> None:
    async def story(served: AsyncEngine, engine: Engine) -> None:
        events = [
            event
            async for event in served.stream(
                request_of(num_inference_steps=5), Delivery(preview_every=1)
            )
        ]
        assert [event.step for event in events[:-1] if isinstance(event, Preview)] == [1, 2, 3, 4]
        assert isinstance(events[-1], RenderedImage)

    serve(Gated(stock), story)


def test_a_caller_that_goes_away_frees_its_rows_within_a_step(stock: Any, request_of: Any) -> None:
    pipeline = Gated(stock)

    async def story(served: AsyncEngine, engine: Engine) -> None:
        begun = asyncio.Event()

        async def watch() -> None:
            request = request_of(num_inference_steps=200)
            async for _ in served.stream(request, Delivery(preview_every=1)):
                begun.set()

        task = asyncio.create_task(watch())
        await begun.wait()
        pipeline.gate.clear()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        steps = pipeline.steps
        pipeline.gate.set()
        while served.in_flight:
            await asyncio.sleep(0)
        assert pipeline.steps <= steps + 2  # the one under way, and the one held at the gate

    serve(pipeline, story)


def test_a_request_cancelled_before_its_turn_never_runs(stock: Any, request_of: Any) -> None:
    pipeline = Gated(stock)

    async def story(served: AsyncEngine, engine: Engine) -> None:
        task = asyncio.create_task(served.generate(request_of(num_inference_steps=200)))
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        await served.generate(request_of(seed=1, num_inference_steps=2))
        assert served.in_flight == 0
        assert engine.row_steps <= 4 + 2 * 2

    serve(pipeline, story)


def test_failures_reach_the_caller_as_errors(stock: Any, request_of: Any) -> None:
    pipeline = Gated(stock)

    async def story(served: AsyncEngine, engine: Engine) -> None:
        with pytest.raises(OutOfBounds, match="18x16"):
            await served.generate(request_of(width=18))
        with pytest.raises(NotFinite):
            await served.generate(request_of(prompt="p", guidance_scale=30.0, seed=1))

    poisoned = pipeline.predict
    pipeline.predict = lambda rows: poisoned(rows) * float("nan")  # type: ignore[method-assign]
    serve(pipeline, story)


def test_a_full_engine_refuses_and_says_that_later_will_do(stock: Any, request_of: Any) -> None:
    pipeline = Gated(stock)
    pipeline.gate.clear()

    async def story(served: AsyncEngine, engine: Engine) -> None:
        tasks = [asyncio.create_task(served.generate(request_of(seed=s))) for s in range(2)]
        await asyncio.sleep(0)
        with pytest.raises(OutOfCapacity, match="try again later"):
            await served.generate(request_of(seed=9))
        pipeline.gate.set()
        await asyncio.gather(*tasks)
        await served.generate(request_of(seed=9))

    serve(pipeline, story, capacity=2)


def test_draining_finishes_what_was_accepted_and_refuses_the_rest(
    stock: Any, request_of: Any
) -> None:
    pipeline = Gated(stock)
    pipeline.gate.clear()

    async def story(served: AsyncEngine, engine: Engine) -> None:
        task = asyncio.create_task(served.generate(request_of()))
        await asyncio.sleep(0)
        draining = asyncio.create_task(served.drain())
        await asyncio.sleep(0)
        with pytest.raises(OutOfCapacity, match="draining"):
            await served.generate(request_of(seed=1))
        pipeline.gate.set()
        assert isinstance(await task, RenderedImage)
        await draining
        assert not engine.busy

    serve(pipeline, story)


def test_a_request_can_be_given_another_priority_while_it_waits(
    stock: Any, request_of: Any
) -> None:
    pipeline = Gated(stock)
    pipeline.gate.clear()

    async def story(served: AsyncEngine, engine: Engine) -> None:
        order: list[int] = []

        async def finish(handle: Any) -> None:
            async for event in handle.events():
                if isinstance(event, RenderedImage):
                    order.append(event.request.seed)

        handles = [served.submit(request_of(seed=s, num_inference_steps=9)) for s in range(9)]
        served.prioritise(handles[8], Delivery(ServiceClass.INTERACTIVE))
        tasks = [asyncio.create_task(finish(handle)) for handle in handles]
        pipeline.gate.set()
        await asyncio.gather(*tasks)
        assert order.index(8) < 5  # four share the first steps; it does not come last

    serve(pipeline, story)


def test_an_engine_that_breaks_tells_everybody_and_accepts_nobody(
    stock: Any, request_of: Any
) -> None:
    pipeline = Gated(stock)
    pipeline.broken = True

    async def story(served: AsyncEngine, engine: Engine) -> None:
        for words in ("broke while", "start a new one"):
            with pytest.raises(EngineError, match=words) as raised:
                await served.generate(request_of())
            assert isinstance(raised.value.__cause__, ZeroDivisionError)

    serve(pipeline, story)
