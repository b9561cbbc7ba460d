"""From typed arguments to the Serve application: the router, and a deployment for each role."""

from typing import Any

from ray import serve
from ray.serve import Application
from ray.serve.config import AutoscalingConfig, BackpressureConfig

from app.fleet import resolve
from app.keys import read_keys
from app.models.versions import fleet as models
from app.route_preview import Role, Served
from app.settings import Settings
from deployments.args import DraftArgs, RouterArgs, ServiceArgs
from deployments.draft import Draft
from deployments.router import Router


def build(args: ServiceArgs) -> Application:
    """The application; raises NoRoute for a model that is not on this machine.

    `serve.run(build(args))` and a Serve config that names this function come to the same.
    """
    settings = Settings()
    served = Served(
        role=Role.DRAFT,
        reference=args.draft.model,
        model=resolve(args.draft.model, models()),
        steps=args.draft.steps,
        max_steps=args.draft.max_steps,
    )
    draft = _draft(args.draft, args.router.limits.retry_after_seconds)
    painters = {Role.DRAFT: draft.bind(args.draft, served.model, settings)}
    router = _router(args.router, args.router.limits.retry_after_seconds)
    application: Application = router.bind(
        args.router, (served,), read_keys(settings.home), painters
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


def _draft(args: DraftArgs, retry_after: int) -> Any:
    return serve.deployment(
        Draft,
        name="draft",
        autoscaling_config=AutoscalingConfig(**args.replicas.as_json()),
        max_ongoing_requests=args.max_ongoing_requests,
        max_queued_requests=args.max_queued_requests,
        backpressure_config=BackpressureConfig(status_code=429, retry_after_s=retry_after),
        health_check_period_s=args.health_check_period_s,
        health_check_timeout_s=args.health_check_timeout_s,
        graceful_shutdown_timeout_s=args.graceful_shutdown_timeout_s,
        ray_actor_options={"num_cpus": args.num_cpus},
    )
