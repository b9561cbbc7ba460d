"""The log of calls: a call's id from endpoint to engine step, seconds per stage, and the outcome.

One line of JSON for each call and one for each image, in the service's own log; the call's id joins
them. The id never changes what is made: the same request gives the same bytes for every caller. A
caller may set the id with `x-request-id`; Serve returns it, given or generated.
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
"""Characters of a request's digest, as everywhere else."""
COMPLETED, LEFT = "answered", "left"


@dataclass(slots=True)
class CallRecord:
    """Filled while the call is handled; seconds by stage are summed over its images."""

    id: str = field(default_factory=lambda: uuid4().hex)
    door: str = ""
    began: float = field(default_factory=perf_counter)
    role: str = ""
    model: str = ""
    requests: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    outcome: str = ""
    bulk: bool = False

    def complete(self) -> None:
        """Marks the call as answered: everything asked for was sent."""
        self.outcome = COMPLETED

    @classmethod
    def begin(cls, given: str, door: str, *, bulk: bool = False) -> "CallRecord":
        """Creates a record with the given id, shortened to ID_LENGTH; with a new id otherwise."""
        return cls(id=given[:ID_LENGTH] or uuid4().hex, door=door, bulk=bulk)


@contextmanager
def observe_call(record: CallRecord, metrics: Metrics) -> Iterator[None]:
    """Counts the call and logs it when it ends; the outcome `answered` means success.

    A caller who has received all events closes the stream, which does not count as leaving.
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


def _count(record: CallRecord, metrics: Metrics) -> None:
    """Counts a call; of bulk only the number: nobody waits for it, and shedding some is normal."""
    if record.bulk:
        metrics.bulk_calls.labels(record.role, record.model, record.outcome).inc()
        return
    metrics.requests.labels(record.door, record.role, record.model, record.outcome).inc()
    if record.outcome == COMPLETED:
        seconds = metrics.request_seconds.labels(record.door, record.role)
        seconds.observe(record.seconds["total"])


def code_of(error: Exception) -> str:
    """Returns the error's code as the caller sees it."""
    if isinstance(error, CallRefused):
        return error.problem.code
    codes = (code for kind, _, code in CODES if isinstance(error, kind))
    return next(codes, FAILED.code)


def log_image(
    call: str, request: str, ticket: int, ending: str, seconds: Mapping[str, float]
) -> None:
    """Logs one line about one image, where it was rendered; the ticket is the engine's."""
    fields = {"call": call, "request": request[:SHORT], "ticket": ticket, "ending": ending}
    _log_line(fields | {"ms": _milliseconds(seconds)})


def _log_call(record: CallRecord) -> None:
    _log_line(
        {
            "call": record.id,
            "door": record.door,
            "role": record.role,
            "model": record.model,
            "outcome": record.outcome,
            "class": BULK if record.bulk else INTERACTIVE,
            "requests": [request_id[:SHORT] for request_id in record.requests],
            "ms": _milliseconds(record.seconds),
        }
    )


def _milliseconds(seconds: Mapping[str, float]) -> dict[str, float]:
    return {stage: round(1000 * took, 1) for stage, took in seconds.items()}


def _log_line(line: Mapping[str, object]) -> None:
    """Logs at INFO although the service's own level, meant for Serve's messages, is higher."""
    log = logging.getLogger("ray.serve.calls")
    if log.level == logging.NOTSET:
        log.setLevel(logging.INFO)
    log.info("%s", json.dumps(line))
