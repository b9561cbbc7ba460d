"""The deployment that every call enters by: the HTTP application before the roles' replicas."""

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
from app.route.by_role import DeployedModel, Role
from app.settings import Settings
from deployments.args import AliasFollowing, RouterArgs
from deployments.calls.call_service import CallService
from deployments.calls.idempotency import CallRefused, IdempotencyCache
from deployments.calls.live_fleet import LiveFleet
from deployments.calls.rate_limit import RateLimiter
from deployments.calls.recent_images import RecentImages
from deployments.http.app import create_app
from deployments.http.auth import AuthMiddleware
from deployments.http.live_keys import LiveKeys
from deployments.loopback import keep_on_loopback
from deployments.messages import (
    ImageDone,
    PartialImage,
    Refused,
    Renderer,
    RenderEvent,
    RenderJob,
    ReplicaState,
    Started,
)
from deployments.monitoring.metrics import Metrics
from deployments.replica.alias import Alias, follow

NOT_READY = Problem(
    status=503, code="not_ready", message="a role does not answer; ask again", retry_after_seconds=1
)
TRIES = 2
"""A job whose replica died is rendered once more by another one, with the same bytes."""


class Router:
    """The ingress deployment; `handles` has the handle of each deployed role."""

    def __init__(
        self,
        args: RouterArgs,
        fleet: tuple[DeployedModel, ...],
        keys: KeyRing,
        handles: Mapping[Role, DeploymentHandle[Any]],
        settings: Settings,
        following: AliasFollowing,
    ) -> None:
        keep_on_loopback()
        limits = args.limits
        live, metrics = LiveFleet(fleet), Metrics()
        asleep = SleepingDeployments(_sleeping_deployments)
        remote: dict[Role, Renderer] = {
            model.role: RemoteRenderer(handles[model.role], model.role, live, asleep, metrics)
            for model in fleet
        }
        self._desk = CallService(
            live,
            remote,
            IdempotencyCache(max_answers=limits.kept_answers, max_bytes=limits.kept_bytes),
            RecentImages(max_bytes=limits.kept_bytes),
            RateLimiter(),
            settings,
            retry_after_seconds=limits.retry_after_seconds,
            metrics=metrics,
            replicas=lambda: _replicas(handles),
            max_bulk_calls=max(args.max_ongoing_requests // 2, 1),
        )
        self._limits, self._keys = limits, keys
        self._following = [
            asyncio.get_running_loop().create_task(
                follow(
                    alias,
                    partial(live.follow_move, model.role, remote[model.role]),
                    look_seconds=following.look_seconds,
                )
            )
            for model in fleet
            if (alias := Alias.read(model.reference, settings)) is not None
        ]

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Returns the ASGI application; Serve calls this once the replica is constructed."""
        keys = LiveKeys(self._keys)
        return AuthMiddleware(create_app(self._desk, keys), limits=self._limits, keys=keys)


class RemoteRenderer:
    """The replicas of one deployment as one renderer."""

    def __init__(
        self,
        handle: DeploymentHandle[Any],
        role: Role,
        fleet: LiveFleet,
        asleep: "SleepingDeployments",
        metrics: Metrics,
    ) -> None:
        self._handle = handle
        self._rerenders = metrics.repaints.labels(role)
        self._role, self._fleet, self._asleep = role, fleet, asleep

    async def render(self, job: RenderJob) -> AsyncGenerator[RenderEvent]:
        """Yields events as they arrive.

        After a replica dies the job is retried once; events already yielded are not repeated.
        """
        sent: set[tuple[Any, ...]] = set()
        for again in range(TRIES):
            if again:
                self._rerenders.inc()
            words: Any = self._handle.options(stream=True).render.remote(job)
            try:
                async for word in words:
                    if _event_key(word) not in sent:
                        sent.add(_event_key(word))
                        yield word
                return
            except BackPressureError:
                yield Refused(reason="queue", message="the queue is full; ask again later")
                return
            except DeploymentUnavailableError:
                break
            except RayActorError:
                continue
            except (CancelledError, GeneratorExit):  # the caller went away
                words.cancel()
                raise
        yield Refused(reason="lost", message="the replicas went away; ask again later")

    async def state(self) -> ReplicaState:
        """Returns what one of the replicas has in flight; raises CallRefused when none answers.

        When the deployment has no replica, none is started for the question.
        """
        if self._handle.deployment_name in await self._asleep():
            return ReplicaState(model=self._fleet.model(self._role), asleep=True)
        try:
            state: ReplicaState = await self._handle.state.remote()
        except (BackPressureError, DeploymentUnavailableError, RayActorError) as exc:
            raise CallRefused(NOT_READY) from exc
        return state


class SleepingDeployments:
    """The deployments that have no replica now; concurrent callers share one status request."""

    def __init__(self, ask: Callable[[], frozenset[str]]) -> None:
        self._ask = ask
        self._question: asyncio.Task[frozenset[str]] | None = None

    async def __call__(self) -> frozenset[str]:
        """Returns their names; cancelling one caller does not cancel the others."""
        if self._question is None or self._question.done():
            self._question = asyncio.create_task(asyncio.to_thread(self._ask))
        return await asyncio.shield(self._question)


async def _replicas(handles: Mapping[Role, DeploymentHandle[Any]]) -> dict[Role, int]:
    """Returns how many replicas of each role run now."""
    running = await asyncio.to_thread(_running)
    return {role: running.get(handle.deployment_name, 0) for role, handle in handles.items()}


def _running() -> dict[str, int]:
    return {
        name: deployment.replica_states.get(Standing.RUNNING, 0)
        for application in serve.status().applications.values()
        for name, deployment in application.deployments.items()
    }


def _sleeping_deployments() -> frozenset[str]:
    return frozenset(
        name
        for application in serve.status().applications.values()
        for name, deployment in application.deployments.items()
        if not any(deployment.replica_states.values())
    )


def _event_key(event: RenderEvent) -> tuple[Any, ...]:
    if isinstance(event, Started):
        return ("begun", event.model.reference)
    if isinstance(event, PartialImage):
        return ("sketch", event.index, event.step)
    return ("picture", event.index) if isinstance(event, ImageDone) else ("turned",)
