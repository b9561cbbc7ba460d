"""The engine in this process, without HTTP, router and replica: the baseline of all services."""

import asyncio

from app.api.requests import ImagesRequest
from app.engine.async_engine import AsyncEngine
from app.engine.engine import Engine, Mode
from app.errors import EngineError
from app.generate.renderer import load_engine
from app.image.png import png_bytes
from app.models.bundled import bundled_models
from app.settings import Settings
from app.types import GenerationRequest
from jobs.bench.serve.arrivals import TimedRequest
from jobs.bench.serve.client import Reply
from jobs.bench.serve.plain_diffusers import SIDE


class InProcessEngine:
    """From a request to a PNG as a replica does it, in `mode`, on one thread."""

    def __init__(self, mode: Mode) -> None:
        engine = load_engine(bundled_models()["starter"], Settings(), mode=mode, threads=1)
        if not isinstance(engine, Engine):
            raise EngineError("the bundled model cannot be driven step by step")
        self._served = AsyncEngine(engine)

    async def __call__(self, request: TimedRequest) -> Reply:
        """Returns one image."""
        rendered = await self._served.generate(_request(request.request))
        return Reply(200, await asyncio.to_thread(png_bytes, rendered.pixels, text={}))

    async def close(self) -> None:
        """Ends the engine's thread."""
        await self._served.drain()


def _request(body: ImagesRequest) -> GenerationRequest:
    return GenerationRequest(
        prompt=body.prompt,
        width=SIDE,
        height=SIDE,
        num_inference_steps=body.steps,
        guidance_scale=body.guidance,
        seed=body.seed,
    )
