"""When calls to an external service are retried, and how long they wait."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import uniform
from time import monotonic

from anyio import sleep

from app.errors import BackendError, BackendRejected, BackendTimeout, RateLimited


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often one image is requested, and the waits in between.

    With the defaults and a deadline of one minute, the final outcome of an image comes within ten
    minutes: before its worker counts as stuck.
    """

    tries: int = 4
    backoff_seconds: float = 0.5
    """Before the second try; doubled before each further one.

    Shortened at random, so that callers that failed together do not retry together.
    """
    longest_wait_seconds: float = 120.0
    """A longer requested wait counts as a refusal."""

    def wait_seconds(self, errors: list[BackendError]) -> float | None:
        """Returns the seconds to wait after these errors (the newest last), or None: try no more.

        A call that timed out is not repeated, so that its worker is free at the deadline; after an
        invalid answer there is one more try.
        """
        last, tried = errors[-1], len(errors)
        rejected = sum(isinstance(error, BackendRejected) for error in errors)
        if not last.retryable or isinstance(last, BackendTimeout):
            return None
        if tried >= self.tries or rejected > 1:
            return None
        retry_seconds = last.retry_after if isinstance(last, RateLimited) else None
        wait = (
            self.backoff_seconds * 2 ** (tried - 1) * uniform(0.5, 1)
            if retry_seconds is None
            else retry_seconds
        )
        return None if wait > self.longest_wait_seconds else wait


class Throttle:
    """Delays all calls to one service while it asks for a pause."""

    def __init__(self) -> None:
        self._not_before = 0.0

    def pause(self, seconds: float) -> None:
        """Stops sending for this many seconds."""
        self._not_before = max(self._not_before, monotonic() + seconds)

    async def wait_turn(self) -> None:
        """Returns when a call may be sent."""
        while (wait := self._not_before - monotonic()) > 0:
            await sleep(wait)


def retry_after(written: str | None) -> float | None:
    """Returns the seconds from a Retry-After header, a number or an HTTP date; None if neither."""
    if written is None:
        return None
    if written.strip().isdecimal():
        return float(written)
    try:
        moment = parsedate_to_datetime(written)
    except (ValueError, OverflowError):
        return None
    until = moment.replace(tzinfo=moment.tzinfo or UTC) - datetime.now(UTC)
    return max(until.total_seconds(), 0.0)
