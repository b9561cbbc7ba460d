"""Which requests take part in the next step; knows rows, classes and time, and no tensors.

The rank is: interactive before bulk, then whoever is about to miss a deadline that can still be
met, then the team that is furthest behind its share of its class's rows, and of one team's
requests those of higher priority, then the least work left. Bulk thereby fills what interactive
leaves empty and is suspended between two steps at no cost. A request that has been here longer
than `patience_seconds` is overdue: a quarter of all rows goes to the overdue, oldest first, so
that nobody starves. How many rows of bulk a step may hold that people wait for, or may arrive in,
is the `LatencyGuard`'s to say. Whatever a team is given, for whichever reason, it is charged.
"""

from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Set
from itertools import groupby
from typing import Generic, Protocol, TypeAlias, TypeVar

from app.engine.fair_share import FairShares
from app.engine.latency_guard import LatencyGuard
from app.engine.state import Delivery, ServiceClass

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
        latency_guard: LatencyGuard | None = None,
    ) -> None:
        self._row_budget = row_budget
        self._latency_guard = latency_guard
        self._patience = patience_seconds
        self._waiting: dict[int, S] = {}
        self._shares: dict[ServiceClass, FairShares[S]] = {
            service_class: FairShares(_team) for service_class in ServiceClass
        }
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
        if self._latency_guard and request.delivery.service is ServiceClass.INTERACTIVE:
            self._latency_guard.join(request, request.joined)

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
        ranks = {
            request.ticket: _rank(request, now, step_seconds) for request in self._waiting.values()
        }
        ranked = sorted(self._waiting.values(), key=lambda request: ranks[request.ticket])
        first = head = next(self._in_fair_order(ranked, ranks))
        foreign = overdue and overdue[0].family != head.family
        if foreign and self._credit == 1.0:
            first = overdue[0]  # a whole step was saved up for the oldest one's family
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
        """By class and urgency; those that are not urgent team by team."""
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
        """The overdue as far as their credit goes, then as each has its turn."""
        chosen: dict[int, S] = {}
        rows_left = budget = self._row_budget(family)
        for request in overdue:
            share = request.rows / budget
            if request.family != family:
                continue
            if share > self._credit:
                break  # saved for this one: nobody younger may spend it
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
        """Rows of the step that no more bulk may have, for the sake of whoever waits."""
        if self._latency_guard is None:
            return 0
        people = [request for request in self._waiting.values() if not request.delivery.service]
        taken = sum(request.rows for request in chosen if not request.delivery.service)
        return self._row_budget(family) - self._latency_guard.rows(family, taken, people, now)

    def _take_rows(self, request: S, chosen: dict[int, S]) -> int:
        """Its rows in this step, which its team is charged."""
        chosen[request.ticket] = request
        self._shares[request.delivery.service].charge(request, request.rows, request.delivery.share)
        return request.rows

    def _settle(self, chosen: Set[int]) -> None:
        """Whoever had no rows waits; all others have no claim on what they did not ask for."""
        for service, shares in self._shares.items():
            shares.advance(
                request
                for request in self._waiting.values()
                if request.delivery.service == service and request.ticket not in chosen
            )


_Rank: TypeAlias = tuple[ServiceClass, bool, int, int, float, int]


def _rank(request: Scheduled, now: float, step_seconds: float) -> _Rank:
    """The first two say which level; the others order a team, or all that is urgent."""
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
    """Whether waiting much longer would miss a deadline that can still be met."""
    return deadline is not None and needed <= deadline - now <= 2 * needed
