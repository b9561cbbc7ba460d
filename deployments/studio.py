"""One engine at work for many callers: commissions in, sketches and pictures out; knows no Ray."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from time import monotonic

from app.engine.async_engine import Asked, AsyncEngine
from app.engine.engine import Engine
from app.engine.rendered import Preview, Rendered
from app.engine.state import Delivery, Service
from app.errors import AtelierError, EngineError, InvalidRequest, OutOfCapacity
from app.finish.resize import resize
from app.png import png_bytes
from app.provenance import provenance_of
from app.store.metadata import image_text, page_text
from app.types import ModelVersion, Route, Size
from deployments.words import Commission, Picture, ReplicaState, Sketch, Turned, Word

FAILED = "the engine could not paint this; ask again, and if it stays so tell whoever runs it"


class Studio:
    """Paints with one engine, each commission as a whole or not at all.

    At most `capacity` images are under way. `stuck_seconds` without a step or a picture while
    something is under way is a stuck engine.
    """

    def __init__(
        self,
        engine: Engine,
        model: ModelVersion,
        *,
        capacity: int,
        stuck_seconds: float,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._engine = engine
        self._served = AsyncEngine(engine, capacity=capacity)
        self._capacity = capacity
        self._route = Route(backend="engine", model=model, reason="deployed")
        self._stuck_seconds = stuck_seconds
        self._clock = clock
        self._ended = 0
        self._broken: EngineError | None = None
        self._seen = (0, 0)
        self._moved = clock()

    async def paint(self, commission: Commission) -> AsyncGenerator[Word]:
        """Words as they come; closing it early frees its rows before the next step."""
        words: asyncio.Queue[Word] = asyncio.Queue()
        try:
            asked = self._accept(commission)
        except AtelierError as error:
            yield self._turned(error)
            return
        hands = [
            asyncio.create_task(self._listen(index, one, words)) for index, one in enumerate(asked)
        ]
        try:
            missing = len(hands)
            while missing:
                word = await words.get()
                missing = 0 if isinstance(word, Turned) else missing - isinstance(word, Picture)
                yield word
        finally:
            for hand in hands:
                hand.cancel()
            await asyncio.gather(*hands, return_exceptions=True)

    async def state(self) -> ReplicaState:
        """What is under way, and the engine's counters."""
        return ReplicaState(
            model=self._route.model.reference,
            in_flight=self._served.in_flight,
            forward_passes=self._engine.forward_passes,
            row_steps=self._engine.row_steps,
        )

    def check(self) -> None:
        """Raises EngineError when the engine broke, or stands still with work under way."""
        if self._broken is not None:
            raise self._broken
        now, seen = self._clock(), (self._engine.forward_passes, self._ended)
        if seen != self._seen or not self._served.in_flight:
            self._seen, self._moved = seen, now
        if now - self._moved > self._stuck_seconds:
            raise EngineError(
                f"the engine holds {self._served.in_flight} images and has not moved for "
                f"{now - self._moved:.0f} s; replace this replica"
            )

    async def drain(self) -> None:
        """Refuse what comes, and wait for what is under way."""
        await self._served.drain()

    def _accept(self, commission: Commission) -> list[Asked]:
        """All or none; only this loop submits, so nobody takes the room in between."""
        wanted, under_way = len(commission.requests), self._served.in_flight
        if under_way + wanted > self._capacity:
            raise OutOfCapacity(
                f"{under_way} images of at most {self._capacity} are under way and {wanted} more "
                "do not fit; ask again later"
            )
        delivery = Delivery(service=Service.INTERACTIVE, preview_every=commission.preview_every)
        return [self._served.submit(request, delivery) for request in commission.requests]

    async def _listen(self, index: int, asked: Asked, words: "asyncio.Queue[Word]") -> None:
        try:
            async with aclosing(asked.words()) as said:
                async for one in said:
                    if isinstance(one, Preview):
                        words.put_nowait(await asyncio.to_thread(self._sketch, index, one))
                    else:
                        words.put_nowait(await asyncio.to_thread(self._picture, index, one))
        except AtelierError as error:
            words.put_nowait(self._turned(error))
        finally:
            self._ended += 1

    def _sketch(self, index: int, preview: Preview) -> Sketch:
        size = Size(width=preview.request.width, height=preview.request.height)
        png = png_bytes(resize(preview.pixels, size), text=page_text())
        return Sketch(index=index, step=preview.step, png=png)

    def _picture(self, index: int, rendered: Rendered) -> Picture:
        """The same bytes as a run of a plan writes for this request."""
        text = image_text(provenance_of(rendered, self._route, attempt=1))
        png = png_bytes(rendered.pixels, text=text)
        return Picture(index=index, png=png, seconds=rendered.seconds)

    def _turned(self, error: AtelierError) -> Turned:
        if type(error) is EngineError:  # not of one request: the engine itself is done for
            self._broken = error
        if isinstance(error, OutOfCapacity):
            return Turned(reason="capacity", message=str(error))
        if isinstance(error, InvalidRequest):
            return Turned(reason="invalid", message=str(error))
        return Turned(reason="failed", message=FAILED)
