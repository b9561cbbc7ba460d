"""Fair shares: whose turn it is, by the weighted work each team was given; knows no clock.

Start-time fair queuing (Goyal, Vin and Cheng, SIGCOMM 1996), which stays fair where the capacity
that is left to share varies, as it does here: what is urgent goes first.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class FairShares(Generic[T]):
    """The virtual time of every team: the work it was given over its weight.

    `team_of` says whose a piece of work is.

    The team that is furthest behind is next. Nobody is further behind than whoever waits: a team
    that was away, or asked for less than its share, starts where the others stand and has saved
    nothing up; one that was given more than its share, being urgent say, waits until the others
    have caught up.
    """

    def __init__(self, team_of: Callable[[T], Hashable]) -> None:
        self._team_of = team_of
        self._now = 0.0
        self._ahead: dict[Hashable, float] = {}  # of teams beyond `_now`

    def virtual_time(self, team: Hashable) -> float:
        """The virtual time of a team; the smallest is next."""
        return max(self._ahead.get(team, 0.0), self._now)

    def charge(self, item: T, work: float, weight: float) -> None:
        """The team of this one was given work."""
        team = self._team_of(item)
        self._ahead[team] = self.virtual_time(team) + work / weight

    def in_fair_order(self, work: Iterable[T]) -> Iterator[T]:
        """The work team by team as each becomes next, each team's own in the order given.

        What is charged between two of them counts; of teams that are equal, the one that stands
        first in `work` is next.
        """
        queues: dict[Hashable, deque[T]] = {}
        for item in work:
            queues.setdefault(self._team_of(item), deque()).append(item)
        while queues:
            team = min(queues, key=self.virtual_time)
            yield queues[team].popleft()
            if not queues[team]:
                del queues[team]

    def advance(self, waiting: Iterable[T]) -> None:
        """Time goes on to whoever waits and is furthest behind; with nobody waiting, all are even.

        To be called after every round with what could have been given more and was not.
        """
        behind = [self.virtual_time(self._team_of(item)) for item in waiting]
        self._now = min(behind) if behind else max(self._ahead.values(), default=self._now)
        self._ahead = {team: time for team, time in self._ahead.items() if time > self._now}
