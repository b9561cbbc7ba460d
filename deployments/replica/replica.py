"""A replica of one role: one engine on one model, shared by the requests of all callers."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from app.errors import ModelNotFound, RegistryError
from app.registry.references import find_registered
from app.settings import Settings
from app.types import ModelVersion
from deployments.args import AliasFollowing, RendererArgs
from deployments.loopback import keep_on_loopback
from deployments.messages import RenderEvent, RenderJob, ReplicaState
from deployments.replica.alias import Alias, follow, log
from deployments.replica.engine_worker import EngineWorker
from deployments.replica.inputs import InputFiles
from deployments.replica.probe import load_probed_engine
from deployments.replica.rollover import EngineWorkers, VersionRollover


class Replica:
    """The Serve deployment of a role; `model` is what the reference meant at deployment.

    An alias may point at another version by now: then the replica starts with that version and
    follows each move of the alias. Must be constructed in the event loop that it serves in.
    """

    def __init__(
        self, args: RendererArgs, model: ModelVersion, settings: Settings, following: AliasFollowing
    ) -> None:
        keep_on_loopback()
        self._args, self._settings = args, settings
        self._succession: VersionRollover | None = None
        self._following: asyncio.Task[None] | None = None
        alias = Alias.read(args.model, settings)
        if alias is None:
            self._workers = EngineWorkers(self._open_worker(model))
        else:
            self._follow(alias, model, following)

    async def render(self, job: RenderJob) -> AsyncGenerator[RenderEvent]:
        """Yields events as they arrive."""
        async with aclosing(self._workers.render(job)) as events:
            async for event in events:
                yield event

    async def state(self) -> ReplicaState:
        """Returns what is in flight here, and which version takes new jobs."""
        state = await self._workers.state()
        if self._succession is None:
            return state
        return state.replace(as_of=self._succession.as_of, refused=self._succession.refused)

    def check_health(self) -> None:
        """Raises EngineError when the engine broke or is stuck; Serve then replaces the replica."""
        self._workers.check()

    async def __del__(self) -> None:
        """Drains the engine; Serve calls this when nothing is in flight or at its timeout."""
        if self._following is not None:
            self._following.cancel()
        await self._workers.drain()

    def _follow(self, alias: Alias, model: ModelVersion, following: AliasFollowing) -> None:
        rollover = self._succession = VersionRollover(
            alias,
            model,
            find=lambda reference: find_registered(reference, self._settings).model,
            open_worker=self._open_worker,
            retry_seconds=following.retry_seconds,
        )
        self._load_registry(model)
        workers = self._workers = EngineWorkers(rollover.open_first())
        self._following = asyncio.get_running_loop().create_task(
            follow(
                alias,
                lambda pointed: rollover.follow_move(workers, pointed),
                look_seconds=following.look_seconds,
            )
        )

    def _load_registry(self, model: ModelVersion) -> None:
        """Loads MLflow, which takes seconds, now and not when the alias moves and callers wait."""
        try:
            find_registered(model.reference, self._settings)
        except (ModelNotFound, RegistryError) as error:
            log.warning("%s cannot be looked up now: %s", model.reference, error)

    def _open_worker(self, model: ModelVersion) -> EngineWorker:
        input_files = InputFiles()
        return EngineWorker(
            load_probed_engine(self._args, model, self._settings, input_files),
            model,
            capacity=self._args.capacity,
            stuck_seconds=self._args.stuck_seconds,
            input_files=input_files,
            usd_per_hour=self._args.usd_per_hour,
        )
