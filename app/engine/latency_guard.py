"""The promise to whoever waits: bulk makes a wait half as long again at most; knows no tensors.

A step takes longer with bulk rows in it, and whoever arrives within one waits for its end. What
interactive requests would take with no bulk about is known (`alone.py`), and with it how much
longer each may take: bulk rows share a step as long as that is not used up and sharing saves time
at all, and while people are about no step of bulk alone takes long. Rows that only fill padding
cost nobody anything and are always given.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from app.engine.cost_curve import StepCosts
from app.engine.row_budget import BUCKETS

WINDOW = 100
"""Requests that count: what a while of previews takes, and not what was asked for yesterday."""
Seconds = Callable[[Hashable, int], float | None]
"""What a step of a family takes with so many rows of use; None: nobody knows yet."""


@dataclass(slots=True)
class _ActiveRequest:
    joined: float
    family: Hashable
    rows: int
    steps_left: int

    @property
    def rank(self) -> tuple[int, float]:
        """The scheduler's own order: the least work left first."""
        return self.steps_left * self.rows, self.joined


class BaselineTimeline:
    """A second engine of which only the time is real: arrivals, rows and what steps take.

    It says how long requests would have taken, each other's company included, so that what bulk
    adds can be told from what they do to each other.
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
        """What 19 of 20 of the latest took at most; None before the first has come to its end."""

    def join(self, now: float, family: Hashable, rows: int, steps: int) -> None:
        """One that has arrived."""
        if not self._active:
            self._now = max(self._now, now)
        self._active.append(_ActiveRequest(now, family, rows, steps))

    def advance_to(self, now: float) -> None:
        """Take the steps that would have begun by now."""
        while self._active and self._now <= now:
            taken = self._next_batch()
            seconds = self._seconds(taken[0].family, sum(request.rows for request in taken))
            if seconds is None:
                self._active.clear()  # no step was ever timed: nothing can be said of these
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
            self._now += self._decoding(request.family)  # which takes from the steps beside it
            self._latest.append(self._now - request.joined)
            self.p95_seconds = sorted(self._latest)[round(0.95 * (len(self._latest) - 1))]


MAX_SLOWDOWN = 1.4
"""How much longer an interactive request may take than 19 of 20 do alone. Half as long again is
promised; the rest is for what no schedule sees: texts, decoding, and steps of uneven length."""
MAX_BULK_STEP_SHARE = 0.25
"""Of what they may take: the longest step of bulk alone while they are about."""
GUIDED_ROWS = 2
"""The least that every request of bulk finds room in."""
MIN_SAVED_SHARE = 0.05
"""Of the time that people wait longer: what saves the engine less is noise."""
INTERACTIVE_IDLE_SECONDS = 30.0
"""So long after the last one somebody is taken to look at it and to ask again."""


@dataclass(frozen=True, slots=True)
class _StepOption:
    """A step with so many rows: by how much longer it is, and what the engine saves by it."""

    rows: int
    added_seconds: float
    saved_seconds: float


class InteractiveRequest(Protocol):
    """What must be known of an interactive request in flight."""

    @property
    def ticket(self) -> int:
        """Its number."""

    @property
    def joined(self) -> float:
        """When it arrived."""

    @property
    def rows(self) -> int:
        """Rows it takes in every step."""

    @property
    def steps_left(self) -> int:
        """Forward passes still to come."""

    @property
    def family(self) -> Hashable:
        """What requests must share to run in one step."""


class LatencyGuard:
    """How many rows a step may have once its interactive requests have theirs.

    `padded` says how many rows run for so many of use, `budget` how many of use fit. Before a
    number of rows was ever run without bulk, it is run once so that its cost is known.
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
        """An interactive request has arrived."""
        self._steps[request.ticket] = request.steps_left
        self._baseline.join(now, request.family, request.rows, request.steps_left)

    def rows(
        self, family: Hashable, taken: int, waiting: Iterable[InteractiveRequest], now: float
    ) -> int:
        """Rows of use that the next step may have, of which interactive requests take `taken`.

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
        """Of a step of bulk alone: as long as whoever arrives within it may wait."""
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
        """Of a step that somebody waits for."""
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
        """Seconds that are left to it to be slowed in; negative when it is late already."""
        decoding = self._costs.decode_seconds(request.family)
        alone = max(
            self._baseline.p95_seconds or 0.0, self._steps[request.ticket] * least + decoding
        )
        return request.joined + MAX_SLOWDOWN * alone - now - request.steps_left * least - decoding

    def _larger_steps(
        self, family: Hashable, taken: int, free: int, least: float
    ) -> Iterator[_StepOption]:
        """Steps with more of bulk than the padding holds, where that saves the engine time."""
        most = self._budget(family)
        row_seconds = self._known_seconds(family, most) / most
        for rows in self._sizes(family):
            longer = self._known_seconds(family, rows) - least
            more = _guided(rows - taken) - _guided(free - taken)
            saved = more * row_seconds - longer
            if rows > free and longer > 0 and saved > MIN_SAVED_SHARE * longer:
                yield _StepOption(rows, longer, saved)

    def _sizes(self, family: Hashable) -> list[int]:
        """Rows of use that fill what runs, ascending."""
        most = self._budget(family)
        return [rows for rows in BUCKETS if GUIDED_ROWS <= rows < most] + [most]

    def _padded_rows(self, family: Hashable, rows: int) -> int:
        """As many rows as run anyway."""
        return min(self._padded(family, rows), self._budget(family))

    def _known_seconds(self, family: Hashable, rows: int) -> float:
        return self._seconds(family, rows) or 0.0

    def _seconds(self, family: Hashable, rows: int) -> float | None:
        return self._costs.step_seconds(family, self._padded(family, rows))


def _guided(rows: int) -> int:
    """Of so many rows, those that requests with guidance can use, as most of bulk are."""
    return rows // GUIDED_ROWS * GUIDED_ROWS
