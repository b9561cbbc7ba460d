"""A replica of one role: one engine on one model, shared by the requests of all callers."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from app.engine.engine import Engine
from app.engine.state import Delivery
from app.errors import InvalidRequest
from app.models.whole import WholePipeline
from app.renderer import driver_of
from app.settings import Settings
from app.types import GenerationRequest, ModelVersion
from deployments.album import Album
from deployments.args import PainterArgs
from deployments.loopback import keep_on_loopback
from deployments.studio import Studio
from deployments.words import Commission, ReplicaState, Word


class Replica:
    """What Serve calls; everything else is the studio's."""

    def __init__(self, args: PainterArgs, model: ModelVersion, settings: Settings) -> None:
        keep_on_loopback()
        album = Album()
        self._studio = Studio(
            engine_of(args, model, settings, album),
            model,
            capacity=args.capacity,
            stuck_seconds=args.stuck_seconds,
            album=album,
            usd_per_hour=args.usd_per_hour,
        )

    async def paint(self, commission: Commission) -> AsyncGenerator[Word]:
        """Words as they come."""
        async with aclosing(self._studio.paint(commission)) as words:
            async for word in words:
                yield word

    async def state(self) -> ReplicaState:
        """What is under way here."""
        return await self._studio.state()

    def check_health(self) -> None:
        """Serve replaces a replica whose engine broke or stands still."""
        self._studio.check()

    async def __del__(self) -> None:
        """Serve calls this once nothing is under way or the time for that is up."""
        await self._studio.drain()


def engine_of(
    args: PainterArgs, model: ModelVersion, settings: Settings, album: Album | None = None
) -> Engine:
    """The model loaded and ready; raises InvalidRequest for a model that takes no steps."""
    driver = driver_of(model, settings, mode=args.mode, threads=args.threads, images=album)
    if isinstance(driver, WholePipeline):
        raise InvalidRequest(f"{model.reference} cannot be driven step by step; deploy another")
    _warm_up(driver, args)
    return driver


def _warm_up(engine: Engine, args: PainterArgs) -> None:
    """Paint once before anybody waits: a first pass loads kernels, a preview fits its colours."""
    request = GenerationRequest(
        prompt="warm",
        width=args.size.width,
        height=args.size.height,
        num_inference_steps=2,
        guidance_scale=2,
    )
    engine.submit(request, Delivery(preview_every=1))
    while engine.busy:
        engine.step()
