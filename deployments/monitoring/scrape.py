"""The text of GET /metrics: what the router counted, and what the catalog holds."""

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
"""How long the result of one catalog query is reused, however many callers ask."""
Labels: TypeAlias = tuple[str, ...]
Family: TypeAlias = CounterMetricFamily | GaugeMetricFamily
Replicas = Callable[[], Awaitable[Mapping[Role, int]]]


class MetricsPage:
    """All metrics in Prometheus' format; without the catalog only its part is missing."""

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
        self._booked = _CatalogMetrics(metrics)
        metrics.registry.register(self._booked)
        self._looked: float | None = None

    async def text(self) -> bytes:
        """Returns Prometheus' text format, version 0.0.4; its media type is `CONTENT_TYPE`."""
        async with self._looking:
            if self._looked is None or self._clock() - self._looked >= FRESH_SECONDS:
                self._booked.caps = await asyncio.to_thread(self._caps)
                self._booked.books = await asyncio.to_thread(self._read_catalog)
                self._looked = self._clock()
        if self._replicas is not None:
            for role, number in (await self._replicas()).items():
                self._metrics.replicas.labels(role).set(number)
        return generate_latest(self._metrics.registry)

    def _caps(self) -> Budgets:
        """Reads the file each time, as people change it; a faulty one hides only its metrics."""
        try:
            return budgets(self._settings)
        except InvalidRequest as error:
            log.warning("the budgets' metrics are missing: %s", error)
            return Budgets()

    def _read_catalog(self) -> Statistics | None:
        try:
            return self._statistics_reader.read()
        except CatalogError as error:
            log.warning("the catalog's metrics are missing: %s", error)
            return None

    @cached_property
    def _looking(self) -> asyncio.Lock:
        return asyncio.Lock()

    @cached_property
    def _statistics_reader(self) -> StatisticsReader:
        """Opens the catalog on first use."""
        return StatisticsReader(Catalog.open(self._settings.catalog))


class _CatalogMetrics(Collector):
    """The catalog's statistics as metric families."""

    def __init__(self, metrics: Metrics) -> None:
        self.books: Statistics | None = None
        self.caps = Budgets()
        self._metrics = metrics

    def describe(self) -> list[Family]:
        """Returns no families: nothing is looked up to be registered."""
        return []

    def collect(self) -> Iterator[Family]:
        """Yields every metric of the catalog; without a catalog only CATALOG_UP and IN_FLIGHT."""
        yield _family(metrics.CATALOG_UP, {(): float(self.books is not None)})
        yield _family(metrics.IN_FLIGHT, self._in_flight())
        if self.books is not None:
            yield from _of_ledger(self.books)
            yield from _of_assets(self.books)
            yield _family(metrics.RUNS_OPEN, {(): len(self.books.runs)})
            yield from self._of_budgets(self.books)

    def _in_flight(self) -> Counter[Labels]:
        under_way: Counter[Labels] = Counter()
        under_way.update(self._metrics.in_flight)
        for active in self.books.under_way if self.books else ():
            under_way[BULK, active.model] += active.attempts
        return under_way

    def _of_budgets(self, statistics: Statistics) -> Iterator[Family]:
        spent = {
            (spending.scope, spending.name): spending.nano_usd for spending in statistics.purses
        }
        today = next((name for scope, name in spent if scope == "day"), "")
        caps: dict[Labels, float] = {("team", team): cap for team, cap in self.caps.teams.items()}
        left: dict[Labels, float] = {
            ("team", team): cap - usd(spent.get(("team", team), 0))
            for team, cap in self.caps.teams.items()
        }
        if self.caps.day is not None:
            caps["day", "day"] = self.caps.day
            left["day", "day"] = self.caps.day - usd(spent.get(("day", today), 0))
        yield _family(metrics.BUDGET, caps)
        yield _family(metrics.BUDGET_LEFT, left)


def _of_ledger(statistics: Statistics) -> Iterator[Family]:
    images: Counter[Labels] = Counter()
    again: Counter[Labels] = Counter()
    nano: Counter[Labels] = Counter()
    seconds: dict[Labels, float] = {}
    for attempt in statistics.tried:
        place = (attempt.model, attempt.team)
        images[*place, attempt.ending] += attempt.attempts
        again[place] += attempt.again
        nano[place] += attempt.nano_usd
        seconds[place] = seconds.get(place, 0.0) + attempt.seconds
    yield _family(metrics.IMAGES, images)
    yield _family(metrics.RETRIES, again)
    yield _family(metrics.GENERATION_SECONDS, seconds)
    yield _family(metrics.COST, {place: usd(amount) for place, amount in nano.items()})


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
