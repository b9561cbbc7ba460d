"""The text of GET /metrics: the counters of the router, and the statistics of the catalog."""

import asyncio
import logging
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import cached_property
from time import monotonic
from typing import TypeAlias

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from app.errors import CatalogError, InvalidRequest
from app.fleet.prices import Budgets, budgets
from app.route.by_role import Role
from app.settings import Settings
from app.store.catalog import Catalog
from app.store.statistics import Statistics, StatisticsReader, usd
from deployments.monitoring import metrics
from deployments.monitoring.metrics import BULK, Metrics, MetricSpec

log = logging.getLogger("ray.serve")

CONTENT_TYPE = CONTENT_TYPE_LATEST
FRESH_SECONDS = 5.0
"""How long the statistics of the catalog are reused."""
Labels: TypeAlias = tuple[str, ...]
Family: TypeAlias = CounterMetricFamily | GaugeMetricFamily
Replicas = Callable[[], Awaitable[Mapping[Role, int]]]


class MetricsPage:
    """All metrics in Prometheus' format; if the catalog fails, only its metrics are missing."""

    def __init__(
        self,
        metrics: Metrics,
        settings: Settings,
        *,
        replicas: Replicas | None = None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        self._metrics, self._settings, self._replicas = metrics, settings, replicas
        self._clock = clock
        self._lock = asyncio.Lock()
        self._catalog_metrics = _CatalogMetrics(metrics)
        metrics.registry.register(self._catalog_metrics)
        self._read_at: float | None = None

    async def text(self) -> bytes:
        """Returns Prometheus' text format, version 0.0.4; its media type is `CONTENT_TYPE`."""
        async with self._lock:
            if self._read_at is None or self._clock() - self._read_at >= FRESH_SECONDS:
                self._catalog_metrics.budgets = await asyncio.to_thread(self._read_budgets)
                self._catalog_metrics.statistics = await asyncio.to_thread(self._read_catalog)
                self._read_at = self._clock()
        if self._replicas is not None:
            for role, number in (await self._replicas()).items():
                self._metrics.replicas.labels(role).set(number)
        return generate_latest(self._metrics.registry)

    def _read_budgets(self) -> Budgets:
        """Reads the file again, since it may change; a faulty file hides only its own metrics."""
        try:
            return budgets(self._settings)
        except InvalidRequest as error:
            log.warning("the metrics of the budgets are missing: %s", error)
            return Budgets()

    def _read_catalog(self) -> Statistics | None:
        try:
            return self._statistics_reader.read()
        except CatalogError as error:
            log.warning("the metrics of the catalog are missing: %s", error)
            return None

    @cached_property
    def _statistics_reader(self) -> StatisticsReader:
        return StatisticsReader(Catalog.open(self._settings.catalog))


class _CatalogMetrics(Collector):
    """The statistics of the catalog as metric families."""

    def __init__(self, metrics: Metrics) -> None:
        self.statistics: Statistics | None = None
        self.budgets = Budgets()
        self._metrics = metrics

    def describe(self) -> list[Family]:
        """Returns no families, so that registering reads nothing."""
        return []

    def collect(self) -> Iterator[Family]:
        """Yields all metrics of the catalog; without statistics only CATALOG_UP and IN_FLIGHT."""
        yield _family(metrics.CATALOG_UP, {(): float(self.statistics is not None)})
        yield _family(metrics.IN_FLIGHT, self._in_flight())
        if self.statistics is not None:
            yield from _of_ledger(self.statistics)
            yield from _of_assets(self.statistics)
            yield _family(metrics.RUNS_OPEN, {(): len(self.statistics.runs)})
            yield from self._of_budgets(self.statistics)

    def _in_flight(self) -> Counter[Labels]:
        images: Counter[Labels] = Counter(self._metrics.in_flight)
        for active in self.statistics.under_way if self.statistics else ():
            images[BULK, active.model] += active.attempts
        return images

    def _of_budgets(self, statistics: Statistics) -> Iterator[Family]:
        spent: dict[Labels, int] = {
            (spending.scope, spending.name): spending.nano_usd for spending in statistics.purses
        }
        today = next((labels[1] for labels in spent if labels[0] == "day"), "")
        limits: dict[Labels, float] = {
            ("team", team): limit for team, limit in self.budgets.teams.items()
        }
        left = {labels: limit - usd(spent.get(labels, 0)) for labels, limit in limits.items()}
        if self.budgets.day is not None:
            limits["day", "day"] = self.budgets.day
            left["day", "day"] = self.budgets.day - usd(spent.get(("day", today), 0))
        yield _family(metrics.BUDGET, limits)
        yield _family(metrics.BUDGET_LEFT, left)


def _of_ledger(statistics: Statistics) -> Iterator[Family]:
    images: Counter[Labels] = Counter()
    retries: Counter[Labels] = Counter()
    nano_usd: Counter[Labels] = Counter()
    seconds: dict[Labels, float] = {}
    for attempt in statistics.tried:
        labels = (attempt.model, attempt.team)
        images[*labels, attempt.ending] += attempt.attempts
        retries[labels] += attempt.again
        nano_usd[labels] += attempt.nano_usd
        seconds[labels] = seconds.get(labels, 0.0) + attempt.seconds
    yield _family(metrics.IMAGES, images)
    yield _family(metrics.RETRIES, retries)
    yield _family(metrics.GENERATION_SECONDS, seconds)
    yield _family(metrics.COST, {labels: usd(amount) for labels, amount in nano_usd.items()})


def _of_assets(statistics: Statistics) -> Iterator[Family]:
    yield _family(
        metrics.ASSETS,
        {(decision.model, decision.status): decision.assets for decision in statistics.decided},
    )
    yield _family(
        metrics.FINDINGS,
        {(hits.model, hits.measure, hits.verdict): hits.times for hits in statistics.spoke},
    )


def _family(spec: MetricSpec, values: Mapping[Labels, float]) -> Family:
    kind = CounterMetricFamily if spec.kind == "counter" else GaugeMetricFamily
    family = kind(spec.name, spec.help, labels=spec.labels)
    for labels, value in values.items():
        family.add_metric(labels, value)
    return family
