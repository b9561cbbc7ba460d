"""Engine workers over the tiny pipeline, and the service over them without Ray."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from app.api.keys import KeyRing
from app.digest import digest
from app.engine.engine import Engine
from app.engine.pipeline import Pipeline, Pixels
from app.models.polish import PolishedPipeline
from app.models.sd3 import Sd3Pipeline
from app.models.text.fonts import Fonts
from app.models.typeset import TypesetPipeline
from app.route.by_role import DeployedModel, Role
from app.settings import Settings
from app.types import GenerationRequest, ModelVersion, Size
from deployments.args import CallLimits
from deployments.calls.live_fleet import LiveFleet
from deployments.http.app import create_app
from deployments.http.auth import AuthMiddleware
from deployments.messages import Renderer, RenderEvent, RenderJob
from deployments.monitoring.metrics import Metrics
from deployments.preview_service import PreviewService
from deployments.replica.engine_worker import EngineWorker, InputFiles
from tests.engine.engines import LENGTH, engine_in_exact_mode

SIDE = 16
TINY = ModelVersion(
    name="tiny",
    version="1",
    family="sd3",
    weights_digest=digest("tiny"),
    licence="none",
    sizes=(Size(width=SIDE, height=SIDE),),
    latent_space="tiny",
    capabilities=("transparent",),
    num_inference_steps=4,
    guidance_scale=4.0,
    max_sequence_length=8,
)


POLISH = TINY.replace(
    name="tiny-polish",
    weights_digest=digest("tiny polish"),
    capabilities=("transparent", "img2img"),
    sizes=(Size(width=2 * SIDE, height=2 * SIDE), Size(width=4 * SIDE, height=4 * SIDE)),
)
TYPOGRAPHY = TINY.replace(
    name="tiny-typography",
    weights_digest=digest("tiny typography"),
    capabilities=("transparent", "text"),
    sizes=(),
)
LIMITS = CallLimits(
    body_bytes=8000,
    body_seconds=60,
    header_bytes=4000,
    retry_after_seconds=3,
    kept_answers=8,
    kept_bytes=10**6,
    picture_bytes=10**5,
)


def served(role: Role, model: ModelVersion, size: Size | None = None) -> DeployedModel:
    """A tiny model in a role, called by its name."""
    return DeployedModel(
        role=role, reference=model.name, model=model, steps=4, max_steps=8, size=size
    )


DRAFT = served(Role.DRAFT, TINY)


class Twice:
    """Every pixel becomes four."""

    def upscale(self, pixels: Pixels) -> Pixels:
        """Twice as wide, twice as high."""
        return pixels.repeat(2, axis=0).repeat(2, axis=1)


def service_of(
    workers: Mapping[Role, Renderer],
    fleet: Sequence[DeployedModel],
    home: Path,
    *,
    budgets: Path | None = None,
    max_bulk_calls: int = 64,
) -> PreviewService:
    """The service over these workers; what is kept is stored in this home."""
    return PreviewService.build(
        LiveFleet(fleet),
        workers,
        Settings(home=home, budgets=budgets),
        LIMITS,
        max_bulk_calls=max_bulk_calls,
        metrics=Metrics(),
    )


def authenticated(service: PreviewService) -> AuthMiddleware:
    """The whole service but for Ray: the endpoints behind authentication."""
    return AuthMiddleware(create_app(service, KeyRing()), limits=LIMITS, keys=KeyRing())


@asynccontextmanager
async def three_roles(stock: Any, home: Path) -> AsyncGenerator[PreviewService]:
    """The service with draft, polish and typography over one tiny model."""
    base = Sd3Pipeline(stock, max_sequence_length=LENGTH)
    polish = PolishedPipeline(base, Twice(), TINY.sizes[0])
    letters = TypesetPipeline(polish, Fonts())
    fleet = (
        DRAFT,
        served(Role.FINAL, POLISH),
        served(Role.TYPOGRAPHY, TYPOGRAPHY, Size(width=120, height=160)),
    )
    async with (
        worker_of(base) as (draft, _),
        worker_of(polish, model=POLISH) as (final, _),
        worker_of(letters, model=TYPOGRAPHY) as (typography, _),
    ):
        workers = {Role.DRAFT: draft, Role.FINAL: final, Role.TYPOGRAPHY: typography}
        yield service_of(workers, fleet, home)


@asynccontextmanager
async def worker_of(
    pipeline: Pipeline, *, capacity: int = 8, model: ModelVersion = TINY, **options: Any
) -> AsyncGenerator[tuple[EngineWorker, Engine]]:
    """A worker and its engine, drained at the end."""
    input_files = InputFiles()
    engine = engine_in_exact_mode(pipeline, images=input_files)
    worker = EngineWorker(
        engine,
        model,
        capacity=capacity,
        input_files=input_files,
        **({"stuck_seconds": 60.0} | options),
    )
    try:
        yield worker, engine
    finally:
        await worker.drain()


def render_job(*requests: GenerationRequest, preview_every: int = 0) -> RenderJob:
    """These requests as one call."""
    return RenderJob(requests=requests, preview_every=preview_every)


async def rendered(worker: Renderer, job: RenderJob) -> list[RenderEvent]:
    """All events of a job."""
    return [event async for event in worker.render(job)]


def run(story: Callable[[], Awaitable[None]]) -> None:
    """Tell a story in an event loop of its own."""

    async def run_story() -> None:
        await story()

    asyncio.run(run_story())
