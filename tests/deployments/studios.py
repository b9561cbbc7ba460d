"""Studios over the tiny pipeline, and what is said in them."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

from app.digest import digest
from app.engine.engine import Engine
from app.engine.pipeline import Pipeline
from app.types import GenerationRequest, ModelVersion, Size
from deployments.studio import Studio
from deployments.words import Commission, Word

SIDE = 16
TINY = ModelVersion(
    name="tiny",
    version="1",
    family="sd3",
    weights_digest=digest("tiny"),
    licence="none",
    sizes=(Size(width=SIDE, height=SIDE),),
    num_inference_steps=4,
    guidance_scale=4.0,
    max_sequence_length=8,
)


@asynccontextmanager
async def studio_of(
    pipeline: Pipeline, *, capacity: int = 8, **options: Any
) -> AsyncGenerator[tuple[Studio, Engine]]:
    """A studio and its engine, drained at the end."""
    engine = Engine(pipeline, mode="exact", knee=lambda width, height: 16)
    studio = Studio(engine, TINY, capacity=capacity, **({"stuck_seconds": 60.0} | options))
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
