"""The metrics of `GET /metrics`: the declaration of each, and the counters of one router.

Names and units follow Prometheus: base units, `_total` for counters. Labels have few values (model,
team, role, code); assets, runs and callers are no labels.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.registry import CollectorRegistry

SECONDS = (0.05, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30, 60, 120)
INTERACTIVE, BULK, BULK_SERVED = "interactive", "bulk", "bulk_served"


@dataclass(frozen=True, slots=True)
class MetricSpec:
    """One metric; a histogram is exported under its name with `_bucket`, `_sum` and `_count`."""

    name: str
    kind: Literal["counter", "gauge", "histogram"]
    help: str
    labels: tuple[str, ...] = ()


REQUESTS = MetricSpec(
    "atelier_requests_total", "counter",
    "Interactive calls by endpoint (door), role, model and outcome: answered, left (the caller "
    "disconnected) or the code of the error; queue_full and no_capacity are shed load.",
    ("door", "role", "model", "outcome"),
)  # fmt: skip
BULK_CALLS = MetricSpec(
    "atelier_bulk_calls_total", "counter",
    "Calls of class bulk by role, model and outcome; refused ones are sent again by the run.",
    ("role", "model", "outcome"),
)  # fmt: skip
REQUEST_SECONDS = MetricSpec(
    "atelier_request_seconds", "histogram",
    "Seconds from the arrival of an interactive call to its last byte, if it was answered.",
    ("door", "role"),
)  # fmt: skip
STAGE_SECONDS = MetricSpec(
    "atelier_stage_seconds", "histogram",
    "Seconds of an interactive image in each stage: route (once a call), queue (all waiting), "
    "engine (text encoding, steps, decoding), encode (PNG).",
    ("role", "stage"),
)  # fmt: skip
IMAGE_SECONDS = MetricSpec(
    "atelier_image_seconds", "histogram",
    "Engine seconds of one image that the service rendered.", ("role", "model"),
)  # fmt: skip
PREVIEWS = MetricSpec(
    "atelier_previews_total", "counter",
    "Images that the service rendered; kept ones are also in atelier_images_total.",
    ("role", "model"),
)  # fmt: skip
IN_FLIGHT = MetricSpec(
    "atelier_images_in_flight", "gauge",
    "Images in flight by class: interactive and bulk_served by this service's calls, bulk by the "
    "leases of runs, wherever they are rendered.",
    ("class", "model"),
)  # fmt: skip
WAITING = MetricSpec(
    "atelier_images_waiting", "gauge",
    "Images in flight without an event from a replica yet.", ("class", "model"),
)  # fmt: skip
CACHE_HITS = MetricSpec(
    "atelier_cache_hits_total", "counter",
    "Hits in the router's memory: answers (a repeated Idempotency-Key) and pictures (a draft to "
    "continue from).",
    ("cache",),
)  # fmt: skip
RERENDERS = MetricSpec(
    "atelier_repaints_total", "counter",
    "Calls that were rendered again because their replica died.", ("role",),
)  # fmt: skip
REPLICAS = MetricSpec("atelier_replicas", "gauge", "Running replicas.", ("role",))

CATALOG_UP = MetricSpec(
    "atelier_catalog_up", "gauge",
    "1 if the catalog answered, otherwise 0; then the metrics read from it are missing.",
)  # fmt: skip
IMAGES = MetricSpec(
    "atelier_images_total", "counter",
    "Attempts in the ledger by ending: made, second (made after another was committed), failed, "
    "lost (the worker died).",
    ("model", "team", "ending"),
)  # fmt: skip
RETRIES = MetricSpec(
    "atelier_retries_total", "counter",
    "Attempts in the ledger after the first one at the same image.", ("model", "team"),
)  # fmt: skip
GENERATION_SECONDS = MetricSpec(
    "atelier_generation_seconds_total", "counter",
    "Seconds of generation in the ledger.", ("model", "team"),
)  # fmt: skip
COST = MetricSpec(
    "atelier_cost_usd_total", "counter", "Cost in the ledger, in USD.", ("model", "team")
)
ASSETS = MetricSpec(
    "atelier_assets", "gauge",
    "Assets in the catalog by status: accepted, review, rejected, failed. Failed assets may be "
    "made again, so this can decrease.",
    ("model", "status"),
)  # fmt: skip
FINDINGS = MetricSpec(
    "atelier_findings", "gauge",
    "Rules that decided assets did not pass, by measure and verdict.",
    ("model", "measure", "verdict"),
)  # fmt: skip
RUNS_OPEN = MetricSpec(
    "atelier_runs_open", "gauge",
    "Runs without a recorded end, at most 20: running, or killed and not resumed.",
)  # fmt: skip
BUDGET = MetricSpec(
    "atelier_budget_usd", "gauge",
    "Budgets in USD: of one day for all, of one month for a team (UTC).", ("scope", "name"),
)  # fmt: skip
BUDGET_LEFT = MetricSpec(
    "atelier_budget_left_usd", "gauge",
    "USD left of a budget; the estimated cost of running attempts counts as spent.",
    ("scope", "name"),
)  # fmt: skip

LIVE = (
    REQUESTS, BULK_CALLS, REQUEST_SECONDS, STAGE_SECONDS, IMAGE_SECONDS, PREVIEWS, IN_FLIGHT,
    WAITING, CACHE_HITS, RERENDERS, REPLICAS,
)  # fmt: skip
"""Counted by the router since its start."""
FROM_CATALOG = (
    CATALOG_UP, IMAGES, RETRIES, GENERATION_SECONDS, COST, ASSETS, FINDINGS, RUNS_OPEN, BUDGET,
    BUDGET_LEFT,
)  # fmt: skip
"""Read from the catalog, to which all processes write."""
ALL = (*LIVE, *FROM_CATALOG)


class Metrics:
    """The live metrics of one router, in their own registry."""

    def __init__(self) -> None:
        # Without this, every counter also has a `_created` series that nothing uses.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.requests = self._counter(REQUESTS)
        self.bulk_calls = self._counter(BULK_CALLS)
        self.request_seconds = self._histogram(REQUEST_SECONDS)
        self.stage_seconds = self._histogram(STAGE_SECONDS)
        self.image_seconds = self._histogram(IMAGE_SECONDS)
        self.previews = self._counter(PREVIEWS)
        self.cache_hits = self._counter(CACHE_HITS)
        self.rerenders = self._counter(RERENDERS)
        self.waiting = self._gauge(WAITING)
        self.replicas = self._gauge(REPLICAS)
        # Not registered: the collector of the catalog exports it together with the bulk images.
        self.in_flight: dict[tuple[str, str], int] = {}

    @contextmanager
    def track_images(self, model: str, images: int, *, bulk: bool) -> Iterator["WaitingImages"]:
        """Counts images as in flight, and as waiting until `done` of the yielded value."""
        labels = (BULK_SERVED if bulk else INTERACTIVE, model)
        self.in_flight[labels] = self.in_flight.get(labels, 0) + images
        waiting = WaitingImages(self.waiting.labels(*labels), images)
        try:
            yield waiting
        finally:
            waiting.done()
            self.in_flight[labels] -= images

    def _counter(self, spec: MetricSpec) -> Counter:
        return Counter(spec.name, spec.help, spec.labels, registry=self.registry)

    def _gauge(self, spec: MetricSpec) -> Gauge:
        return Gauge(spec.name, spec.help, spec.labels, registry=self.registry)

    def _histogram(self, spec: MetricSpec) -> Histogram:
        return Histogram(spec.name, spec.help, spec.labels, registry=self.registry, buckets=SECONDS)


class WaitingImages:
    """The images of a call until the first event of a replica."""

    def __init__(self, gauge: Gauge, images: int) -> None:
        self._gauge, self._images = gauge, images
        gauge.inc(images)

    def done(self) -> None:
        """Ends the wait, at the first event or at the end of the call. Safe to repeat."""
        self._gauge.dec(self._images)
        self._images = 0
