"""The preview service without HTTP and Ray: the parts that the endpoints call."""

from collections.abc import Mapping
from dataclasses import dataclass

from app.fleet.prices import budgets
from app.route.by_role import Role
from app.settings import Settings
from deployments.args import CallLimits
from deployments.calls.admission import CallAdmission
from deployments.calls.call_renderer import CallRenderer
from deployments.calls.idempotency import IdempotencyCache
from deployments.calls.live_fleet import LiveFleet
from deployments.calls.rate_limit import BulkLimiter, RateLimiter
from deployments.calls.recent_images import ImageKeeper, RecentImages
from deployments.messages import Renderer
from deployments.monitoring.metrics import Metrics
from deployments.monitoring.scrape import MetricsPage, Replicas


@dataclass(frozen=True, slots=True)
class PreviewService:
    """The deployed models, rendering, keeping and metrics."""

    fleet: LiveFleet
    calls: CallRenderer
    images: ImageKeeper
    metrics: MetricsPage

    @classmethod
    def build(
        cls,
        fleet: LiveFleet,
        renderers: Mapping[Role, Renderer],
        settings: Settings,
        limits: CallLimits,
        *,
        max_bulk_calls: int,
        metrics: Metrics,
        replicas: Replicas | None = None,
    ) -> "PreviewService":
        """Returns the service over these renderers, one for each role of the fleet.

        `replicas` counts the running replicas of each role for the metrics.
        """
        recent_images = RecentImages(max_bytes=limits.kept_bytes)
        admission = CallAdmission(
            fleet,
            recent_images,
            IdempotencyCache(max_answers=limits.kept_answers, max_bytes=limits.kept_bytes),
            RateLimiter(),
            BulkLimiter(max_bulk_calls, retry_after_seconds=limits.retry_after_seconds),
            settings,
            metrics,
        )
        calls = CallRenderer(
            admission,
            renderers,
            recent_images,
            budgets(settings),
            metrics,
            retry_after_seconds=limits.retry_after_seconds,
        )
        keeper = ImageKeeper(recent_images, settings)
        return cls(fleet, calls, keeper, MetricsPage(metrics, settings, replicas=replicas))
