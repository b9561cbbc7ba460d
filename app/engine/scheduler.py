"""Which requests take part in the next step; knows rows, classes and time, and no tensors.

The rank is: interactive before bulk, then whoever is about to miss a deadline that can still be
met, then the team that is furthest behind its share of its class's rows, and of one team's
requests those of higher priority, then the least work left. Bulk thereby fills what interactive
leaves empty and is suspended between two steps at no cost. A request that has been here longer
than `patience_seconds` is overdue: a quarter of all rows goes to the overdue, oldest first, so
that nobody starves. How many rows of bulk a step may hold that people wait for, or may arrive in,
is the `Promise`'s to say. Whatever a team is given, for whichever reason, it is charged.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Set
from itertools import groupby
from typing import Generic, Protocol, TypeAlias, TypeVar

from app.engine.fair_share import Shares
from app.engine.latency_guard import Promise
from app.engine.state import Delivery, Service

PATIENCE_SECONDS = 30.0
OVERDUE_SHARE = 0.25
"""Of all rows, while anybody is overdue; interactive requests keep the others."""


class Scheduled(Protocol):
    """What the scheduler must know of a request."""

    @property
    def ticket(self) -> int:
        """Its number, in the order of arrival."""

    @property
    def joined(self) -> float:
        """When it arrived, in seconds on the caller's clock."""

    @property
    def delivery(self) -> Delivery:
        """Its class and its deadline, its team and the team's share."""

    @property
    def rows(self) -> int:
        """Rows it takes in every step: 1, or 2 with guidance."""

    @property
    def steps_left(self) -> int:
        """Forward passes still to come."""

    @property
    def family(self) -> Hashable:
        """What requests must share to run in one step."""


S = TypeVar("S", bound=Scheduled)


class Scheduler(Generic[S]):
    """Holds the requests in flight; `row_budget` says how many rows a family's step may have.

    Raises nothing: a request whose rows exceed its family's budget simply never runs, so the
    budget must be at least 2.
    """

    def __init__(
        self,
        row_budget: Callable[[Hashable], int],
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        promise: Promise | None = None,
    ) -> None:
        self._row_budget = row_budget
        self._promise = promise
        self._patience = patience_seconds
        self._waiting: dict[int, S] = {}
        self._shares: dict[Service, Shares[S]] = {one: Shares(_team) for one in Service}
        self._credit = 0.0  # of a step, owed to the overdue

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[S]:
        return iter(self._waiting.values())

    def __contains__(self, ticket: int) -> bool:
        return ticket in self._waiting

    def add(self, request: S) -> None:
        """Let a request join at the next step."""
        self._waiting[request.ticket] = request
        if self._promise and request.delivery.service is Service.INTERACTIVE:
            self._promise.join(request, request.joined)

    def find(self, ticket: int) -> S | None:
        """The request with this ticket, if it is in flight."""
        return self._waiting.get(ticket)

    def remove(self, ticket: int) -> S | None:
        """Let a request go, finished or not."""
        return self._waiting.pop(ticket, None)

    def take(self, now: float, *, step_seconds: float = 0.0) -> list[S]:
        """The requests of the next step, all of one family, within its row budget.

        They stay in flight until they are removed. `step_seconds` is what a step takes at
        present: deadlines are judged by it.
        """
        if not self._waiting:
            return []
        overdue = self._overdue(now)
        self._credit = min(self._credit + OVERDUE_SHARE, 1.0) if overdue else 0.0
        ranks = {one.ticket: _rank(one, now, step_seconds) for one in self._waiting.values()}
        ranked = sorted(self._waiting.values(), key=lambda one: ranks[one.ticket])
        first = head = next(self._in_turn(ranked, ranks))
        foreign = overdue and overdue[0].family != head.family
        if foreign and self._credit == 1.0:
            first = overdue[0]  # a whole step was saved up for the oldest one's family
        family = first.family
        chosen = self._fill(
            [] if foreign and first is head else overdue,
            self._in_turn((one for one in ranked if one.family == family), ranks),
            family,
            now,
        )
        if first is not head:
            self._credit = 0.0
        self._settle({one.ticket for one in chosen})
        return chosen

    def _in_turn(self, ranked: Iterable[S], ranks: Mapping[int, "_Rank"]) -> Iterator[S]:
        """By class and urgency; those that are not urgent team by team."""
        for (service, calm), level in groupby(ranked, key=lambda one: ranks[one.ticket][:2]):
            turns = self._shares[service].in_turn if calm else iter
            yield from turns(level)

    def _overdue(self, now: float) -> list[S]:
        late = [one for one in self._waiting.values() if now - one.joined > self._patience]
        return sorted(late, key=lambda one: (one.joined, one.ticket))

    def _fill(
        self, overdue: list[S], in_turn: Iterator[S], family: Hashable, now: float
    ) -> list[S]:
        """The overdue as far as their credit goes, then as each has its turn."""
        chosen: dict[int, S] = {}
        rows_left = budget = self._row_budget(family)
        for one in overdue:
            share = one.rows / budget
            if one.family != family:
                continue
            if share > self._credit:
                break  # saved for this one: nobody younger may spend it
            rows_left -= self._give(one, chosen)
            self._credit -= share
        promised = False
        for one in in_turn:
            if one.delivery.service is Service.BULK and not promised:
                rows_left -= self._kept_from_bulk(chosen.values(), family, now)
                promised = True
            if one.ticket not in chosen and one.rows <= rows_left:
                rows_left -= self._give(one, chosen)
            if rows_left <= 0:
                break
        return list(chosen.values())

    def _kept_from_bulk(self, chosen: Iterable[S], family: Hashable, now: float) -> int:
        """Rows of the step that no more bulk may have, for the sake of whoever waits."""
        if self._promise is None:
            return 0
        people = [one for one in self._waiting.values() if not one.delivery.service]
        taken = sum(one.rows for one in chosen if not one.delivery.service)
        return self._row_budget(family) - self._promise.rows(family, taken, people, now)

    def _give(self, one: S, chosen: dict[int, S]) -> int:
        """Its rows in this step, which its team is charged."""
        chosen[one.ticket] = one
        self._shares[one.delivery.service].charge(one, one.rows, one.delivery.share)
        return one.rows

    def _settle(self, chosen: Set[int]) -> None:
        """Whoever had no rows waits; all others have no claim on what they did not ask for."""
        for service, shares in self._shares.items():
            shares.settle(
                one
                for one in self._waiting.values()
                if one.delivery.service == service and one.ticket not in chosen
            )


_Rank: TypeAlias = tuple[Service, bool, int, int, float, int]


def _rank(one: Scheduled, now: float, step_seconds: float) -> _Rank:
    """The first two say which level; the others order a team, or all that is urgent."""
    delivery = one.delivery
    calm = not _urgent(delivery.deadline, now, one.steps_left * step_seconds)
    return (
        delivery.service,
        calm,
        -delivery.priority if calm else 0,
        one.steps_left * one.rows,
        one.joined,
        one.ticket,
    )


def _team(one: Scheduled) -> str:
    return one.delivery.team


def _urgent(deadline: float | None, now: float, needed: float) -> bool:
    """Whether waiting much longer would miss a deadline that can still be met."""
    return deadline is not None and needed <= deadline - now <= 2 * needed
