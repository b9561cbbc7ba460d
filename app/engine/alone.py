"""The interactive requests as they would go with no bulk beside them, on a clock of their own."""

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass

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
