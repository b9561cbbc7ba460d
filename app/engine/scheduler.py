"""Selects the requests of the next step; handles rows, classes and time, not tensors.

Requests rank in this order: interactive before bulk; then those about to miss a deadline that can
still be met; then the team furthest behind its share of its class's rows; within a team higher
priority; then the least remaining work. Bulk thereby fills the rows that interactive leaves empty
and is suspended between two steps at no cost. A request that has waited longer than
`patience_seconds` is overdue: a quarter of all rows goes to overdue requests, oldest first, so that
none starves. The `LatencyGuard` limits the bulk rows of a step that an interactive request takes
part in or may arrive in. Teams are charged for all rows they are given, for whatever reason.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Set
from itertools import groupby
from typing import Generic, Protocol, TypeAlias, TypeVar

from app.engine.fair_share import FairShares
from app.engine.latency_guard import LatencyGuard
from app.engine.state import Delivery, ServiceClass

PATIENCE_SECONDS = 30.0
OVERDUE_SHARE = 0.25
"""Of all rows, while any request is overdue; interactive requests keep the others."""


class Scheduled(Protocol):
    """What the scheduler must know of a request."""

    @property
    def ticket(self) -> int:
        """Returns its number, in the order of arrival."""

    @property
    def joined(self) -> float:
        """Returns when it arrived, in seconds on the caller's clock."""

    @property
    def delivery(self) -> Delivery:
        """Returns its class and deadline, its team and the team's share."""

    @property
    def rows(self) -> int:
        """Returns the rows it takes in every step: 1, or 2 with guidance."""

    @property
    def steps_left(self) -> int:
        """Returns the number of forward passes still to come."""

    @property
    def family(self) -> Hashable:
        """Returns what requests must share to run in one step."""


S = TypeVar("S", bound=Scheduled)


