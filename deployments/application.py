"""Builds the Serve application from its arguments: the router, and a deployment for each role."""

from typing import Any

from ray import serve
from ray.serve import Application
from ray.serve.config import AutoscalingConfig, AutoscalingPolicy, BackpressureConfig

from app.api.keys import read_keys
from app.fleet.versions import resolve
from app.registry.references import available_models
from app.route.by_role import DeployedModel, Role
from app.settings import Settings
from deployments.args import RendererArgs, RouterArgs, ServiceArgs
from deployments.autoscaling import ScheduledAutoscaling
from deployments.replica.replica import Replica
from deployments.router import Router

NAMES = {Role.DRAFT: "draft", Role.FINAL: "polish", Role.TYPOGRAPHY: "typography"}
"""The deployments' names, as in `serve.yaml`."""


def build(args: ServiceArgs) -> Application:
    """Returns the Serve application; raises NoRoute for a model that is not on this machine.

    Serve configs name this function. An alias is resolved here and then followed by the replicas.
    """
    settings = Settings()
    models = available_models(settings)
    served = tuple(
        DeployedModel(
            role=role,
            reference=renderer.model,
            model=resolve(renderer.model, models),
            steps=renderer.steps,
            max_steps=renderer.max_steps,
            size=renderer.size,
            residency=renderer.residency,
        )
        for role, renderer in args.renderers.items()
    )
    retry_after = args.router.limits.retry_after_seconds
    role_deployments = {
        model.role: _role_deployment(model.role, args.renderers[model.role], retry_after).bind(
            args.renderers[model.role], model.model, settings, args.follow
        )
        for model in served
    }
    router = _router(args.router, retry_after)
    application: Application = router.bind(
        args.router, served, read_keys(settings.home), role_deployments, settings, args.follow
    )
    return application


def _router(args: RouterArgs, retry_after: int) -> Any:
    return serve.deployment(
        serve.ingress()(Router),
        name="router",
        num_replicas=1,
        max_ongoing_requests=args.max_ongoing_requests,
        max_queued_requests=args.max_queued_requests,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=retry_after),
        health_check_period_s=args.health_check_period_s,
        graceful_shutdown_timeout_s=args.graceful_shutdown_timeout_s,
        ray_actor_options={"num_cpus": args.num_cpus},
    )


def _role_deployment(role: Role, args: RendererArgs, retry_after: int) -> Any:
    return serve.deployment(
        Replica,
        name=NAMES[role],
        autoscaling_config=_autoscaling(args),
        max_ongoing_requests=args.max_ongoing_requests,
        max_queued_requests=args.max_queued_requests,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=retry_after),
        health_check_period_s=args.health_check_period_s,
        health_check_timeout_s=args.health_check_timeout_s,
        graceful_shutdown_timeout_s=args.graceful_shutdown_timeout_s,
        ray_actor_options={"num_cpus": args.num_cpus, "num_gpus": args.num_gpus},
    )


def _autoscaling(args: RendererArgs) -> AutoscalingConfig:
    numbers = args.replicas.as_json()
    if not args.schedule:
        return AutoscalingConfig(**numbers)
    windows = [window.as_json() for window in args.schedule]
    policy = AutoscalingPolicy(
        policy_function=ScheduledAutoscaling, policy_kwargs={"windows": windows}
    )
    return AutoscalingConfig(**numbers, policy=policy)
