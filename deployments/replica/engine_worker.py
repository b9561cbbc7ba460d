"""One engine that serves many callers: jobs in, previews and images out; does not know Ray."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from time import monotonic, perf_counter

from app.api.responses import ServedImage
from app.check.text_readback import read_back
from app.engine.async_engine import AsyncEngine, RequestHandle
from app.engine.engine import Engine
from app.engine.results import Preview, RenderedImage
from app.engine.state import Delivery, ServiceClass
from app.errors import AtelierError, EngineError, InvalidRequest, OutOfCapacity
from app.generate.provenance import provenance_of
from app.image.init_image import latents_bytes
from app.image.png import png_bytes
from app.image.resize import resize
from app.store.png_metadata import image_text, page_text
from app.types import GenerationRequest, ModelVersion, Route, Size
from deployments.messages import (
    ImageDone,
    PartialImage,
    Refused,
    RenderEvent,
    RenderJob,
    ReplicaState,
)
from deployments.monitoring.call_log import log_image
from deployments.replica.inputs import InputFiles

DEADLINE_PASSED = Refused(
    reason="late", message="the deadline passed before the pictures were done"
)
FAILED_MESSAGE = (
    "the engine could not paint this; ask again, and if it stays so tell whoever runs it"
)


class EngineWorker:
    """Renders with one engine, each job as a whole or not at all.

    At most `capacity` interactive images are in flight, and as many of bulk, which has a capacity
    of its own so that it never takes theirs. An engine with work in flight that makes no step and
    no image for `stuck_seconds` is stuck. `input_files` is where the engine looks for the images
    that requests start from.
    """

    def __init__(
        self,
        engine: Engine,
        model: ModelVersion,
        *,
        capacity: int,
        stuck_seconds: float,
        input_files: InputFiles | None = None,
        usd_per_hour: float = 0.0,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._engine = engine
        self._async_engine = AsyncEngine(engine, capacity=capacity)
        self._capacity = capacity
        self._route = Route(backend="engine", model=model, reason="deployed")
        self._stuck_seconds = stuck_seconds
        self._input_files = input_files or InputFiles()
        self._usd_per_hour = usd_per_hour
        self._clock = clock
        self._ended = 0
        self._broken: EngineError | None = None
        self._progress = (0, 0)
        self._progress_at = clock()

    @property
    def model(self) -> ModelVersion:
        """Returns the version that this engine renders with."""
        return self._route.model

    async def render(self, job: RenderJob) -> AsyncGenerator[RenderEvent]:
        """Yields events as they arrive; closing it frees the job's rows before the next step."""
        with self._input_files.holding(job.files):
            async with aclosing(self._render(job)) as events:
                async for event in events:
                    yield event

    async def _render(self, job: RenderJob) -> AsyncGenerator[RenderEvent]:
        events: asyncio.Queue[RenderEvent] = asyncio.Queue()
        try:
            handles = self._accept(job)
        except AtelierError as error:
            yield self._refused(error)
            return
        hands = [
            asyncio.create_task(self._forward_events(index, handle, events, job.call))
            for index, handle in enumerate(handles)
        ]
        due = _deadline_timer(job, events)
        try:
            missing = len(hands)
            while missing:
                event = await events.get()
                missing = (
                    0 if isinstance(event, Refused) else missing - isinstance(event, ImageDone)
                )
                yield event
        finally:
            if due:
                due.cancel()
            for hand in hands:
                hand.cancel()
            await asyncio.gather(*hands, return_exceptions=True)

    async def state(self) -> ReplicaState:
        """Returns what is in flight, and the engine's counters."""
        return ReplicaState(
            model=self.model,
            in_flight=self._async_engine.in_flight,
            bulk_in_flight=self._async_engine.in_flight_of(ServiceClass.BULK),
            forward_passes=self._engine.forward_passes,
            row_steps=self._engine.row_steps,
            exact_rows={
                f"{width}x{height}": counts
                for (width, height), counts in self._engine.exact_rows.items()
            },
        )

    def check(self) -> None:
        """Raises EngineError when the engine broke, or makes no progress with work in flight."""
        if self._broken is not None:
            raise self._broken
        now, seen = self._clock(), (self._engine.forward_passes, self._ended)
        if seen != self._progress or not self._async_engine.in_flight:
            self._progress, self._progress_at = seen, now
        if now - self._progress_at > self._stuck_seconds:
            raise EngineError(
                f"the engine holds {self._async_engine.in_flight} images and has not moved for "
                f"{now - self._progress_at:.0f} s; replace this replica"
            )

    async def drain(self) -> None:
        """Refuses new jobs and waits for those in flight."""
        await self._async_engine.drain()

    def _accept(self, job: RenderJob) -> list[RequestHandle]:
        """Submits all requests or none; only this loop submits, so the capacity stays free."""
        wanted, service = len(job.requests), _service_class(job)
        under_way = self._async_engine.in_flight_of(service)
        if under_way + wanted > self._capacity:
            raise OutOfCapacity(
                f"{under_way} images{' of bulk' if job.bulk else ''} of at most "
                f"{self._capacity} are under way and {wanted} more do not fit; ask again later"
            )
        return [
            self._async_engine.submit(request, self._delivery(request, job))
            for request in job.requests
        ]

    def _delivery(self, request: GenerationRequest, job: RenderJob) -> Delivery:
        due = job.deadline_ms
        return Delivery(
            service=_service_class(job),
            deadline=None if due is None else self._clock() + due / 1000,
            preview_every=job.preview_every,
            keep_latents=True,
            team=request.tags.team,
            share=job.share,
            priority=request.tags.priority,
        )

    async def _forward_events(
        self, index: int, handle: RequestHandle, events: "asyncio.Queue[RenderEvent]", call: str
    ) -> None:
        began, ending, seconds = perf_counter(), "cancelled", dict[str, float]()
        try:
            async with aclosing(handle.events()) as stream:
                async for event in stream:
                    if isinstance(event, Preview):
                        events.put_nowait(
                            await asyncio.to_thread(self._partial_image, index, event)
                        )
                    else:
                        seconds = _stages(perf_counter() - began, event)
                        picture = await asyncio.to_thread(self._image_done, index, event)
                        seconds["encode"] = perf_counter() - began - sum(seconds.values())
                        events.put_nowait(picture.replace(stages=seconds))
                        ending = "made"
        except AtelierError as error:
            ending = type(error).__name__
            events.put_nowait(self._refused(error))
        finally:
            self._ended += 1
            log_image(call, handle.request.id, handle.ticket, ending, seconds)

    def _partial_image(self, index: int, preview: Preview) -> PartialImage:
        size = Size(width=preview.request.width, height=preview.request.height)
        png = png_bytes(resize(preview.pixels, size), text=page_text())
        return PartialImage(index=index, step=preview.step, png=png)

    def _image_done(self, index: int, rendered: RenderedImage) -> ImageDone:
        """Returns an image with the same bytes as a run of a plan writes for this request."""
        provenance = provenance_of(rendered, self._route, attempt=1)
        image = ServedImage(
            request=rendered.request,
            png=png_bytes(rendered.pixels, text=image_text(provenance)),
            latents=None if rendered.latents is None else latents_bytes(rendered.latents),
            provenance=provenance,
            seconds=rendered.seconds,
            cost_usd=rendered.seconds * self._usd_per_hour / 3600,
            text=read_back(rendered.pixels, rendered.request.text_layers),
        )
        return ImageDone(index=index, image=image)

    def _refused(self, error: AtelierError) -> Refused:
        if type(error) is EngineError:  # not of one request: the engine itself is broken
            self._broken = error
        if isinstance(error, OutOfCapacity):
            return Refused(reason="capacity", message=str(error))
        if isinstance(error, InvalidRequest):
            return Refused(reason="invalid", message=str(error))
        return Refused(reason="failed", message=FAILED_MESSAGE)


def _service_class(job: RenderJob) -> ServiceClass:
    return ServiceClass.BULK if job.bulk else ServiceClass.INTERACTIVE


def _stages(passed: float, rendered: RenderedImage) -> dict[str, float]:
    """Returns seconds by stage; all that is not the engine's work on this image counts as queue."""
    return {"queue": max(passed - rendered.seconds, 0.0), "engine": rendered.seconds}


def _deadline_timer(
    job: RenderJob, events: "asyncio.Queue[RenderEvent]"
) -> asyncio.TimerHandle | None:
    if job.deadline_ms is None:
        return None
    loop = asyncio.get_running_loop()
    return loop.call_later(job.deadline_ms / 1000, events.put_nowait, DEADLINE_PASSED)
