"""From a caller's request to the events of its images: route, check, claim, render; no Ray."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from secrets import randbelow
from time import perf_counter, time

from app.api.keep import ChosenImage, KeptAsset, keep_image
from app.api.keys import KeyOwner
from app.api.requests import ImagesRequest, KeepRequest, preview_every, to_generation_requests
from app.api.responses import CallResult, Problem, ServedImage
from app.errors import EngineError
from app.fleet.prices import budgets
from app.registry.references import with_fonts
from app.route.by_role import DeployedModel, Role, RoleChoice, choose_role
from app.settings import Settings
from app.store.publish import Store, open_store
from app.types import GenerationRequest, ModelVersion
from deployments.calls.idempotency import CallKey, CallRefused, IdempotencyCache
from deployments.calls.init_images import (
    InitImage,
    SentFiles,
    from_recent,
    from_sent_files,
    unknown_image,
)
from deployments.calls.live_fleet import LiveFleet
from deployments.calls.rate_limit import RateLimiter
from deployments.calls.recent_images import RecentImage, RecentImages
from deployments.messages import (
    ImageDone,
    PartialImage,
    Refused,
    Renderer,
    RenderJob,
    ReplicaState,
    Started,
)
from deployments.monitoring.call_log import CallRecord, observe_call
from deployments.monitoring.metrics import Metrics, WaitingImages
from deployments.monitoring.scrape import MetricsPage, Replicas

SEEDS = 2**32
REFUSAL_STATUS = {
    "invalid": (422, "invalid_request"),
    "failed": (500, "generation_failed"),
    "queue": (429, "queue_full"),
    "late": (504, "deadline_exceeded"),
    "moved": (503, "version_moved"),
}
"""Status and code of a renderer's refusals; any other reason means that there is no capacity."""


@dataclass(frozen=True, slots=True)
class Call:
    """The caller, the files sent along, and the key under which the call may be repeated."""

    owner: KeyOwner = field(default_factory=KeyOwner)
    files: SentFiles | None = None
    key: CallKey | None = None
    record: CallRecord = field(default_factory=CallRecord)
    bulk: bool = False
    """Whether nobody waits for it: it runs behind every interactive call."""


@dataclass(frozen=True, slots=True)
class PartialImageEvent:
    """A preview of one image of a call; `partial_index` counts that image's previews."""

    request: GenerationRequest
    choice: RoleChoice
    partial: PartialImage
    partial_index: int


@dataclass(frozen=True, slots=True)
class CompletedImageEvent:
    """One finished image of a call; `index` is its place in the order of seeds."""

    image: ServedImage
    choice: RoleChoice
    index: int


@dataclass(frozen=True, slots=True)
class _ResolvedCall:
    """A call that was checked: the model that was chosen and the requests it renders."""

    body: ImagesRequest
    choice: RoleChoice
    requests: tuple[GenerationRequest, ...]
    files: Mapping[str, bytes]


