"""Renders a call: from its body to previews, images and the result; does not know Ray."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Mapping
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from time import time
from typing import TypeAlias

from app.api.requests import ImagesRequest, preview_every
from app.api.responses import CallResult, Problem, ServedImage
from app.errors import EngineError
from app.fleet.prices import Budgets
from app.route.by_role import Role, RoleChoice
from app.types import GenerationRequest
from deployments.calls.admission import Call, CallAdmission, ResolvedCall
from deployments.calls.idempotency import CallRefused
from deployments.calls.recent_images import RecentImage, RecentImages
from deployments.messages import (
    ImageDone,
    PartialImage,
    Refused,
    Renderer,
    RenderEvent,
    RenderJob,
    ReplicaState,
    Started,
)
from deployments.monitoring.call_log import observe_call, observe_stage
from deployments.monitoring.metrics import Metrics

REFUSAL_STATUS = {
    "invalid": (422, "invalid_request"),
    "failed": (500, "generation_failed"),
    "queue": (429, "queue_full"),
    "late": (504, "deadline_exceeded"),
    "moved": (503, "version_moved"),
}
"""Status and code of a renderer's refusals; any other reason means that there is no capacity."""


@dataclass(frozen=True, slots=True)
class PartialImageEvent:
    """A preview of one image of a call; `partial_index` counts that image's previews."""

    request: GenerationRequest
    choice: RoleChoice
    partial: PartialImage
    partial_index: int


@dataclass(frozen=True, slots=True)
class CompletedImageEvent:
    """One finished image of a call; `index` is its position in the order of seeds."""

    image: ServedImage
    choice: RoleChoice
    index: int


CallEvent: TypeAlias = PartialImageEvent | CompletedImageEvent | CallResult


@dataclass(slots=True)
class _Progress:
    """A call while it is rendered: the model that renders it, and its images so far."""

    call: Call
    resolved: ResolvedCall
    choice: RoleChoice
    images: dict[int, ServedImage] = field(default_factory=dict)
    previews: Counter[int] = field(default_factory=Counter)
    """How many previews each image has had."""

    def result(self) -> CallResult:
        """Returns the result of the call; raises EngineError when images are missing."""
        if len(self.images) < len(self.resolved.requests):
            raise EngineError("the renderer ended before all images of the call were finished")
        images = tuple(self.images[index] for index in sorted(self.images))
        return CallResult(choice=self.choice, images=images, created=int(time()))


@dataclass(frozen=True, slots=True)
class CallRenderer:
    """Renders each call that is admitted with the renderer of its role."""

    admission: CallAdmission
    renderers: Mapping[Role, Renderer]
    recent_images: RecentImages
    budgets: Budgets
    metrics: Metrics
    retry_after_seconds: int

    async def render(self, body: ImagesRequest, call: Call) -> AsyncGenerator[CallEvent]:
        """Yields previews and images as they arrive, and the result at the end.

        A call whose key was answered before gets the same images again. Raises ModelNotFound,
        NoRoute, OutOfBounds or BadImage before any work, and CallRefused when a key, a limit or the
        renderer refuses.
        """
        async with AsyncExitStack() as stack:
            stack.enter_context(observe_call(call.record, self.metrics))
            resolved = await self.admission.resolve(body, call)
            claim = stack.enter_context(self.admission.admit(call, len(resolved.requests)))
            if (stored := claim.result) is not None:
                call.record.complete()
                for index, image in enumerate(stored.images):
                    yield CompletedImageEvent(image, stored.choice, index)
                yield stored
                return
            served = resolved.choice.served
            waiting = stack.enter_context(
                self.metrics.track_images(
                    served.model.reference, len(resolved.requests), bulk=call.bulk
                )
            )
            events = await stack.enter_async_context(
                aclosing(self.renderers[served.role].render(self._job(body, call, resolved)))
            )
            progress = _Progress(call, resolved, resolved.choice)
            async for event in events:
                waiting.done()
                if (caller_event := self._receive(event, progress)) is not None:
                    yield caller_event
            result = claim.result = progress.result()
            call.record.complete()
            yield result

    async def states(self) -> dict[Role, ReplicaState]:
        """Returns the state of each role; raises CallRefused when one does not answer."""
        states = await asyncio.gather(*(renderer.state() for renderer in self.renderers.values()))
        return dict(zip(self.renderers, states, strict=True))

    def _job(self, body: ImagesRequest, call: Call, resolved: ResolvedCall) -> RenderJob:
        first = resolved.requests[0]
        reference = resolved.choice.served.model.reference
        return RenderJob(
            requests=resolved.requests,
            preview_every=preview_every(body, first.num_inference_steps),
            files=dict(resolved.files),
            deadline_ms=body.deadline_ms,
            share=self.budgets.share(first.tags.team),
            call=call.record.id,
            bulk=call.bulk,
            # Named by its role or alias, the model may change its version before the job starts.
            version=reference if body.model == reference else None,
        )

    def _receive(
        self, event: RenderEvent, progress: _Progress
    ) -> PartialImageEvent | CompletedImageEvent | None:
        """Returns the caller's event for a preview or an image; raises CallRefused."""
        if isinstance(event, Refused):
            raise CallRefused(self._problem(event))
        if isinstance(event, Started):  # the role may have changed its version since routing
            served = progress.choice.served.replace(model=event.model)
            progress.choice = progress.choice.replace(served=served)
            progress.call.record.model = event.model.reference
            return None
        if isinstance(event, PartialImage):
            partial_index = progress.previews[event.index]
            progress.previews[event.index] += 1
            request = progress.resolved.requests[event.index]
            return PartialImageEvent(request, progress.choice, event, partial_index)
        progress.images[event.index] = event.image
        self._record(event, progress)
        return CompletedImageEvent(event.image, progress.choice, event.index)

    def _record(self, done: ImageDone, progress: _Progress) -> None:
        """Counts an image, and remembers it for its caller; nobody continues from bulk images."""
        call, served = progress.call, progress.choice.served
        if not call.bulk:
            recent = RecentImage(done.image, served, progress.resolved.files)
            self.recent_images.add(call.owner.name, recent)
        labels = (served.role, served.model.reference)
        self.metrics.previews.labels(*labels).inc()
        self.metrics.image_seconds.labels(*labels).observe(done.image.seconds)
        for stage, seconds in done.stages.items():
            observe_stage(call.record, self.metrics, stage, seconds)

    def _problem(self, refused: Refused) -> Problem:
        status, code = REFUSAL_STATUS.get(refused.reason, (503, "no_capacity"))
        return Problem(
            status=status,
            code=code,
            message=refused.message,
            retry_after_seconds=self.retry_after_seconds if status in (429, 503) else None,
        )
