"""Fair sharing between teams by the weighted work each was given; uses no clock.

Start-time fair queuing (Goyal, Vin and Cheng, SIGCOMM 1996), which stays fair where the shared
capacity varies, as it does here because urgent requests go first.
"""

from collections import deque
from collections.abc import Callable, Hashable, Iterable, Iterator
from typing import Generic, TypeVar

T = TypeVar("T")


class FairShares(Generic[T]):
    """The virtual time of every team: the work it was given over its weight.

    `team_of` returns the team of an item. The team furthest behind is next, and waiting teams set
    the minimum: a team that was absent, or used less than its share, starts level with the others
    and has no credit; one that was given more than its share (for urgent requests) waits until the
    others have caught up.
    """

    def __init__(self, team_of: Callable[[T], Hashable]) -> None:
        self._team_of = team_of
        self._now = 0.0
        self._ahead: dict[Hashable, float] = {}  # of teams beyond `_now`

    def virtual_time(self, team: Hashable) -> float:
        """Returns the virtual time of a team; the smallest is next."""
        return max(self._ahead.get(team, 0.0), self._now)

    def charge(self, item: T, work: float, weight: float) -> None:
        """Adds work to the virtual time of the item's team."""
        team = self._team_of(item)
        self._ahead[team] = self.virtual_time(team) + work / weight

    def in_fair_order(self, work: Iterable[T]) -> Iterator[T]:
        """Yields the items team by team as each becomes next, each team's own in the order given.

        Charges made between two items count; of equal teams, the one that comes first in `work` is
        next.
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
        """Advances time to the waiting team furthest behind; if no team waits, all become equal.

        Call it after every round with the items that were left waiting.
        """
        behind = [self.virtual_time(self._team_of(item)) for item in waiting]
        self._now = min(behind) if behind else max(self._ahead.values(), default=self._now)
        self._ahead = {team: time for team, time in self._ahead.items() if time > self._now}
