"""Studios over the tiny pipeline, and what is said in them."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from app.api.keys import KeyRing
from app.digest import digest
from app.engine.engine import Engine
from app.engine.pipeline import Pipeline, Pixels
from app.models.polish import Polished
from app.models.sd3 import Sd3Pipeline
from app.models.text.fonts import Fonts
from app.models.typeset import Typeset
from app.route.by_role import Role, Served
from app.settings import Settings
from app.types import GenerationRequest, ModelVersion, Size
from deployments.args import Limits
from deployments.calls.call_service import Desk
from deployments.calls.idempotency import Ledger
from deployments.calls.live_fleet import LiveFleet
from deployments.calls.rate_limit import Quota
from deployments.calls.recent_images import Recents
from deployments.http.app import surface
from deployments.http.auth import Guard
from deployments.messages import Commission, Painter, Word
from deployments.replica.engine_worker import Studio
from deployments.replica.inputs import Album
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
LIMITS = Limits(
    body_bytes=8000,
    body_seconds=60,
    header_bytes=4000,
    retry_after_seconds=3,
    kept_answers=8,
    kept_bytes=10**6,
    picture_bytes=10**5,
)


def served(role: Role, model: ModelVersion, size: Size | None = None) -> Served:
    """A tiny model in a role, called by its name."""
    return Served(role=role, reference=model.name, model=model, steps=4, max_steps=8, size=size)


DRAFT = served(Role.DRAFT, TINY)


class Twice:
    """Every pixel becomes four."""

    def enlarge(self, pixels: Pixels) -> Pixels:
        """Twice as wide, twice as high."""
        return pixels.repeat(2, axis=0).repeat(2, axis=1)


def desk_of(studios: Mapping[Role, Painter], fleet: Sequence[Served], home: Path) -> Desk:
    """A desk before these studios; what is kept stands in this home."""
    return Desk(
        LiveFleet(fleet),
        studios,
        Ledger(answers=LIMITS.kept_answers, max_bytes=LIMITS.kept_bytes),
        Recents(max_bytes=LIMITS.kept_bytes),
        Quota(),
        Settings(home=home),
        retry_after_seconds=LIMITS.retry_after_seconds,
    )


def guarded(desk: Desk) -> Guard:
    """The whole service but for Ray: doors, and what stands before them."""
    return Guard(surface(desk, KeyRing()), limits=LIMITS, keys=KeyRing())


@asynccontextmanager
async def three_roles(stock: Any, home: Path) -> AsyncGenerator[Desk]:
    """A desk with draft, polish and typography over one tiny model."""
    base = Sd3Pipeline(stock, max_sequence_length=LENGTH)
    polish = Polished(base, Twice(), TINY.sizes[0])
    letters = Typeset(polish, Fonts())
    fleet = (
        DRAFT,
        served(Role.FINAL, POLISH),
        served(Role.TYPOGRAPHY, TYPOGRAPHY, Size(width=120, height=160)),
    )
    async with (
        studio_of(base) as (draft, _),
        studio_of(polish, model=POLISH) as (final, _),
        studio_of(letters, model=TYPOGRAPHY) as (typography, _),
    ):
        studios = {Role.DRAFT: draft, Role.FINAL: final, Role.TYPOGRAPHY: typography}
        yield desk_of(studios, fleet, home)


@asynccontextmanager
async def studio_of(
    pipeline: Pipeline, *, capacity: int = 8, model: ModelVersion = TINY, **options: Any
) -> AsyncGenerator[tuple[Studio, Engine]]:
    """A studio and its engine, drained at the end."""
    album = Album()
    engine = engine_in_exact_mode(pipeline, images=album)
    studio = Studio(
        engine, model, capacity=capacity, album=album, **({"stuck_seconds": 60.0} | options)
    )
    try:
        yield studio, engine
    finally:
        await studio.drain()


def commission(*requests: GenerationRequest, preview_every: int = 0) -> Commission:
    """These requests as one call."""
    return Commission(requests=requests, preview_every=preview_every)


async def painted(studio: Studio, asked: Commission) -> list[Word]:
    """Every word of a commission."""
    return [word async for word in studio.paint(asked)]


def run(story: Callable[[], Awaitable[None]]) -> None:
    """Tell a story in an event loop of its own."""

    async def told() -> None:
        await story()

    asyncio.run(told())