class CallService:
    """Handles calls for the deployed models; `renderers` has one for each role of `fleet`.

    At most `max_bulk_calls` bulk calls are in flight, so that interactive calls find capacity.
    """

    def __init__(
        self,
        fleet: LiveFleet,
        renderers: Mapping[Role, Renderer],
        idempotency: IdempotencyCache,
        recent_images: RecentImages,
        rate_limiter: RateLimiter,
        settings: Settings,
        *,
        retry_after_seconds: int,
        metrics: Metrics | None = None,
        replicas: Replicas | None = None,
        max_bulk_calls: int = 64,
        random_below: Callable[[int], int] = randbelow,
        clock: Callable[[], float] = time,
    ) -> None:
        self._fleet = fleet
        self._renderers = renderers
        self._idempotency = idempotency
        self._recent_images = recent_images
        self._rate_limiter = rate_limiter
        self._settings = settings
        self._budgets = budgets(settings)
        self._retry_after = retry_after_seconds
        self._metrics = metrics or Metrics()
        self._scrape = MetricsPage(self._metrics, settings, replicas=replicas)
        self._max_bulk_calls, self._bulk_calls = max_bulk_calls, 0
        self._random_below = random_below
        self._clock = clock

    @property
    def fleet(self) -> tuple[DeployedModel, ...]:
        """Returns what is deployed now."""
        return self._fleet.served

    async def complete(self, body: ImagesRequest, call: Call) -> CallResult:
        """Returns all images of a call; raises what `stream` raises."""
        async with aclosing(self.stream(body, call)) as events:
            async for event in events:
                if isinstance(event, CallResult):
                    return event
        raise EngineError("a call ended without a word")

    async def stream(
        self, body: ImagesRequest, call: Call
    ) -> AsyncGenerator[PartialImageEvent | CompletedImageEvent | CallResult]:
        """Yields previews and images as they come, and at the end the whole result.

        A call with a key that was answered before is answered with the same images. Raises
        ModelNotFound, NoRoute, OutOfBounds or BadImage before any work, and CallRefused when a key,
        a rate limit or the renderer refuses.
        """
        with observe_call(call.record, self._metrics):
            order = await self._resolve(body, call)
            self._routed(call.record)
            with self._idempotency.claim(call.key) as claim:
                if claim.made is None:
                    with (
                        self._bulk_slot(call),
                        self._rate_limiter.claim(call.owner, len(order.requests)),
                    ):
                        async with aclosing(self._render(order, call)) as events:
                            async for event in events:
                                if isinstance(event, CallResult):
                                    claim.keep(event)
                                    call.record.complete()
                                yield event
                    return
            self._metrics.cache_hits.labels("answers").inc()
            call.record.complete()
            for image, painted in enumerate(claim.made.images):
                yield CompletedImageEvent(painted, claim.made.choice, image)
            yield claim.made

    @contextmanager
    def _bulk_slot(self, call: Call) -> Iterator[None]:
        if call.bulk and self._bulk_calls >= self._max_bulk_calls:
            message = f"{self._bulk_calls} calls of bulk are under way; ask again later"
            raise CallRefused(self._problem(Refused(reason="queue", message=message)))
        self._bulk_calls += call.bulk
        try:
            yield
        finally:
            self._bulk_calls -= call.bulk

    async def metrics(self) -> bytes:
        """Returns all metrics in Prometheus' text format: see `monitoring/scrape.py`."""
        return await self._scrape.text()

    async def keep(self, wanted: KeepRequest, owner: KeyOwner) -> KeptAsset:
        """Publishes an image that was rendered recently; raises CallRefused, KeyConflict."""
        recent = self._recent_images.find(owner.name, wanted.request_id)
        if recent is None:
            raise unknown_image("picture_unknown", "request_id")
        async with self._keep_lock:
            return await asyncio.to_thread(
                lambda: keep_image(
                    _chosen(recent), self._store, name=wanted.name, usage=wanted.usage
                )
            )

    async def states(self) -> dict[Role, ReplicaState]:
        """Returns what the renderer of each role has in flight."""
        states = await asyncio.gather(*(renderer.state() for renderer in self._renderers.values()))
        return dict(zip(self._renderers, states, strict=True))

    async def _resolve(self, body: ImagesRequest, call: Call) -> _ResolvedCall:
        choice = choose_role(body.role_preferences, self.fleet)
        layers = with_fonts(body.text_layers, self._settings)
        start = await self._start(body, call, choice.served)
        requests = to_generation_requests(
            body,
            choice.served,
            seed=self._random_below(SEEDS),
            layers=layers,
            team=call.owner.team,
            origin=start.origin,
        )
        call.record.role = choice.served.role
        call.record.model = choice.served.model.reference
        call.record.requests = tuple(request.id for request in requests)
        return _ResolvedCall(body, choice, requests, start.files)

    async def _start(self, body: ImagesRequest, call: Call, served: DeployedModel) -> InitImage:
        if call.files is not None:
            return await asyncio.to_thread(from_sent_files, body, call.files, served)
        if body.draft is None:
            return InitImage()
        recent = self._recent_images.find(call.owner.name, body.draft)
        if recent is None:
            raise unknown_image("draft_unknown", "draft")
        self._metrics.cache_hits.labels("pictures").inc()
        return await asyncio.to_thread(from_recent, body, recent, served)

    async def _render(
        self, order: _ResolvedCall, call: Call
    ) -> AsyncGenerator[PartialImageEvent | CompletedImageEvent | CallResult]:
        model = order.choice.served.model.reference
        with self._metrics.track_images(model, len(order.requests), bulk=call.bulk) as waiting:
            async with aclosing(self._events(order, call, waiting)) as events:
                async for event in events:
                    yield event

    async def _events(
        self, order: _ResolvedCall, call: Call, waiting: WaitingImages
    ) -> AsyncGenerator[PartialImageEvent | CompletedImageEvent | CallResult]:
        body, choice, requests = order.body, order.choice, order.requests
        job = RenderJob(
            requests=requests,
            preview_every=preview_every(body, requests[0].num_inference_steps),
            files=dict(order.files),
            deadline_ms=body.deadline_ms,
            share=self._budgets.share(requests[0].tags.team),
            call=call.record.id,
            bulk=call.bulk,
            version=_version_named(body, choice),
        )
        image: dict[int, ServedImage] = {}
        sketched = [0] * len(requests)
        renderer = self._renderers[choice.served.role]
        async with aclosing(renderer.render(job)) as events:
            async for event in events:
                waiting.done()
                if isinstance(event, Refused):
                    raise CallRefused(self._problem(event))
                if isinstance(event, Started):
                    choice = _rendered_by(event.model, choice)
                    call.record.model = event.model.reference
                elif isinstance(event, PartialImage):
                    yield PartialImageEvent(
                        requests[event.index], choice, event, sketched[event.index]
                    )
                    sketched[event.index] += 1
                else:
                    image[event.index] = event.image
                    if not call.bulk:  # nobody continues from these, and they would push out others
                        recent = RecentImage(event.image, choice.served, order.files)
                        self._recent_images.add(call.owner.name, recent)
                    self._count(event, choice.served, call.record)
                    yield CompletedImageEvent(event.image, choice, event.index)
        if len(image) < len(requests):
            raise EngineError("a commission ended before all its images came")
        in_order = tuple(image[index] for index in sorted(image))
        yield CallResult(choice=choice, images=in_order, created=int(self._clock()))

    def _routed(self, record: CallRecord) -> None:
        seconds = record.seconds["route"] = perf_counter() - record.began
        if not record.bulk:
            self._metrics.stage_seconds.labels(record.role, "route").observe(seconds)

    def _count(self, done: ImageDone, served: DeployedModel, record: CallRecord) -> None:
        role, model = served.role, served.model.reference
        self._metrics.previews.labels(role, model).inc()
        self._metrics.image_seconds.labels(role, model).observe(done.image.seconds)
        for stage, seconds in done.stages.items():
            if not record.bulk:
                self._metrics.stage_seconds.labels(role, stage).observe(seconds)
            record.seconds[stage] = record.seconds.get(stage, 0.0) + seconds

    def _problem(self, refused: Refused) -> Problem:
        status, code = REFUSAL_STATUS.get(refused.reason, (503, "no_capacity"))
        waiting_helps = status in (429, 503)
        return Problem(
            status=status,
            code=code,
            message=refused.message,
            retry_after_seconds=self._retry_after if waiting_helps else None,
        )

    @cached_property
    def _keep_lock(self) -> asyncio.Lock:
        return asyncio.Lock()

    @cached_property
    def _store(self) -> Store:
        """Opens the store for the first image that is kept: most services keep none."""
        return open_store(self._settings.blobs, self._settings.catalog)


def _version_named(body: ImagesRequest, choice: RoleChoice) -> str | None:
    """Returns the version, when a caller names it and not the role or the alias."""
    reference = choice.served.model.reference
    return reference if body.role_preferences.model == reference else None


def _rendered_by(model: ModelVersion, choice: RoleChoice) -> RoleChoice:
    """Returns the choice with the model that rendered: the role may have changed its version."""
    return choice.replace(served=choice.served.replace(model=model))


def _chosen(recent: RecentImage) -> ChosenImage:
    image = recent.image
    return ChosenImage(
        png=image.png,
        provenance=image.provenance,
        seconds=image.seconds,
        cost_usd=image.cost_usd,
        model=recent.served.model,
        files=recent.files,
    )
