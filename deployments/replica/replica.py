"""A replica of one role: one engine on one model, shared by the requests of all callers."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from app.errors import ModelNotFound, RegistryError
from app.registry.references import registered
from app.settings import Settings
from app.types import ModelVersion
from deployments.args import Follow, PainterArgs
from deployments.loopback import keep_on_loopback
from deployments.messages import Commission, ReplicaState, Word
from deployments.replica.alias import Alias, follow, log
from deployments.replica.engine_worker import Studio
from deployments.replica.inputs import Album
from deployments.replica.probe import engine_of
from deployments.replica.rollover import Studios, Succession


class Replica:
    """What Serve calls; `model` is what the reference meant when the service was deployed.

    An alias may mean another version by now: then it begins with that one, and goes on to each
    that the alias moves to. Made in the event loop that it serves in.
    """

    def __init__(
        self, args: PainterArgs, model: ModelVersion, settings: Settings, following: Follow
    ) -> None:
        keep_on_loopback()
        self._args, self._settings = args, settings
        self._succession: Succession | None = None
        self._following: asyncio.Task[None] | None = None
        alias = Alias.read(args.model, settings)
        if alias is None:
            self._studios = Studios(self._open_studio(model))
        else:
            self._follow(alias, model, following)

    async def paint(self, commission: Commission) -> AsyncGenerator[Word]:
        """Words as they come."""
        async with aclosing(self._studios.paint(commission)) as words:
            async for word in words:
                yield word

    async def state(self) -> ReplicaState:
        """What is under way here, and which version takes what comes."""
        state = await self._studios.state()
        if self._succession is None:
            return state
        return state.replace(as_of=self._succession.as_of, refused=self._succession.refused)

    def check_health(self) -> None:
        """Serve replaces a replica whose engine broke or stands still."""
        self._studios.check()

    async def __del__(self) -> None:
        """Serve calls this once nothing is under way or the time for that is up."""
        if self._following is not None:
            self._following.cancel()
        await self._studios.drain()

    def _follow(self, alias: Alias, model: ModelVersion, following: Follow) -> None:
        succession = self._succession = Succession(
            alias,
            model,
            find=lambda reference: registered(reference, self._settings).model,
            open_studio=self._open_studio,
            retry_seconds=following.retry_seconds,
        )
        self._load_registry(model)
        studios = self._studios = Studios(succession.begin())
        self._following = asyncio.get_running_loop().create_task(
            follow(
                alias,
                lambda pointed: succession.look(studios, pointed),
                look_seconds=following.look_seconds,
            )
        )

    def _load_registry(self, model: ModelVersion) -> None:
        """MLflow takes seconds to load: now, and not when the alias moves and callers wait."""
        try:
            registered(model.reference, self._settings)
        except (ModelNotFound, RegistryError) as error:
            log.warning("%s cannot be looked up now: %s", model.reference, error)

    def _open_studio(self, model: ModelVersion) -> Studio:
        album = Album()
        return Studio(
            engine_of(self._args, model, self._settings, album),
            model,
            capacity=self._args.capacity,
            stuck_seconds=self._args.stuck_seconds,
            album=album,
            usd_per_hour=self._args.usd_per_hour,
        )
