"""The metrics of `GET /metrics`: each is declared here once; the live ones are counted here.

Names and units follow Prometheus: base units, `_total` for counters. Labels have few values: a
model, a team, a role, a code; never an asset, a run or a caller.
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
    "Calls of people that were routed or refused, by door, role, model and outcome: answered, left "
    "(the caller went away) or the code of the error; queue_full and no_capacity are shed load.",
    ("door", "role", "model", "outcome"),
)  # fmt: skip
BULK_CALLS = MetricSpec(
    "atelier_bulk_calls_total", "counter",
    "Calls of class bulk, by role, model and outcome as above; what is shed comes again.",
    ("role", "model", "outcome"),
)  # fmt: skip
REQUEST_SECONDS = MetricSpec(
    "atelier_request_seconds", "histogram",
    "Seconds from a call's arrival to its last byte, of people's calls that were answered.",
    ("door", "role"),
)  # fmt: skip
STAGE_SECONDS = MetricSpec(
    "atelier_stage_seconds", "histogram",
    "Seconds of one image that somebody waits for in each stage: route (once a call), queue (all "
    "waiting, beside others and on the way), engine (text, steps, decoding), encode (the file).",
    ("role", "stage"),
)  # fmt: skip
IMAGE_SECONDS = MetricSpec(
    "atelier_image_seconds", "histogram",
    "Seconds of the engine for one image that the service painted.", ("role", "model"),
)  # fmt: skip
PREVIEWS = MetricSpec(
    "atelier_previews_total", "counter",
    "Images that the service painted; those that are kept also count as images.",
    ("role", "model"),
)  # fmt: skip
IN_FLIGHT = MetricSpec(
    "atelier_images_in_flight", "gauge",
    "Images under way: interactive and bulk_served ones of this service's calls, bulk ones that a "
    "run leases, wherever it makes them.",
    ("class", "model"),
)  # fmt: skip
WAITING = MetricSpec(
    "atelier_images_waiting", "gauge",
    "Images in flight of which no replica has said a word yet.", ("class", "model"),
)  # fmt: skip
CACHE_HITS = MetricSpec(
    "atelier_cache_hits_total", "counter",
    "Calls answered, or begun, from memory: answers (an Idempotency-Key came again) and pictures "
    "(a draft was gone on from).",
    ("cache",),
)  # fmt: skip
REPAINTS = MetricSpec(
    "atelier_repaints_total", "counter",
    "Calls that were painted once more because their replica died.", ("role",),
)  # fmt: skip
REPLICAS = MetricSpec("atelier_replicas", "gauge", "Replicas that run now.", ("role",))

CATALOG_UP = MetricSpec(
    "atelier_catalog_up", "gauge",
    "Whether the catalog answered: 1, or 0, and then all that it tells is missing here.",
)  # fmt: skip
IMAGES = MetricSpec(
    "atelier_images_total", "counter",
    "Attempts at images by the ledger, by how they ended: made, second (made when another had "
    "been committed), failed, lost (its worker died).",
    ("model", "team", "ending"),
)  # fmt: skip
RETRIES = MetricSpec(
    "atelier_retries_total", "counter",
    "Attempts by the ledger that were not the first at their image.", ("model", "team"),
)  # fmt: skip
GENERATION_SECONDS = MetricSpec(
    "atelier_generation_seconds_total", "counter",
    "Seconds of generation by the ledger.", ("model", "team"),
)  # fmt: skip
COST = MetricSpec(
    "atelier_cost_usd_total", "counter", "Dollars spent by the ledger.", ("model", "team")
)
ASSETS = MetricSpec(
    "atelier_assets", "gauge",
    "Assets as they stand in the catalog: accepted, review, rejected, failed. What failed may be "
    "made again, so this can fall.",
    ("model", "status"),
)  # fmt: skip
FINDINGS = MetricSpec(
    "atelier_findings", "gauge",
    "How often a check's rule spoke against an asset that was decided, and how it put it.",
    ("model", "measure", "verdict"),
)  # fmt: skip
RUNS_OPEN = MetricSpec(
    "atelier_runs_open", "gauge",
    "Runs whose end was not noted, at most 20: under way, or killed and not begun again.",
)  # fmt: skip
BUDGET = MetricSpec(
    "atelier_budget_usd", "gauge",
    "Dollars that may be spent: by all in a day, by a team in a month (UTC).", ("scope", "name"),
)  # fmt: skip
BUDGET_LEFT = MetricSpec(
    "atelier_budget_left_usd", "gauge",
    "Dollars of a budget that are not spent; what is set aside for attempts under way is.",
    ("scope", "name"),
)  # fmt: skip

LIVE = (
    REQUESTS, BULK_CALLS, REQUEST_SECONDS, STAGE_SECONDS, IMAGE_SECONDS, PREVIEWS, IN_FLIGHT,
    WAITING, CACHE_HITS, REPAINTS, REPLICAS,
)  # fmt: skip
"""Counted by the router since it started."""
BOOKED = (
    CATALOG_UP, IMAGES, RETRIES, GENERATION_SECONDS, COST, ASSETS, FINDINGS, RUNS_OPEN, BUDGET,
    BUDGET_LEFT,
)  # fmt: skip
"""Read from the catalog, whichever process wrote it."""
ALL = (*LIVE, *BOOKED)


class Metrics:
    """The live metrics of one router, in a registry of their own."""

    def __init__(self) -> None:
        # Otherwise every counter brings a `_created` series that nobody uses.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self.requests = self._counter(REQUESTS)
        self.bulk_calls = self._counter(BULK_CALLS)
        self.request_seconds = self._histogram(REQUEST_SECONDS)
        self.stage_seconds = self._histogram(STAGE_SECONDS)
        self.image_seconds = self._histogram(IMAGE_SECONDS)
        self.previews = self._counter(PREVIEWS)
        self.cache_hits = self._counter(CACHE_HITS)
        self.repaints = self._counter(REPAINTS)
        self.waiting = self._gauge(WAITING)
        self.replicas = self._gauge(REPLICAS)
        # Not registered: the bulk ones of the same name come from the catalog.
        self.in_flight: dict[tuple[str, str], int] = {}

    @contextmanager
    def track_images(self, model: str, images: int, *, bulk: bool) -> Iterator["WaitingImages"]:
        """Counts images of a model as in flight, and as waiting until the yielded value is done."""
        place = (BULK_SERVED if bulk else INTERACTIVE, model)
        self.in_flight[place] = self.in_flight.get(place, 0) + images
        waiting = WaitingImages(self.waiting.labels(*place), images)
        try:
            yield waiting
        finally:
            waiting.done()
            self.in_flight[place] -= images

    def _counter(self, spec: MetricSpec) -> Counter:
        return Counter(spec.name, spec.help, spec.labels, registry=self.registry)

    def _gauge(self, spec: MetricSpec) -> Gauge:
        return Gauge(spec.name, spec.help, spec.labels, registry=self.registry)

    def _histogram(self, spec: MetricSpec) -> Histogram:
        return Histogram(spec.name, spec.help, spec.labels, registry=self.registry, buckets=SECONDS)


class WaitingImages:
    """Images that wait for the first event of a replica."""

    def __init__(self, gauge: Gauge, images: int) -> None:
        self._gauge, self._images = gauge, images
        gauge.inc(images)

    def done(self) -> None:
        """Ends the wait: the first event has come, or none will. Safe to repeat."""
        self._gauge.dec(self._images)
        self._images = 0
