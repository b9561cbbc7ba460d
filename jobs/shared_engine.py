"""One engine with a model at work, asked for previews and for bulk at once; it reads the clock."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import asynccontextmanager
from itertools import count
from time import perf_counter

from app.engine.async_engine import AsyncEngine
from app.engine.engine import Engine
from app.engine.state import Delivery, Service
from app.types import GenerationRequest
from jobs.sharing import POLISH, UNDER_WAY
from jobs.traces import Arrival

PREVIEW = Delivery(Service.INTERACTIVE, team="art")
BULK = Delivery(Service.BULK, team="props")
SETTLED = 0.5
"""Seconds after which bulk fills the engine, and counting begins."""


class SharedEngine:
    """Owns an engine; every request differs by its seed, so that nothing is found again."""

    def __init__(self, engine: Engine, side: int) -> None:
        self._engine, self._side = engine, side
        self._served = AsyncEngine(engine)
        self._seeds = count()

    async def bulk_alone(self, seconds: float) -> float:
        """Row-steps a second of nothing but bulk."""
        async with self.bulk():
            before, started = self._engine.row_steps, perf_counter()
            await asyncio.sleep(seconds)
            return (self._engine.row_steps - before) / (perf_counter() - started)

    @asynccontextmanager
    async def bulk(self) -> AsyncGenerator[None]:
        """As much bulk in flight as a replica takes, as long as this is open."""
        hands = [asyncio.create_task(self._bulk()) for _ in range(UNDER_WAY)]
        try:
            await asyncio.sleep(SETTLED)
            yield
        finally:
            for hand in hands:
                hand.cancel()
            await asyncio.gather(*hands, return_exceptions=True)

    async def previews(self, arrivals: Sequence[Arrival]) -> tuple[list[float], float]:
        """Seconds from each arrival to its picture; and everybody else's row-steps a second."""
        before, started = self._engine.row_steps, perf_counter()
        waits = await asyncio.gather(*(self._preview(one, started) for one in arrivals))
        mine = sum(one.row_steps for one in arrivals)
        seconds = perf_counter() - started
        return list(waits), (self._engine.row_steps - before - mine) / seconds

    async def close(self) -> None:
        """Let what is under way end."""
        await self._served.drain()

    async def _bulk(self) -> None:
        while True:
            await self._served.generate(self._request(POLISH[1], guidance=4.0), BULK)

    async def _preview(self, arrival: Arrival, started: float) -> float:
        await asyncio.sleep(max(started + arrival.at - perf_counter(), 0))
        guidance = 4.0 if arrival.guided else 1.0
        await self._served.generate(self._request(arrival.steps, guidance=guidance), PREVIEW)
        return perf_counter() - started - arrival.at

    def _request(self, steps: int, *, guidance: float) -> GenerationRequest:
        return GenerationRequest(
            prompt="a red potion", width=self._side, height=self._side,
            num_inference_steps=steps, guidance_scale=guidance, seed=next(self._seeds),
        )  # fmt: skip