class Scheduler(Generic[S]):
    """Holds the requests in flight; `row_budget` gives the rows that a family's step may have.

    Raises nothing: a request whose rows exceed its family's budget simply never runs, so the budget
    must be at least 2.
    """

    def __init__(
        self,
        row_budget: Callable[[Hashable], int],
        *,
        patience_seconds: float = PATIENCE_SECONDS,
        latency_guard: LatencyGuard | None = None,
    ) -> None:
        self._row_budget = row_budget
        self._latency_guard = latency_guard
        self._patience = patience_seconds
        self._waiting: dict[int, S] = {}
        self._shares: dict[ServiceClass, FairShares[S]] = {
            service_class: FairShares(_team) for service_class in ServiceClass
        }
        self._credit = 0.0  # share of a step owed to overdue requests

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[S]:
        return iter(self._waiting.values())

    def __contains__(self, ticket: int) -> bool:
        return ticket in self._waiting

    def add(self, request: S) -> None:
        """Adds a request; it may run from the next step on."""
        self._waiting[request.ticket] = request
        if self._latency_guard and request.delivery.service is ServiceClass.INTERACTIVE:
            self._latency_guard.join(request, request.joined)

    def find(self, ticket: int) -> S | None:
        """Returns the request with this ticket, or None if it is not in flight."""
        return self._waiting.get(ticket)

    def remove(self, ticket: int) -> S | None:
        """Removes and returns a request, finished or not; None if it is not in flight."""
        return self._waiting.pop(ticket, None)

    def take(self, now: float, *, step_seconds: float = 0.0) -> list[S]:
        """Returns the requests of the next step, all of one family, within its row budget.

        They stay in flight until they are removed. `step_seconds` is the current length of a step,
        used to judge deadlines.
        """
        if not self._waiting:
            return []
        overdue = self._overdue(now)
        self._credit = min(self._credit + OVERDUE_SHARE, 1.0) if overdue else 0.0
        ranks = {
            request.ticket: _rank(request, now, step_seconds) for request in self._waiting.values()
        }
        ranked = sorted(self._waiting.values(), key=lambda request: ranks[request.ticket])
        first = head = next(self._in_fair_order(ranked, ranks))
        foreign = overdue and overdue[0].family != head.family
        if foreign and self._credit == 1.0:
            first = overdue[0]  # enough credit for a whole step of the oldest request's family
        family = first.family
        chosen = self._fill(
            [] if foreign and first is head else overdue,
            self._in_fair_order((request for request in ranked if request.family == family), ranks),
            family,
            now,
        )
        if first is not head:
            self._credit = 0.0
        self._settle({request.ticket for request in chosen})
        return chosen

    def _in_fair_order(self, ranked: Iterable[S], ranks: Mapping[int, "_Rank"]) -> Iterator[S]:
        """Yields by class and urgency; those that are not urgent in fair order of teams."""
        for (service, calm), level in groupby(
            ranked, key=lambda request: ranks[request.ticket][:2]
        ):
            turns = self._shares[service].in_fair_order if calm else iter
            yield from turns(level)

    def _overdue(self, now: float) -> list[S]:
        late = [
            request for request in self._waiting.values() if now - request.joined > self._patience
        ]
        return sorted(late, key=lambda request: (request.joined, request.ticket))

    def _fill(
        self, overdue: list[S], in_turn: Iterator[S], family: Hashable, now: float
    ) -> list[S]:
        """Returns overdue requests as far as their credit goes, then the others in order."""
        chosen: dict[int, S] = {}
        rows_left = budget = self._row_budget(family)
        for request in overdue:
            share = request.rows / budget
            if request.family != family:
                continue
            if share > self._credit:
                break  # credit is saved for this request: younger ones may not use it
            rows_left -= self._take_rows(request, chosen)
            self._credit -= share
        promised = False
        for request in in_turn:
            if request.delivery.service is ServiceClass.BULK and not promised:
                rows_left -= self._reserved_rows(chosen.values(), family, now)
                promised = True
            if request.ticket not in chosen and request.rows <= rows_left:
                rows_left -= self._take_rows(request, chosen)
            if rows_left <= 0:
                break
        return list(chosen.values())

    def _reserved_rows(self, chosen: Iterable[S], family: Hashable, now: float) -> int:
        """Returns the rows of the step that bulk may not use, as the latency guard decides."""
        if self._latency_guard is None:
            return 0
        people = [request for request in self._waiting.values() if not request.delivery.service]
        taken = sum(request.rows for request in chosen if not request.delivery.service)
        return self._row_budget(family) - self._latency_guard.rows(family, taken, people, now)

    def _take_rows(self, request: S, chosen: dict[int, S]) -> int:
        """Adds the request to the step, charges its team, and returns its rows."""
        chosen[request.ticket] = request
        self._shares[request.delivery.service].charge(request, request.rows, request.delivery.share)
        return request.rows

    def _settle(self, chosen: Set[int]) -> None:
        """Advances each class's fair shares to the teams that still wait."""
        for service, shares in self._shares.items():
            shares.advance(
                request
                for request in self._waiting.values()
                if request.delivery.service == service and request.ticket not in chosen
            )


_Rank: TypeAlias = tuple[ServiceClass, bool, int, int, float, int]


def _rank(request: Scheduled, now: float, step_seconds: float) -> _Rank:
    """Returns the sort key: two fields for the level, the others for the order within it."""
    delivery = request.delivery
    calm = not _urgent(delivery.deadline, now, request.steps_left * step_seconds)
    return (
        delivery.service,
        calm,
        -delivery.priority if calm else 0,
        request.steps_left * request.rows,
        request.joined,
        request.ticket,
    )


def _team(request: Scheduled) -> str:
    return request.delivery.team


def _urgent(deadline: float | None, now: float, needed: float) -> bool:
    """Returns whether waiting much longer would miss a deadline that can still be met."""
    return deadline is not None and needed <= deadline - now <= 2 * needed
