"""Limits how much bulk work may slow interactive requests: at most 1.5x their latency alone.

A step with bulk rows takes longer, and a request that arrives during a step waits for its end.
`BaselineTimeline` simulates what interactive requests would take without bulk; that gives how much
longer each may take. Bulk rows share a step while this slack lasts and sharing saves time, and
while there are interactive requests no step of bulk alone takes long. Rows that only replace
padding cost nothing and are always given. Pure scheduling arithmetic; does not touch tensors.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from app.engine.cost_curve import StepCosts
from app.engine.row_budget import BUCKETS

WINDOW = 100
"""The latest requests that count, so that the percentile follows the present load."""
Seconds = Callable[[Hashable, int], float | None]
"""Seconds of a family's step with this many rows, padding not counted; None: not measured yet."""


@dataclass(slots=True)
class _ActiveRequest:
    joined: float
    family: Hashable
    rows: int
    steps_left: int

    @property
    def rank(self) -> tuple[int, float]:
        """Returns the scheduler's own order: the least remaining work first."""
        return self.steps_left * self.rows, self.joined


class BaselineTimeline:
    """Simulates an engine without bulk: arrivals, rows and measured step times only.

    It gives what interactive requests would take in each other's company, so that the delay by bulk
    can be told apart from the delay they cause each other.
    """

    def __init__(
        self,
        seconds: Seconds,
        budget: Callable[[Hashable], int],
        decoding: Callable[[Hashable], float],
    ) -> None:
        self._seconds, self._budget, self._decoding = seconds, budget, decoding
        self._active: list[_ActiveRequest] = []
        self._now = 0.0
        self._latest: deque[float] = deque(maxlen=WINDOW)
        self.p95_seconds: float | None = None
        """95th percentile of the latest requests' latency; None before the first has ended."""

    def join(self, now: float, family: Hashable, rows: int, steps: int) -> None:
        """Adds a request that has arrived."""
        if not self._active:
            self._now = max(self._now, now)
        self._active.append(_ActiveRequest(now, family, rows, steps))

    def advance_to(self, now: float) -> None:
        """Simulates the steps that would have begun by now."""
        while self._active and self._now <= now:
            taken = self._next_batch()
            seconds = self._seconds(taken[0].family, sum(request.rows for request in taken))
            if seconds is None:
                self._active.clear()  # no step was ever timed: nothing can be estimated
                return
            self._now += seconds
            for request in taken:
                self._finish_step(request)

    def _next_batch(self) -> list[_ActiveRequest]:
        ranked = sorted(self._active, key=lambda request: request.rank)
        here = [request for request in ranked if request.joined <= self._now] or ranked[:1]
        left, taken = self._budget(here[0].family), list[_ActiveRequest]()
        for request in here:
            if request.family == here[0].family and request.rows <= left:
                taken.append(request)
                left -= request.rows
        return taken or here[:1]

    def _finish_step(self, request: _ActiveRequest) -> None:
        request.steps_left -= 1
        if not request.steps_left:
            self._active.remove(request)
            self._now += self._decoding(request.family)  # decoding slows the parallel steps
            self._latest.append(self._now - request.joined)
            self.p95_seconds = sorted(self._latest)[round(0.95 * (len(self._latest) - 1))]


MAX_SLOWDOWN = 1.4
"""The most an interactive request may take, as a multiple of the 95th percentile alone.

The guarantee is 1.5; the difference covers what the schedule does not see: text encoding, decoding,
and steps of uneven length.
"""
MAX_BULK_STEP_SHARE = 0.25
"""The longest step of bulk alone while there are interactive requests, as a share of that limit."""
GUIDED_ROWS = 2
"""The least number of rows for bulk: every request fits into it."""
MIN_SAVED_SHARE = 0.05
"""As a share of the added wait: smaller savings of engine time are noise."""
INTERACTIVE_IDLE_SECONDS = 30.0
"""For this long after the last interactive request its user is expected to send another."""


@dataclass(frozen=True, slots=True)
class _StepOption:
    """A step with this many rows: its added length, and the engine time it saves."""

    rows: int
    added_seconds: float
    saved_seconds: float


class InteractiveRequest(Protocol):
    """What the guard must know of an interactive request in flight."""

    @property
    def ticket(self) -> int:
        """Returns its number."""

    @property
    def joined(self) -> float:
        """Returns when it arrived."""

    @property
    def rows(self) -> int:
        """Returns the rows it takes in every step."""

    @property
    def steps_left(self) -> int:
        """Returns the number of forward passes still to come."""

    @property
    def family(self) -> Hashable:
        """Returns what requests must share to run in one step."""


