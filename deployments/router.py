"""The deployment that every call enters by: a desk behind the doors, painters behind handles."""

import asyncio
from asyncio import CancelledError
from collections.abc import AsyncGenerator, Callable, Mapping
from functools import partial
from typing import Any

from ray import serve
from ray.exceptions import RayActorError
from ray.serve._private.common import ReplicaState as Standing
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle
from starlette.types import ASGIApp

from app.api.keys import KeyRing
from app.api.responses import Problem
from app.route.by_role import Role, Served
from app.settings import Settings
from deployments.args import Follow, RouterArgs
from deployments.calls.call_service import Desk
from deployments.calls.idempotency import Ledger, NotAnswered
from deployments.calls.live_fleet import LiveFleet
from deployments.calls.rate_limit import Quota
from deployments.calls.recent_images import Recents
from deployments.http.app import surface
from deployments.http.auth import Guard
from deployments.http.live_keys import LiveKeys
from deployments.loopback import keep_on_loopback
from deployments.messages import (
    Begun,
    Commission,
    Painter,
    Picture,
    ReplicaState,
    Sketch,
    Turned,
    Word,
)
from deployments.monitoring.metrics import Meters
from deployments.replica.alias import Alias, follow

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
        following: Follow,
    ) -> None:
        keep_on_loopback()
        limits = args.limits
        live, meters = LiveFleet(fleet), Meters()
        asleep = Asleep(_asleep)
        remote: dict[Role, Painter] = {
            one.role: RemotePainter(painters[one.role], one.role, live, asleep, meters)
            for one in fleet
        }
        self._desk = Desk(
            live,
            remote,
            Ledger(answers=limits.kept_answers, max_bytes=limits.kept_bytes),
            Recents(max_bytes=limits.kept_bytes),
            Quota(),
            settings,
            retry_after_seconds=limits.retry_after_seconds,
            meters=meters,
            replicas=lambda: _replicas(painters),
            bulk_at_once=max(args.max_ongoing_requests // 2, 1),
        )
        self._limits, self._keys = limits, keys
        self._following = [
            asyncio.get_running_loop().create_task(
                follow(
                    alias,
                    partial(live.look, one.role, remote[one.role]),
                    look_seconds=following.look_seconds,
                )
            )
            for one in fleet
            if (alias := Alias.read(one.reference, settings)) is not None
        ]

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Serve asks for the application once the replica stands."""
        keys = LiveKeys(self._keys)
        return Guard(surface(self._desk, keys), limits=self._limits, keys=keys)


class RemotePainter:
    """The replicas of one deployment as one painter."""

    def __init__(
        self,
        handle: DeploymentHandle[Any],
        role: Role,
        fleet: LiveFleet,
        asleep: "Asleep",
        meters: Meters,
    ) -> None:
        self._handle = handle
        self._repaints = meters.repaints.labels(role)
        self._role, self._fleet, self._asleep = role, fleet, asleep

    async def paint(self, commission: Commission) -> AsyncGenerator[Word]:
        """Words as they come; what a replica told before it died is not told again."""
        told: set[tuple[Any, ...]] = set()
        for again in range(TRIES):
            if again:
                self._repaints.inc()
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
        if self._handle.deployment_name in await self._asleep():
            return ReplicaState(model=self._fleet.model(self._role), asleep=True)
        try:
            state: ReplicaState = await self._handle.state.remote()
        except (BackPressureError, DeploymentUnavailableError, RayActorError) as exc:
            raise NotAnswered(NOT_READY) from exc
        return state


class Asleep:
    """The deployments that have no replica now; who asks at once is told by one question."""

    def __init__(self, ask: Callable[[], frozenset[str]]) -> None:
        self._ask = ask
        self._question: asyncio.Task[frozenset[str]] | None = None

    async def __call__(self) -> frozenset[str]:
        """Their names; one caller who goes away takes nothing from the others."""
        if self._question is None or self._question.done():
            self._question = asyncio.create_task(asyncio.to_thread(self._ask))
        return await asyncio.shield(self._question)


async def _replicas(painters: Mapping[Role, DeploymentHandle[Any]]) -> dict[Role, int]:
    """How many replicas of each role run now."""
    running = await asyncio.to_thread(_running)
    return {role: running.get(one.deployment_name, 0) for role, one in painters.items()}


def _running() -> dict[str, int]:
    return {
        name: deployment.replica_states.get(Standing.RUNNING, 0)
        for application in serve.status().applications.values()
        for name, deployment in application.deployments.items()
    }


def _asleep() -> frozenset[str]:
    return frozenset(
        name
        for application in serve.status().applications.values()
        for name, deployment in application.deployments.items()
        if not any(deployment.replica_states.values())
    )


def _name(word: Word) -> tuple[Any, ...]:
    if isinstance(word, Begun):
        return ("begun", word.model.reference)
    if isinstance(word, Sketch):
        return ("sketch", word.index, word.step)
    return ("picture", word.index) if isinstance(word, Picture) else ("turned",)
