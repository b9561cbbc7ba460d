"""A replica of quick previews: one engine on one model, shared by the requests of all callers."""

from collections.abc import AsyncGenerator
from contextlib import aclosing

from app.engine.engine import Engine
from app.errors import InvalidRequest
from app.models.whole import WholePipeline
from app.renderer import driver_of
from app.settings import Settings
from app.types import ModelVersion
from deployments.args import DraftArgs
from deployments.loopback import keep_on_loopback
from deployments.studio import Studio
from deployments.words import Commission, ReplicaState, Word


class Draft:
    """What Serve calls; everything else is the studio's."""

    def __init__(self, args: DraftArgs, model: ModelVersion, settings: Settings) -> None:
        keep_on_loopback()
        self._studio = Studio(
            engine_of(args, model, settings),
            model,
            capacity=args.capacity,
            stuck_seconds=args.stuck_seconds,
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


def engine_of(args: DraftArgs, model: ModelVersion, settings: Settings) -> Engine:
    """Load the model and warm it up; raises InvalidRequest for a model that takes no steps."""
    driver = driver_of(model, settings, mode=args.mode, threads=args.threads)
    if isinstance(driver, WholePipeline):
        raise InvalidRequest(f"{model.reference} cannot be driven step by step; deploy another")
    return driver