class LatencyGuard:
    """Decides how many rows, bulk included, a step may have next to its interactive requests.

    `padded` gives the number of rows that run for a number of useful rows, `budget` how many useful
    rows fit. A row count that was never measured without bulk runs once without it, so that its
    cost is known.
    """

    def __init__(
        self,
        costs: StepCosts,
        padded: Callable[[Hashable, int], int],
        budget: Callable[[Hashable], int],
    ) -> None:
        self._costs, self._padded, self._budget = costs, padded, budget
        self._baseline = BaselineTimeline(self._seconds, budget, costs.decode_seconds)
        self._steps: dict[int, int] = {}
        self._last_interactive: float | None = None

    def join(self, request: InteractiveRequest, now: float) -> None:
        """Adds an interactive request that has arrived."""
        self._steps[request.ticket] = request.steps_left
        self._baseline.join(now, request.family, request.rows, request.steps_left)

    def rows(
        self, family: Hashable, taken: int, waiting: Iterable[InteractiveRequest], now: float
    ) -> int:
        """Returns the useful rows of the next step, of which interactive requests take `taken`.

        `waiting` are all interactive requests in flight.
        """
        self._baseline.advance_to(now)
        people = list(waiting)
        self._steps = {request.ticket: self._steps.get(request.ticket, 0) for request in people}
        if people:
            self._last_interactive = now
        if taken:
            return self._shared_rows(family, taken, people, now)
        if (
            self._last_interactive is None
            or now - self._last_interactive > INTERACTIVE_IDLE_SECONDS
        ):
            return self._budget(family)
        return self._bulk_only_rows(family)

    def _bulk_only_rows(self, family: Hashable) -> int:
        """Returns the rows of a step of bulk alone, short enough for a request arriving in it."""
        alone = self._baseline.p95_seconds
        if alone is None:
            return self._budget(family)
        longest = MAX_BULK_STEP_SHARE * MAX_SLOWDOWN * alone
        short = [
            rows for rows in self._sizes(family) if self._known_seconds(family, rows) <= longest
        ]
        return max(short, default=self._padded_rows(family, GUIDED_ROWS))

    def _shared_rows(
        self, family: Hashable, taken: int, people: list[InteractiveRequest], now: float
    ) -> int:
        """Returns the rows of a step that an interactive request takes part in."""
        free = self._padded_rows(family, taken)
        if not self._costs.is_measured(family, self._padded(family, taken)):
            return free
        least = self._known_seconds(family, taken)
        spare, steps = min(
            (self._slack_seconds(request, least, now), request.steps_left) for request in people
        )
        worth = [
            option
            for option in self._larger_steps(family, taken, free, least)
            if option.added_seconds <= spare
        ]
        lasting = [option for option in worth if option.added_seconds <= spare / steps]
        if lasting:
            return max(lasting, key=lambda option: option.saved_seconds).rows
        return (
            max(worth, key=lambda option: option.saved_seconds / option.added_seconds).rows
            if worth
            else free
        )

    def _slack_seconds(self, request: InteractiveRequest, least: float, now: float) -> float:
        """Returns how many seconds it may still be delayed; negative when it is late already."""
        decoding = self._costs.decode_seconds(request.family)
        alone = max(
            self._baseline.p95_seconds or 0.0, self._steps[request.ticket] * least + decoding
        )
        return request.joined + MAX_SLOWDOWN * alone - now - request.steps_left * least - decoding

    def _larger_steps(
        self, family: Hashable, taken: int, free: int, least: float
    ) -> Iterator[_StepOption]:
        """Yields steps with more bulk rows than the padding holds that save engine time."""
        most = self._budget(family)
        row_seconds = self._known_seconds(family, most) / most
        for rows in self._sizes(family):
            longer = self._known_seconds(family, rows) - least
            more = _guided(rows - taken) - _guided(free - taken)
            saved = more * row_seconds - longer
            if rows > free and longer > 0 and saved > MIN_SAVED_SHARE * longer:
                yield _StepOption(rows, longer, saved)

    def _sizes(self, family: Hashable) -> list[int]:
        """Returns the useful rows that fill a bucket, ascending."""
        most = self._budget(family)
        return [rows for rows in BUCKETS if GUIDED_ROWS <= rows < most] + [most]

    def _padded_rows(self, family: Hashable, rows: int) -> int:
        """Returns the number of rows that run anyway, padding included."""
        return min(self._padded(family, rows), self._budget(family))

    def _known_seconds(self, family: Hashable, rows: int) -> float:
        return self._seconds(family, rows) or 0.0

    def _seconds(self, family: Hashable, rows: int) -> float | None:
        return self._costs.step_seconds(family, self._padded(family, rows))


def _guided(rows: int) -> int:
    """Returns how many of these rows requests with guidance can use, as most of bulk are."""
    return rows // GUIDED_ROWS * GUIDED_ROWS
