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

KEPT = 100
"""Requests that count: what a while of previews takes, and not what was asked for yesterday."""
Seconds = Callable[[Hashable, int], float | None]
"""What a step of a family takes with so many rows of use; None: nobody knows yet."""


@dataclass(slots=True)
class _Going:
    joined: float
    family: Hashable
    rows: int
    steps_left: int

    @property
    def rank(self) -> tuple[int, float]:
        """The scheduler's own order: the least work left first."""
        return self.steps_left * self.rows, self.joined


class Alone:
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
        self._going: list[_Going] = []
        self._now = 0.0
        self._latest: deque[float] = deque(maxlen=KEPT)
        self.took: float | None = None
        """What 19 of 20 of the latest took at most; None before the first has come to its end."""

    def join(self, now: float, family: Hashable, rows: int, steps: int) -> None:
        """One that has arrived."""
        if not self._going:
            self._now = max(self._now, now)
        self._going.append(_Going(now, family, rows, steps))

    def go(self, now: float) -> None:
        """Take the steps that would have begun by now."""
        while self._going and self._now <= now:
            taken = self._taken()
            seconds = self._seconds(taken[0].family, sum(one.rows for one in taken))
            if seconds is None:
                self._going.clear()  # no step was ever timed: nothing can be said of these
                return
            self._now += seconds
            for one in taken:
                self._step(one)

    def _taken(self) -> list[_Going]:
        ranked = sorted(self._going, key=lambda one: one.rank)
        here = [one for one in ranked if one.joined <= self._now] or ranked[:1]
        left, taken = self._budget(here[0].family), list[_Going]()
        for one in here:
            if one.family == here[0].family and one.rows <= left:
                taken.append(one)
                left -= one.rows
        return taken or here[:1]

    def _step(self, one: _Going) -> None:
        one.steps_left -= 1
        if not one.steps_left:
            self._going.remove(one)
            self._now += self._decoding(one.family)  # which takes from the steps beside it
            self._latest.append(self._now - one.joined)
            self.took = sorted(self._latest)[round(0.95 * (len(self._latest) - 1))]


STRETCH = 1.4
"""How much longer an interactive request may take than 19 of 20 do alone. Half as long again is
promised; the rest is for what no schedule sees: texts, decoding, and steps of uneven length."""
BULK_STEP = 0.25
"""Of what they may take: the longest step of bulk alone while they are about."""
GUIDED_ROWS = 2
"""The least that every request of bulk finds room in."""
WORTH = 0.05
"""Of the time that people wait longer: what saves the engine less is noise."""
ABOUT_SECONDS = 30.0
"""So long after the last one somebody is taken to look at it and to ask again."""


@dataclass(frozen=True, slots=True)
class _Larger:
    """A step with so many rows: by how much longer it is, and what the engine saves by it."""

    rows: int
    longer: float
    saved: float


class Waiting(Protocol):
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


class Promise:
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
        self._alone = Alone(self._seconds, budget, costs.decoding)
        self._steps: dict[int, int] = {}
        self._seen: float | None = None

    def join(self, one: Waiting, now: float) -> None:
        """An interactive request has arrived."""
        self._steps[one.ticket] = one.steps_left
        self._alone.join(now, one.family, one.rows, one.steps_left)

    def rows(self, family: Hashable, taken: int, waiting: Iterable[Waiting], now: float) -> int:
        """Rows of use that the next step may have, of which interactive requests take `taken`.

        `waiting` are all interactive requests in flight.
        """
        self._alone.go(now)
        people = list(waiting)
        self._steps = {one.ticket: self._steps.get(one.ticket, 0) for one in people}
        if people:
            self._seen = now
        if taken:
            return self._beside(family, taken, people, now)
        if self._seen is None or now - self._seen > ABOUT_SECONDS:
            return self._budget(family)
        return self._by_itself(family)

    def _by_itself(self, family: Hashable) -> int:
        """Of a step of bulk alone: as long as whoever arrives within it may wait."""
        alone = self._alone.took
        if alone is None:
            return self._budget(family)
        longest = BULK_STEP * STRETCH * alone
        short = [rows for rows in self._sizes(family) if self._takes(family, rows) <= longest]
        return max(short, default=self._filled(family, GUIDED_ROWS))

    def _beside(self, family: Hashable, taken: int, people: list[Waiting], now: float) -> int:
        """Of a step that somebody waits for."""
        free = self._filled(family, taken)
        if not self._costs.known(family, self._padded(family, taken)):
            return free
        least = self._takes(family, taken)
        spare, steps = min((self._spare(one, least, now), one.steps_left) for one in people)
        worth = [one for one in self._larger(family, taken, free, least) if one.longer <= spare]
        lasting = [one for one in worth if one.longer <= spare / steps]
        if lasting:
            return max(lasting, key=lambda one: one.saved).rows
        return max(worth, key=lambda one: one.saved / one.longer).rows if worth else free

    def _spare(self, one: Waiting, least: float, now: float) -> float:
        """Seconds that are left to it to be slowed in; negative when it is late already."""
        decoding = self._costs.decoding(one.family)
        alone = max(self._alone.took or 0.0, self._steps[one.ticket] * least + decoding)
        return one.joined + STRETCH * alone - now - one.steps_left * least - decoding

    def _larger(self, family: Hashable, taken: int, free: int, least: float) -> Iterator[_Larger]:
        """Steps with more of bulk than the padding holds, where that saves the engine time."""
        most = self._budget(family)
        row_seconds = self._takes(family, most) / most
        for rows in self._sizes(family):
            longer = self._takes(family, rows) - least
            more = _guided(rows - taken) - _guided(free - taken)
            saved = more * row_seconds - longer
            if rows > free and longer > 0 and saved > WORTH * longer:
                yield _Larger(rows, longer, saved)

    def _sizes(self, family: Hashable) -> list[int]:
        """Rows of use that fill what runs, ascending."""
        most = self._budget(family)
        return [rows for rows in BUCKETS if GUIDED_ROWS <= rows < most] + [most]

    def _filled(self, family: Hashable, rows: int) -> int:
        """As many rows as run anyway."""
        return min(self._padded(family, rows), self._budget(family))

    def _takes(self, family: Hashable, rows: int) -> float:
        return self._seconds(family, rows) or 0.0

    def _seconds(self, family: Hashable, rows: int) -> float | None:
        return self._costs.seconds(family, self._padded(family, rows))


def _guided(rows: int) -> int:
    """Of so many rows, those that requests with guidance can use, as most of bulk are."""
    return rows // GUIDED_ROWS * GUIDED_ROWS
