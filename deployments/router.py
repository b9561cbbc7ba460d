"""The deployment that every call enters by: a desk behind the doors, painters behind handles."""

import asyncio
from asyncio import CancelledError
from collections.abc import AsyncGenerator, Mapping
from typing import Any

from ray import serve
from ray.exceptions import RayActorError
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle
from starlette.types import ASGIApp

from app.answers import Problem
from app.keys import KeyRing
from app.route_preview import Role, Served
from app.settings import Settings
from deployments.args import RouterArgs
from deployments.desk import Desk
from deployments.guard import Guard
from deployments.ledger import Ledger, NotAnswered
from deployments.live_keys import LiveKeys
from deployments.loopback import keep_on_loopback
from deployments.quota import Quota
from deployments.recents import Recents
from deployments.surface import surface
from deployments.words import Commission, Picture, ReplicaState, Sketch, Turned, Word

NOT_READY = Problem(
    status=503, code="not_ready", message="a role does not answer; ask again", retry_after_seconds=1
)
TRIES = 2
"""A commission whose replica died is painted once more by another one, with the same bytes."""


class Router:
    """What Serve calls; `painters` are the handles of the deployed roles."""

    def __init__(
        self,
        args: RouterArgs,
        fleet: tuple[Served, ...],
        keys: KeyRing,
        painters: Mapping[Role, DeploymentHandle[Any]],
        settings: Settings,
    ) -> None:
        keep_on_loopback()
        limits = args.limits
        self._desk = Desk(
            fleet,
            {one.role: RemotePainter(painters[one.role], one) for one in fleet},
            Ledger(answers=limits.kept_answers, max_bytes=limits.kept_bytes),
            Recents(max_bytes=limits.kept_bytes),
            Quota(),
            settings,
            retry_after_seconds=limits.retry_after_seconds,
        )
        self._limits, self._keys = limits, keys

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Serve asks for the application once the replica stands."""
        keys = LiveKeys(self._keys)
        return Guard(surface(self._desk, keys), limits=self._limits, keys=keys)


class RemotePainter:
    """The replicas of one deployment as one painter."""

    def __init__(self, handle: DeploymentHandle[Any], served: Served) -> None:
        self._handle = handle
        self._model = served.model.reference

    async def paint(self, commission: Commission) -> AsyncGenerator[Word]:
        """Words as they come; what a replica told before it died is not told again."""
        told: set[tuple[Any, ...]] = set()
        for _ in range(TRIES):
            words: Any = self._handle.options(stream=True).paint.remote(commission)
            try:
                async for word in words:
                    if _name(word) not in told:
                        told.add(_name(word))
                        yield word
                return
            except BackPressureError:
                yield Turned(reason="queue", message="the queue is full; ask again later")
                return
            except DeploymentUnavailableError:
                break
            except RayActorError:
                continue
            except (CancelledError, GeneratorExit):  # the caller went away
                words.cancel()
                raise
        yield Turned(reason="lost", message="the replicas went away; ask again later")

    async def state(self) -> ReplicaState:
        """What one of the replicas has under way; raises NotAnswered when none answers.

        Where all of them sleep, none is woken to be asked.
        """
        if await asyncio.to_thread(_asleep, self._handle.deployment_name):
            return ReplicaState(model=self._model, asleep=True)
        try:
            state: ReplicaState = await self._handle.state.remote()
        except (BackPressureError, DeploymentUnavailableError, RayActorError) as exc:
            raise NotAnswered(NOT_READY) from exc
        return state


def _asleep(deployment: str) -> bool:
    """Whether a deployment that may have no replica has none."""
    for application in serve.status().applications.values():
        status = application.deployments.get(deployment)
        if status is not None:
            return not any(status.replica_states.values())
    return False


def _name(word: Word) -> tuple[Any, ...]:
    if isinstance(word, Sketch):
        return ("sketch", word.index, word.step)
    return ("picture", word.index) if isinstance(word, Picture) else ("turned",)
