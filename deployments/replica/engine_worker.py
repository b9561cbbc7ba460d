"""Renders jobs of many callers with one engine; does not know Ray."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from time import monotonic, perf_counter

from app.api.responses import ServedImage
from app.check.text_readback import read_back
from app.engine.async_engine import AsyncEngine, RequestHandle
from app.engine.engine import Engine
from app.engine.pipeline import Start
from app.engine.results import Preview, RenderedImage
from app.engine.state import Delivery, ServiceClass
from app.errors import AtelierError, EngineError, InvalidRequest, OutOfCapacity
from app.generate.provenance import provenance_of
from app.image.init_image import latents_bytes, read_init_image
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

DEADLINE_PASSED = Refused(
    reason="late", message="the deadline passed before all images were finished"
)
FAILED_MESSAGE = "the engine failed on this call; retry, and report it if it stays"


class InputFiles:
    """The images and latents that jobs in flight start from, by digest."""

    def __init__(self) -> None:
        self._files: dict[str, bytes] = {}
        self._users: Counter[str] = Counter()

    def __call__(self, digest: str) -> Start:
        """Returns the pixels or latents. Raises InvalidRequest if missing, BadImage if faulty."""
        if digest not in self._files:
            raise InvalidRequest(f"image {digest[:12]} was not sent with the request; send it too")
        return read_init_image(self._files[digest])

    @contextmanager
    def holding(self, files: Mapping[str, bytes]) -> Iterator[None]:
        """Holds the files until the context ends, or longer if another job uses them."""
        self._files |= files
        self._users.update(files.keys())
        try:
            yield
        finally:
            self._users.subtract(files.keys())
            for digest in [digest for digest in files if not self._users[digest]]:
                del self._files[digest], self._users[digest]


class EngineWorker:
    """Renders jobs with one engine; accepts all images of a job or none.

    At most `capacity` interactive images are in flight, and as many of class bulk. An engine with
    images in flight that ends no step and no image for `stuck_seconds` is stuck. `input_files` is
    what the engine was given to read input images from.
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
        self._ended_images = 0
        self._broken: EngineError | None = None
        self._progress = (0, 0)
        self._progress_at = clock()

    @property
    def model(self) -> ModelVersion:
        """Returns the model version of the engine."""
        return self._route.model

    async def render(self, job: RenderJob) -> AsyncGenerator[RenderEvent]:
        """Yields events as they arrive; closing it frees the job's rows before the next step."""
        with self._input_files.holding(job.files):
            try:
                handles = self._accept(job)
            except AtelierError as error:
                yield self._refused(error)
                return
            events: asyncio.Queue[RenderEvent] = asyncio.Queue()
            tasks = [
                asyncio.create_task(self._encode_events(index, handle, events, job.call))
                for index, handle in enumerate(handles)
            ]
            deadline = _deadline_timer(job, events)
            try:
                missing = len(tasks)
                while missing:
                    event = await events.get()
                    missing -= isinstance(event, ImageDone)
                    if isinstance(event, Refused):
                        missing = 0
                    yield event
            finally:
                if deadline:
                    deadline.cancel()
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def state(self) -> ReplicaState:
        """Returns the images in flight and the engine's counters."""
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
        """Raises EngineError when the engine broke or is stuck."""
        if self._broken is not None:
            raise self._broken
        now, progress = self._clock(), (self._engine.forward_passes, self._ended_images)
        if progress != self._progress or not self._async_engine.in_flight:
            self._progress, self._progress_at = progress, now
        if now - self._progress_at > self._stuck_seconds:
            raise EngineError(
                f"the engine has {self._async_engine.in_flight} images in flight and made no "
                f"progress for {now - self._progress_at:.0f} s; replace this replica"
            )

    async def drain(self) -> None:
        """Refuses new jobs and waits for those in flight."""
        await self._async_engine.drain()

    def _accept(self, job: RenderJob) -> list[RequestHandle]:
        """Submits all requests or none: nothing is awaited between the check and the submits."""
        images, service = len(job.requests), _service_class(job)
        in_flight = self._async_engine.in_flight_of(service)
        if in_flight + images > self._capacity:
            raise OutOfCapacity(
                f"{in_flight} of at most {self._capacity} {'bulk' if job.bulk else 'interactive'} "
                f"images are in flight, so {images} more do not fit; retry later"
            )
        return [
            self._async_engine.submit(request, self._delivery(request, job))
            for request in job.requests
        ]

    def _delivery(self, request: GenerationRequest, job: RenderJob) -> Delivery:
        deadline_ms = job.deadline_ms
        return Delivery(
            service=_service_class(job),
            deadline=None if deadline_ms is None else self._clock() + deadline_ms / 1000,
            preview_every=job.preview_every,
            keep_latents=True,
            team=request.tags.team,
            share=job.share,
            priority=request.tags.priority,
        )

    async def _encode_events(
        self, index: int, handle: RequestHandle, events: "asyncio.Queue[RenderEvent]", call: str
    ) -> None:
        """Puts one request's previews and image into the queue as PNG, encoded in threads."""
        started_at, ending, seconds = perf_counter(), "cancelled", dict[str, float]()
        try:
            async with aclosing(handle.events()) as results:
                async for result in results:
                    if isinstance(result, Preview):
                        preview = await asyncio.to_thread(self._partial_image, index, result)
                        events.put_nowait(preview)
                    else:
                        seconds = _stages(perf_counter() - started_at, result)
                        done = await asyncio.to_thread(self._image_done, index, result)
                        seconds["encode"] = perf_counter() - started_at - sum(seconds.values())
                        events.put_nowait(done.replace(stages=seconds))
                        ending = "made"
        except AtelierError as error:
            ending = type(error).__name__
            events.put_nowait(self._refused(error))
        finally:
            self._ended_images += 1
            log_image(call, handle.request.id, handle.ticket, ending, seconds)

    def _partial_image(self, index: int, preview: Preview) -> PartialImage:
        size = Size(width=preview.request.width, height=preview.request.height)
        png = png_bytes(resize(preview.pixels, size), text=page_text())
        return PartialImage(index=index, step=preview.step, png=png)

    def _image_done(self, index: int, rendered: RenderedImage) -> ImageDone:
        """Returns the image, with the bytes that a run of a plan writes for this request."""
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
        if type(error) is EngineError:  # the engine itself, not one request
            self._broken = error
        if isinstance(error, OutOfCapacity):
            return Refused(reason="capacity", message=str(error))
        if isinstance(error, InvalidRequest):
            return Refused(reason="invalid", message=str(error))
        return Refused(reason="failed", message=FAILED_MESSAGE)


def _service_class(job: RenderJob) -> ServiceClass:
    return ServiceClass.BULK if job.bulk else ServiceClass.INTERACTIVE


def _stages(elapsed: float, rendered: RenderedImage) -> dict[str, float]:
    """Returns seconds by stage; all time without engine work on this image counts as queue."""
    return {"queue": max(elapsed - rendered.seconds, 0.0), "engine": rendered.seconds}


def _deadline_timer(
    job: RenderJob, events: "asyncio.Queue[RenderEvent]"
) -> asyncio.TimerHandle | None:
    if job.deadline_ms is None:
        return None
    loop = asyncio.get_running_loop()
    return loop.call_later(job.deadline_ms / 1000, events.put_nowait, DEADLINE_PASSED)
