"""Reads a running service's metrics for the commands that watch it."""

from collections import defaultdict
from collections.abc import Collection, Mapping
from http.client import HTTPException
from typing import Annotated, TypeAlias
from urllib.error import HTTPError
from urllib.request import ProxyHandler, Request, build_opener

from prometheus_client.parser import text_string_to_metric_families
from pydantic import Field

from app.types import Value

WAIT_SECONDS = 10.0
Labels: TypeAlias = tuple[str, ...]
Count = Annotated[float, Field(ge=0)]


class ModelMetrics(Value):
    """The interactive calls to one model of the service."""

    role: str
    model: str
    answered: Count
    refused: Count
    """Calls that ended in an error, ours or the caller's; disconnected callers are not counted."""
    shed: Count
    """Refused calls for lack of capacity."""
    images: Count


class BulkMetrics(Value):
    """Calls that runs make to the service, with no person waiting."""

    in_flight: Count = 0.0
    waiting: Count = 0.0
    answered: Count = 0.0
    shed: Count = 0.0
    """Runs send these calls again; that is expected."""


class ServiceSnapshot(Value):
    """A service at one moment; its counts are since it started.

    All but `bulk` and the images are of interactive calls.
    """

    url: str
    problem: str = ""
    """Why nothing is known of it; empty when it answered."""
    replicas: dict[str, Count] = Field(default_factory=dict)
    in_flight: Count = 0.0
    waiting: Count = 0.0
    mean_seconds: Count | None = None
    """Of the calls that were answered."""
    models: tuple[ModelMetrics, ...] = ()
    bulk: BulkMetrics = BulkMetrics()


SHED = frozenset({"queue_full", "no_capacity", "too_many_at_once", "rate_limit_exceeded"})
FINE = frozenset({"answered", "left"})


def read_service(url: str, *, key: str = "") -> ServiceSnapshot | None:
    """Reads the metrics of the service at this address; None when nothing listens there.

    A service that answers with an error or too slowly gives a snapshot with a `problem`.
    """
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    opener = build_opener(ProxyHandler({}))  # the key goes to the service and to no proxy
    try:
        with opener.open(Request(f"{url}/metrics", headers=headers), timeout=WAIT_SECONDS) as got:
            text = got.read().decode()
    except HTTPError as error:
        error.close()
        return ServiceSnapshot(url=url, problem=_refused(error.code))
    except TimeoutError:
        return ServiceSnapshot(url=url, problem=f"it did not answer within {WAIT_SECONDS:g} s")
    except (OSError, HTTPException):
        return None
    return parse_metrics(url, text)


def parse_metrics(url: str, text: str) -> ServiceSnapshot:
    """Parses metrics in Prometheus text format."""
    sums: defaultdict[str, defaultdict[Labels, float]]
    sums = defaultdict(lambda: defaultdict(float))
    bulk: defaultdict[str, float] = defaultdict(float)
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            labels = tuple(sample.labels.get(name, "") for name in ("role", "model", "outcome"))
            service = sample.labels.get("class", "interactive")
            if service == "interactive":
                sums[sample.name][labels] += sample.value
            elif service == "bulk_served":
                bulk[sample.name] += sample.value
    requests = sums["atelier_requests_total"]
    images = sums["atelier_previews_total"]
    answered = sum(sums["atelier_request_seconds_count"].values())
    seconds = sum(sums["atelier_request_seconds_sum"].values())
    places = sorted({(role, model) for role, model, _ in (*requests, *images)})
    return ServiceSnapshot(
        url=url,
        replicas={role: n for (role, _, _), n in sums["atelier_replicas"].items()},
        in_flight=sum(sums["atelier_images_in_flight"].values()),
        waiting=sum(sums["atelier_images_waiting"].values()),
        mean_seconds=round(seconds / answered, 3) if answered else None,
        models=tuple(_model(role, model, requests, images) for role, model in places),
        bulk=BulkMetrics(
            in_flight=bulk["atelier_images_in_flight"],
            waiting=bulk["atelier_images_waiting"],
            answered=_of(sums["atelier_bulk_calls_total"], {"answered"}),
            shed=_of(sums["atelier_bulk_calls_total"], SHED),
        ),
    )


def _of(calls: Mapping[Labels, float], outcomes: Collection[str]) -> float:
    """Returns the number of calls with one of these outcomes, over all models."""
    return sum(n for (_, _, outcome), n in calls.items() if outcome in outcomes)


def _model(
    role: str,
    model: str,
    requests: Mapping[Labels, float],
    images: Mapping[Labels, float],
) -> ModelMetrics:
    ended = {key[2]: n for key, n in requests.items() if key[:2] == (role, model)}
    return ModelMetrics(
        role=role,
        model=model,
        answered=ended.get("answered", 0),
        refused=sum(n for outcome, n in ended.items() if outcome not in FINE),
        shed=sum(n for outcome, n in ended.items() if outcome in SHED),
        images=images.get((role, model, ""), 0.0),
    )


def _refused(status: int) -> str:
    if status in (401, 403):
        return "it requires a key: set ATELIER_KEY"
    return f"its metrics endpoint answered {status}; it may be older than this command"
