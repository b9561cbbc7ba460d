"""The ingress deployment: the HTTP application in front of the roles' replicas."""

import asyncio
from asyncio import CancelledError
from collections.abc import AsyncGenerator, Callable, Mapping
from functools import partial
from typing import Any

from ray import serve
from ray.exceptions import RayActorError
from ray.serve._private.common import ReplicaState as ReplicaStatus
from ray.serve.exceptions import BackPressureError, DeploymentUnavailableError
from ray.serve.handle import DeploymentHandle
from starlette.types import ASGIApp

from app.api.keys import KeyRing
from app.api.responses import Problem
from app.route.by_role import DeployedModel, Role
from app.settings import Settings
from deployments.args import AliasFollowing, RouterArgs
from deployments.calls.idempotency import CallRefused
from deployments.calls.live_fleet import LiveFleet
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
from deployments.preview_service import PreviewService
from deployments.replica.alias import Alias, follow

NOT_READY = Problem(
    status=503, code="not_ready", message="a role does not answer; retry", retry_after_seconds=1
)
TRIES = 2
"""A job whose replica died is rendered again by another one, with the same bytes."""


class Router:
    """Serves HTTP; `handles` has the handle of each role's deployment."""

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
        live, metrics = LiveFleet(fleet), Metrics()
        asleep = SleepingDeployments(_sleeping_deployments)
        renderers: dict[Role, Renderer] = {
            model.role: RemoteRenderer(handles[model.role], model.role, live, asleep, metrics)
            for model in fleet
        }
        self._service = PreviewService.build(
            live,
            renderers,
            settings,
            args.limits,
            max_bulk_calls=max(args.max_ongoing_requests // 2, 1),
            metrics=metrics,
            replicas=lambda: _replicas(handles),
        )
        self._limits, self._keys = args.limits, keys
        self._following = [
            asyncio.get_running_loop().create_task(
                follow(
                    alias,
                    partial(live.follow_move, model.role, renderers[model.role]),
                    look_seconds=following.look_seconds,
                )
            )
            for model in fleet
            if (alias := Alias.read(model.reference, settings)) is not None
        ]

    def __serve_build_asgi_app__(self) -> ASGIApp:
        """Returns the ASGI application; Serve calls this once the replica is constructed."""
        keys = LiveKeys(self._keys)
        return AuthMiddleware(create_app(self._service, keys), limits=self._limits, keys=keys)


class RemoteRenderer:
    """Renders with the replicas of one deployment, through its handle."""

    def __init__(
        self,
        handle: DeploymentHandle[Any],
        role: Role,
        fleet: LiveFleet,
        asleep: "SleepingDeployments",
        metrics: Metrics,
    ) -> None:
        self._handle = handle
        self._rerenders = metrics.rerenders.labels(role)
        self._role, self._fleet, self._asleep = role, fleet, asleep

    async def render(self, job: RenderJob) -> AsyncGenerator[RenderEvent]:
        """Yields events as they arrive, and Serve's errors as `Refused`.

        After a replica dies the job is retried once; events already yielded are not repeated.
        """
        yielded: set[tuple[Any, ...]] = set()
        for attempt in range(TRIES):
            if attempt:
                self._rerenders.inc()
            events: Any = self._handle.options(stream=True).render.remote(job)
            try:
                async for event in events:
                    if (key := _event_key(event)) not in yielded:
                        yielded.add(key)
                        yield event
                return
            except BackPressureError:
                yield Refused(reason="queue", message="the queue is full; retry later")
                return
            except DeploymentUnavailableError:
                break
            except RayActorError:
                continue
            except (CancelledError, GeneratorExit):  # the caller disconnected
                events.cancel()
                raise
        yield Refused(reason="lost", message="no replica is left to render this; retry later")

    async def state(self) -> ReplicaState:
        """Returns the state of one replica; raises CallRefused when none answers.

        A deployment without replicas is not started for this.
        """
        if self._handle.deployment_name in await self._asleep():
            return ReplicaState(model=self._fleet.model(self._role), asleep=True)
        try:
            state: ReplicaState = await self._handle.state.remote()
        except (BackPressureError, DeploymentUnavailableError, RayActorError) as exc:
            raise CallRefused(NOT_READY) from exc
        return state


class SleepingDeployments:
    """Finds the deployments without a replica; concurrent callers share one request."""

    def __init__(self, request: Callable[[], frozenset[str]]) -> None:
        self._request = request
        self._pending: asyncio.Task[frozenset[str]] | None = None

    async def __call__(self) -> frozenset[str]:
        """Returns their names; cancelling one caller does not cancel the others."""
        if self._pending is None or self._pending.done():
            self._pending = asyncio.create_task(asyncio.to_thread(self._request))
        return await asyncio.shield(self._pending)


async def _replicas(handles: Mapping[Role, DeploymentHandle[Any]]) -> dict[Role, int]:
    """Returns the number of running replicas of each role."""
    states = await asyncio.to_thread(_replica_states)
    return {
        role: states.get(handle.deployment_name, {}).get(ReplicaStatus.RUNNING, 0)
        for role, handle in handles.items()
    }


def _sleeping_deployments() -> frozenset[str]:
    return frozenset(name for name, states in _replica_states().items() if not any(states.values()))


def _replica_states() -> dict[str, dict[ReplicaStatus, int]]:
    """Returns the number of replicas in each state, by deployment."""
    return {
        name: deployment.replica_states
        for application in serve.status().applications.values()
        for name, deployment in application.deployments.items()
    }


def _event_key(event: RenderEvent) -> tuple[Any, ...]:
    """Returns the same key for an event of the first attempt and its repetition."""
    if isinstance(event, Started):
        return (Started, event.model.reference)
    if isinstance(event, PartialImage):
        return (PartialImage, event.index, event.step)
    return (ImageDone, event.index) if isinstance(event, ImageDone) else (Refused,)
