"""Which requests take part in the next step; knows rows, classes and time, and no tensors.

The rank is: interactive before bulk, then whoever is about to miss a deadline that can still be
met, then the least work left. Bulk thereby fills what interactive leaves empty and is suspended
between two steps at no cost. A request that has been here longer than `patience_seconds` is
overdue: a quarter of all rows goes to the overdue, oldest first, so that nobody starves.
"""

from collections.abc import Callable, Hashable, Iterator
from typing import Generic, Protocol, TypeVar

from app.engine.state import Delivery

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
        """Its class and its deadline."""

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
    ) -> None:
        self._row_budget = row_budget
        self._patience = patience_seconds
        self._waiting: dict[int, S] = {}
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
        ranked = sorted(self._waiting.values(), key=lambda one: _rank(one, now, step_seconds))
        overdue = self._overdue(now)
        self._credit = min(self._credit + OVERDUE_SHARE, 1.0) if overdue else 0.0
        first = ranked[0]
        foreign = overdue and overdue[0].family != first.family
        if foreign and self._credit == 1.0:
            first = overdue[0]  # a whole step was saved up for the oldest one's family
        family = first.family
        chosen = self._fill(
            [] if foreign and first is ranked[0] else overdue,
            [one for one in ranked if one.family == family],
            self._row_budget(family),
        )
        if first is not ranked[0]:
            self._credit = 0.0
        return chosen

    def _overdue(self, now: float) -> list[S]:
        late = [one for one in self._waiting.values() if now - one.joined > self._patience]
        return sorted(late, key=lambda one: (one.joined, one.ticket))

    def _fill(self, overdue: list[S], ranked: list[S], budget: int) -> list[S]:
        """The overdue as far as their credit goes, then by rank."""
        chosen: dict[int, S] = {}
        rows_left = budget
        for one in overdue:
            share = one.rows / budget
            if one.family != ranked[0].family:
                continue
            if share > self._credit:
                break  # saved for this one: nobody younger may spend it
            chosen[one.ticket] = one
            rows_left -= one.rows
            self._credit -= share
        for one in ranked:
            if one.ticket not in chosen and one.rows <= rows_left:
                chosen[one.ticket] = one
                rows_left -= one.rows
        return list(chosen.values())


def _rank(one: Scheduled, now: float, step_seconds: float) -> tuple[int, bool, int, float, int]:
    delivery = one.delivery
    return (
        delivery.service,
        not _urgent(delivery.deadline, now, one.steps_left * step_seconds),
        one.steps_left * one.rows,
        one.joined,
        one.ticket,
    )


def _urgent(deadline: float | None, now: float, needed: float) -> bool:
    """Whether waiting much longer would miss a deadline that can still be met."""
    return deadline is not None and needed <= deadline - now <= 2 * needed
