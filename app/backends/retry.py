"""The pace of calls to somebody else's service: how often one is tried, and not before when."""

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from random import uniform
from time import monotonic

from anyio import sleep

from app.errors import BackendError, BackendRejected, BackendTimeout, RateLimited


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often one image is asked for, and how long is waited in between.

    With the usual numbers and a deadline of a minute, the last word on an image comes within ten
    minutes: sooner than a worker counts as stuck.
    """

    tries: int = 4
    backoff_seconds: float = 0.5
    """Before the second try; twice as long before each further one, shortened at random so that
    those who failed together do not come back together."""
    longest_wait_seconds: float = 120.0
    """Who asks to be left alone for longer has refused."""

    def wait_seconds(self, errors: list[BackendError]) -> float | None:
        """Seconds to wait after these errors, the last one just now; None: it was the last try.

        A call that hung is not made again, so that its worker is free at the deadline; an answer
        that was none is asked for once more.
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
    """Holds all calls to one service back while it asks for that."""

    def __init__(self) -> None:
        self._not_before = 0.0

    def pause(self, seconds: float) -> None:
        """Nothing is sent for so long."""
        self._not_before = max(self._not_before, monotonic() + seconds)

    async def wait_turn(self) -> None:
        """Returns when a call may be sent."""
        while (wait := self._not_before - monotonic()) > 0:
            await sleep(wait)


def retry_after(written: str | None) -> float | None:
    """The header's seconds from now, given as a number or as a date; None when it says neither."""
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
