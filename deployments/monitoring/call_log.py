"""The course of one call: its id from the door to the step, how long each stage took, how it ended.

One line of JSON for each call and one for each image, below the service's own log: who reads both
follows a call by its id. The id never enters what is made: the same request gives the same bytes,
whoever asked. With `x-request-id` a caller gives the id; Serve returns it, given or drawn.
"""

import json
import logging
from asyncio import CancelledError
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from uuid import uuid4

from deployments.calls.idempotency import NotAnswered
from deployments.monitoring.metrics import BULK, INTERACTIVE, Meters
from deployments.problems import CODES, FAILED

ID_LENGTH = 64
SHORT = 12
"""Of a request's digest, as everywhere else."""
ANSWERED, LEFT = "answered", "left"


@dataclass(slots=True)
class Course:
    """Filled while the call goes its way; seconds by stage are summed over its images."""

    id: str = field(default_factory=lambda: uuid4().hex)
    door: str = ""
    began: float = field(default_factory=perf_counter)
    role: str = ""
    model: str = ""
    requests: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    outcome: str = ""
    bulk: bool = False

    def answered(self) -> None:
        """All that was asked for has come."""
        self.outcome = ANSWERED

    @classmethod
    def of(cls, given: str, door: str, *, bulk: bool = False) -> "Course":
        """With the id that came along, shortened if need be; a new one where none did."""
        return cls(id=given[:ID_LENGTH] or uuid4().hex, door=door, bulk=bulk)


@contextmanager
def observed(course: Course, meters: Meters) -> Iterator[None]:
    """Count the call and tell its course when it ends; `answered` says that it did so well.

    Who has all of a call's words closes the stream, which is no going away.
    """
    try:
        yield
    except (GeneratorExit, CancelledError):
        course.outcome = course.outcome or LEFT
        raise
    except Exception as error:
        course.outcome = code_of(error)
        raise
    finally:
        course.seconds["total"] = perf_counter() - course.began
        _count(course, meters)
        _tell_call(course)


def _count(course: Course, meters: Meters) -> None:
    """Nobody waits for bulk: its times are no news, and that some of it is shed is its way."""
    if course.bulk:
        meters.bulk_calls.labels(course.role, course.model, course.outcome).inc()
        return
    meters.requests.labels(course.door, course.role, course.model, course.outcome).inc()
    if course.outcome == ANSWERED:
        seconds = meters.request_seconds.labels(course.door, course.role)
        seconds.observe(course.seconds["total"])


def code_of(error: Exception) -> str:
    """What the caller is told in one word."""
    if isinstance(error, NotAnswered):
        return error.problem.code
    codes = (code for kind, _, code in CODES if isinstance(error, kind))
    return next(codes, FAILED.code)


def tell_image(
    call: str, request: str, ticket: int, ending: str, seconds: Mapping[str, float]
) -> None:
    """One line about one image, where it was painted; the ticket is its engine's."""
    said = {"call": call, "request": request[:SHORT], "ticket": ticket, "ending": ending}
    _tell(said | {"ms": _milliseconds(seconds)})


def _tell_call(course: Course) -> None:
    _tell(
        {
            "call": course.id,
            "door": course.door,
            "role": course.role,
            "model": course.model,
            "outcome": course.outcome,
            "class": BULK if course.bulk else INTERACTIVE,
            "requests": [one[:SHORT] for one in course.requests],
            "ms": _milliseconds(course.seconds),
        }
    )


def _milliseconds(seconds: Mapping[str, float]) -> dict[str, float]:
    return {stage: round(1000 * took, 1) for stage, took in seconds.items()}


def _tell(line: Mapping[str, object]) -> None:
    """Into the service's own log, whose level keeps Serve's chatter out and not these lines."""
    log = logging.getLogger("ray.serve.calls")
    if log.level == logging.NOTSET:
        log.setLevel(logging.INFO)
    log.info("%s", json.dumps(line))
