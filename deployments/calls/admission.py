"""Admission of a call: its model, requests and input files, then its idempotency key and limits."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from secrets import randbelow
from time import perf_counter

from app.api.keys import KeyOwner
from app.api.requests import ImagesRequest, to_generation_requests
from app.registry.references import with_fonts
from app.route.by_role import DeployedModel, RoleChoice, choose_role
from app.settings import Settings
from app.types import GenerationRequest
from deployments.calls.idempotency import CallKey, Claim, IdempotencyCache
from deployments.calls.init_images import InitImage, UploadedFiles, from_recent, from_upload
from deployments.calls.live_fleet import LiveFleet
from deployments.calls.rate_limit import BulkLimiter, RateLimiter
from deployments.calls.recent_images import RecentImages, unknown_image
from deployments.monitoring.call_log import CallRecord, observe_stage
from deployments.monitoring.metrics import Metrics

SEEDS = 2**32


@dataclass(frozen=True, slots=True)
class Call:
    """A call without its body: the caller, the files sent along, the idempotency key, the class."""

    owner: KeyOwner = field(default_factory=KeyOwner)
    files: UploadedFiles | None = None
    key: CallKey | None = None
    record: CallRecord = field(default_factory=CallRecord)
    bulk: bool = False
    """Whether it runs behind every interactive call."""


@dataclass(frozen=True, slots=True)
class ResolvedCall:
    """A checked call: the chosen model, the requests to render, and their input files by digest."""

    choice: RoleChoice
    requests: tuple[GenerationRequest, ...]
    files: Mapping[str, bytes]


@dataclass(frozen=True, slots=True)
class CallAdmission:
    """Resolves calls to requests and admits them within the limits of keys, callers and bulk."""

    fleet: LiveFleet
    recent_images: RecentImages
    idempotency: IdempotencyCache
    rate_limiter: RateLimiter
    bulk_limiter: BulkLimiter
    settings: Settings
    metrics: Metrics

    async def resolve(self, body: ImagesRequest, call: Call) -> ResolvedCall:
        """Returns the call's requests for the chosen model, and fills in its record.

        Raises ModelNotFound, NoRoute, OutOfBounds, BadImage, and CallRefused for an unknown draft.
        """
        choice = choose_role(body.role_preferences, self.fleet.served)
        layers = with_fonts(body.text_layers, self.settings)
        init_image = await self._init_image(body, call, choice.served)
        requests = to_generation_requests(
            body,
            choice.served,
            seed=randbelow(SEEDS),
            layers=layers,
            team=call.owner.team,
            origin=init_image.origin,
        )
        record = call.record
        record.role, record.model = choice.served.role, choice.served.model.reference
        record.requests = tuple(request.id for request in requests)
        observe_stage(record, self.metrics, "route", perf_counter() - record.began)
        return ResolvedCall(choice, requests, init_image.files)

    @contextmanager
    def admit(self, call: Call, images: int) -> Iterator[Claim]:
        """Holds the call's key and its share of the limits while the context is open.

        The claim has a result if the key was answered before; then no limit is charged. Raises
        CallRefused when the key is in use or a limit is reached.
        """
        with self.idempotency.claim(call.key) as claim:
            if claim.result is not None:
                self.metrics.cache_hits.labels("answers").inc()
                yield claim
                return
            with (
                self.bulk_limiter.claim(bulk=call.bulk),
                self.rate_limiter.claim(call.owner, images),
            ):
                yield claim

    async def _init_image(
        self, body: ImagesRequest, call: Call, served: DeployedModel
    ) -> InitImage:
        if call.files is not None:
            return await asyncio.to_thread(from_upload, body, call.files, served)
        if body.draft is None:
            return InitImage()
        recent = self.recent_images.find(call.owner.name, body.draft)
        if recent is None:
            raise unknown_image("draft_unknown", "draft")
        self.metrics.cache_hits.labels("pictures").inc()
        return await asyncio.to_thread(from_recent, body, recent, served)
