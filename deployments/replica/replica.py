"""The Serve deployment of a role: the engine workers of one replica, and the alias it follows."""

import asyncio
from functools import partial

from app.errors import ModelNotFound, RegistryError
from app.registry.references import find_registered
from app.settings import Settings
from app.types import ModelVersion
from deployments.args import AliasFollowing, RendererArgs
from deployments.loopback import keep_on_loopback
from deployments.messages import ReplicaState
from deployments.replica.alias import Alias, follow, log
from deployments.replica.engine_worker import EngineWorker, InputFiles
from deployments.replica.probe import load_probed_engine
from deployments.replica.rollover import EngineWorkers, VersionRollover


class Replica(EngineWorkers):
    """The workers of one replica; Serve calls `render`, `state`, `check_health` and `__del__`.

    `model` is the version that the reference meant at deployment. If the reference is an alias, the
    replica starts with the version that the alias points at now, and follows its moves. It must be
    constructed in the event loop that it serves in.
    """

    def __init__(
        self, args: RendererArgs, model: ModelVersion, settings: Settings, following: AliasFollowing
    ) -> None:
        keep_on_loopback()
        self._args, self._settings = args, settings
        self._rollover: VersionRollover | None = None
        self._following: asyncio.Task[None] | None = None
        alias = Alias.read(args.model, settings)
        if alias is None:
            super().__init__(self._open_worker(model))
            return
        rollover = self._rollover = self._rollover_of(alias, model, following)
        self._load_registry(model)
        super().__init__(rollover.open_first())
        on_move = partial(rollover.follow_move, self)
        self._following = asyncio.get_running_loop().create_task(
            follow(alias, on_move, look_seconds=following.look_seconds)
        )

    async def state(self) -> ReplicaState:
        """Returns the state of all workers, and the last move of the alias."""
        state = await super().state()
        if self._rollover is None:
            return state
        return state.replace(as_of=self._rollover.as_of, refused=self._rollover.refused)

    async def __del__(self) -> None:
        """Drains the workers; Serve calls this when no call is running, or at its timeout."""
        if self._following is not None:
            self._following.cancel()
        await self.drain()

    def _rollover_of(
        self, alias: Alias, model: ModelVersion, following: AliasFollowing
    ) -> VersionRollover:
        return VersionRollover(
            alias,
            model,
            find=lambda reference: find_registered(reference, self._settings).model,
            open_worker=self._open_worker,
            retry_seconds=following.retry_seconds,
        )

    def _load_registry(self, model: ModelVersion) -> None:
        """Imports MLflow, which takes seconds, before callers wait for a move of the alias."""
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
