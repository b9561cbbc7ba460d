"""The log of calls: one line of JSON for each call, and one for each image.

A call's id joins its lines. Callers may set it with `x-request-id`; Serve sends it back. It never
changes what is rendered: the same request gives the same bytes for every caller.
"""

import json
import logging
from asyncio import CancelledError
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from uuid import uuid4

from deployments.calls.idempotency import CallRefused
from deployments.monitoring.metrics import BULK, INTERACTIVE, Metrics
from deployments.problems import CODES, FAILED

ID_LENGTH = 64
SHORT = 12
"""Characters of a request's digest, as in other messages."""
COMPLETED, LEFT = "answered", "left"


@dataclass(slots=True)
class CallRecord:
    """A call's line of the log, filled in while the call is handled."""

    id: str = field(default_factory=lambda: uuid4().hex)
    endpoint: str = ""
    began: float = field(default_factory=perf_counter)
    role: str = ""
    model: str = ""
    requests: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    """By stage, summed over the call's images."""
    outcome: str = ""
    bulk: bool = False

    def complete(self) -> None:
        """Marks the call as answered in full."""
        self.outcome = COMPLETED

    @classmethod
    def begin(cls, given: str, endpoint: str, *, bulk: bool = False) -> "CallRecord":
        """Creates a record with the given id, cut to ID_LENGTH characters, or with a new id."""
        return cls(id=given[:ID_LENGTH] or uuid4().hex, endpoint=endpoint, bulk=bulk)


@contextmanager
def observe_call(record: CallRecord, metrics: Metrics) -> Iterator[None]:
    """Counts and logs the call when the context ends.

    The outcome is `answered`, `left` (the caller disconnected before) or the error's code.
    """
    try:
        yield
    except (GeneratorExit, CancelledError):
        record.outcome = record.outcome or LEFT
        raise
    except Exception as error:
        record.outcome = code_of(error)
        raise
    finally:
        record.seconds["total"] = perf_counter() - record.began
        _count(record, metrics)
        _log_call(record)


def observe_stage(record: CallRecord, metrics: Metrics, stage: str, seconds: float) -> None:
    """Adds seconds to a stage of the call; the metric covers interactive calls only."""
    record.seconds[stage] = record.seconds.get(stage, 0.0) + seconds
    if not record.bulk:
        metrics.stage_seconds.labels(record.role, stage).observe(seconds)


def _count(record: CallRecord, metrics: Metrics) -> None:
    """Counts a call; bulk calls separately and without latency, as refusing some is normal."""
    if record.bulk:
        metrics.bulk_calls.labels(record.role, record.model, record.outcome).inc()
        return
    metrics.requests.labels(record.endpoint, record.role, record.model, record.outcome).inc()
    if record.outcome == COMPLETED:
        seconds = metrics.request_seconds.labels(record.endpoint, record.role)
        seconds.observe(record.seconds["total"])


def code_of(error: Exception) -> str:
    """Returns the code of the error that the caller gets."""
    if isinstance(error, CallRefused):
        return error.problem.code
    codes = (code for kind, _, code in CODES if isinstance(error, kind))
    return next(codes, FAILED.code)


def log_image(
    call: str, request: str, ticket: int, ending: str, seconds: Mapping[str, float]
) -> None:
    """Logs one line about an image on its replica; `ticket` is the engine's request number."""
    fields = {"call": call, "request": request[:SHORT], "ticket": ticket, "ending": ending}
    _log_line(fields | {"ms": _milliseconds(seconds)})


def _log_call(record: CallRecord) -> None:
    _log_line(
        {
            "call": record.id,
            "door": record.endpoint,
            "role": record.role,
            "model": record.model,
            "outcome": record.outcome,
            "class": BULK if record.bulk else INTERACTIVE,
            "requests": [request_id[:SHORT] for request_id in record.requests],
            "ms": _milliseconds(record.seconds),
        }
    )


def _milliseconds(seconds: Mapping[str, float]) -> dict[str, float]:
    return {stage: round(1000 * value, 1) for stage, value in seconds.items()}


def _log_line(line: Mapping[str, object]) -> None:
    """Logs at INFO: the configured level is for Serve's own messages, and is higher."""
    log = logging.getLogger("ray.serve.calls")
    if log.level == logging.NOTSET:
        log.setLevel(logging.INFO)
    log.info("%s", json.dumps(line))
