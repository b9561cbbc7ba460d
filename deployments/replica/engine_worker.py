"""One engine at work for many callers: commissions in, sketches and pictures out; knows no Ray."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from time import monotonic, perf_counter

from app.api.responses import Painted
from app.check.text_readback import read_back
from app.engine.async_engine import Asked, AsyncEngine
from app.engine.engine import Engine
from app.engine.results import Preview, Rendered
from app.engine.state import Delivery, Service
from app.errors import AtelierError, EngineError, InvalidRequest, OutOfCapacity
from app.generate.provenance import provenance_of
from app.image.init_image import latents_bytes
from app.image.png import png_bytes
from app.image.resize import resize
from app.store.png_metadata import image_text, page_text
from app.types import GenerationRequest, ModelVersion, Route, Size
from deployments.messages import Commission, Picture, ReplicaState, Sketch, Turned, Word
from deployments.monitoring.call_log import tell_image
from deployments.replica.inputs import Album

LATE = Turned(reason="late", message="the deadline passed before the pictures were done")
FAILED = "the engine could not paint this; ask again, and if it stays so tell whoever runs it"


class Studio:
    """Paints with one engine, each commission as a whole or not at all.

    At most `capacity` images that people wait for are under way, and as many of bulk, which has
    room of its own so that it never takes theirs. `stuck_seconds` without a step or a picture while
    something is under way is a stuck engine. `album` is where the engine looks for the pictures
    that requests start from.
    """

    def __init__(
        self,
        engine: Engine,
        model: ModelVersion,
        *,
        capacity: int,
        stuck_seconds: float,
        album: Album | None = None,
        usd_per_hour: float = 0.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._engine = engine
        self._served = AsyncEngine(engine, capacity=capacity)
        self._capacity = capacity
        self._route = Route(backend="engine", model=model, reason="deployed")
        self._stuck_seconds = stuck_seconds
        self._album = album or Album()
        self._usd_per_hour = usd_per_hour
        self._clock = clock
        self._ended = 0
        self._broken: EngineError | None = None
        self._seen = (0, 0)
        self._moved = clock()

    @property
    def model(self) -> ModelVersion:
        """The version that paints here."""
        return self._route.model

    async def paint(self, commission: Commission) -> AsyncGenerator[Word]:
        """Words as they come; closing it early frees its rows before the next step."""
        with self._album.lent(commission.files):
            async with aclosing(self._painted(commission)) as words:
                async for word in words:
                    yield word

    async def _painted(self, commission: Commission) -> AsyncGenerator[Word]:
        words: asyncio.Queue[Word] = asyncio.Queue()
        try:
            asked = self._accept(commission)
        except AtelierError as error:
            yield self._turned(error)
            return
        hands = [
            asyncio.create_task(self._listen(index, one, words, commission.call))
            for index, one in enumerate(asked)
        ]
        due = _due(commission, words)
        try:
            missing = len(hands)
            while missing:
                word = await words.get()
                missing = 0 if isinstance(word, Turned) else missing - isinstance(word, Picture)
                yield word
        finally:
            if due:
                due.cancel()
            for hand in hands:
                hand.cancel()
            await asyncio.gather(*hands, return_exceptions=True)

    async def state(self) -> ReplicaState:
        """What is under way, and the engine's counters."""
        return ReplicaState(
            model=self.model,
            in_flight=self._served.in_flight,
            bulk_in_flight=self._served.in_flight_of(Service.BULK),
            forward_passes=self._engine.forward_passes,
            row_steps=self._engine.row_steps,
            exact_rows={
                f"{width}x{height}": counts
                for (width, height), counts in self._engine.exact_rows.items()
            },
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
        wanted, service = len(commission.requests), _service(commission)
        under_way = self._served.in_flight_of(service)
        if under_way + wanted > self._capacity:
            raise OutOfCapacity(
                f"{under_way} images{' of bulk' if commission.bulk else ''} of at most "
                f"{self._capacity} are under way and {wanted} more do not fit; ask again later"
            )
        return [
            self._served.submit(request, self._delivery(request, commission))
            for request in commission.requests
        ]

    def _delivery(self, request: GenerationRequest, commission: Commission) -> Delivery:
        due = commission.deadline_ms
        return Delivery(
            service=_service(commission),
            deadline=None if due is None else self._clock() + due / 1000,
            preview_every=commission.preview_every,
            keep_latents=True,
            team=request.tags.team,
            share=commission.share,
            priority=request.tags.priority,
        )

    async def _listen(
        self, index: int, asked: Asked, words: "asyncio.Queue[Word]", call: str
    ) -> None:
        began, ending, seconds = perf_counter(), "cancelled", dict[str, float]()
        try:
            async with aclosing(asked.words()) as said:
                async for one in said:
                    if isinstance(one, Preview):
                        words.put_nowait(await asyncio.to_thread(self._sketch, index, one))
                    else:
                        seconds = _stages(perf_counter() - began, one)
                        picture = await asyncio.to_thread(self._picture, index, one)
                        seconds["encode"] = perf_counter() - began - sum(seconds.values())
                        words.put_nowait(picture.replace(stages=seconds))
                        ending = "made"
        except AtelierError as error:
            ending = type(error).__name__
            words.put_nowait(self._turned(error))
        finally:
            self._ended += 1
            tell_image(call, asked.request.id, asked.ticket, ending, seconds)

    def _sketch(self, index: int, preview: Preview) -> Sketch:
        size = Size(width=preview.request.width, height=preview.request.height)
        png = png_bytes(resize(preview.pixels, size), text=page_text())
        return Sketch(index=index, step=preview.step, png=png)

    def _picture(self, index: int, rendered: Rendered) -> Picture:
        """The same bytes as a run of a plan writes for this request."""
        provenance = provenance_of(rendered, self._route, attempt=1)
        painted = Painted(
            request=rendered.request,
            png=png_bytes(rendered.pixels, text=image_text(provenance)),
            latents=None if rendered.latents is None else latents_bytes(rendered.latents),
            provenance=provenance,
            seconds=rendered.seconds,
            cost_usd=rendered.seconds * self._usd_per_hour / 3600,
            text=read_back(rendered.pixels, rendered.request.text_layers),
        )
        return Picture(index=index, painted=painted)

    def _turned(self, error: AtelierError) -> Turned:
        if type(error) is EngineError:  # not of one request: the engine itself is done for
            self._broken = error
        if isinstance(error, OutOfCapacity):
            return Turned(reason="capacity", message=str(error))
        if isinstance(error, InvalidRequest):
            return Turned(reason="invalid", message=str(error))
        return Turned(reason="failed", message=FAILED)


def _service(commission: Commission) -> Service:
    return Service.BULK if commission.bulk else Service.INTERACTIVE


def _stages(passed: float, rendered: Rendered) -> dict[str, float]:
    """What was not the engine's work on this image was waiting, also for others' rows."""
    return {"queue": max(passed - rendered.seconds, 0.0), "engine": rendered.seconds}


def _due(commission: Commission, words: "asyncio.Queue[Word]") -> asyncio.TimerHandle | None:
    if commission.deadline_ms is None:
        return None
    loop = asyncio.get_running_loop()
    return loop.call_later(commission.deadline_ms / 1000, words.put_nowait, LATE)
