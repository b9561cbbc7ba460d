"""Budgets: the most an attempt may cost is reserved before it starts, or it does not start.

The decision is made in the transaction of a claim, with the budgets' names locked: what is spent,
what active leases reserve and what one more attempt may cost together never exceed the cap. The
transaction that ends an attempt replaces its reservation by its actual cost.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, Row, func, select

from app.store import mapping, tables
from app.store.ledger import NANO, Account, account_of, nano, scopes

Scope = tuple[str, str]
_ANY = "0000-00-00"
"""One name for every day: every decision about a team or a day locks the same name."""


@dataclass(frozen=True, slots=True)
class Caps:
    """The most that may be spent in USD; None and teams not listed have no cap."""

    plan: float | None = None
    """By all runs of the plan together."""
    teams: Mapping[str, float] = field(default_factory=dict)
    """By a team in a month."""
    day: float | None = None
    """By everybody in a day."""

    def caps_for(self, account: Account, moment: str) -> dict[Scope, int]:
        """Returns the caps that apply to an attempt on this account, in billionths of a dollar."""
        caps = (self.plan, self.teams.get(account.team), self.day)
        caps_by_scope = zip(scopes(account, moment), caps, strict=True)
        return {scope: nano(cap) for scope, cap in caps_by_scope if cap is not None}

    def names(self, accounts: Iterable[Account]) -> set[str]:
        """Returns the names to lock, so that no other claim spends the same money concurrently."""
        return {
            " ".join(scope) for account in set(accounts) for scope in self.caps_for(account, _ANY)
        }


@dataclass(slots=True)
class Admission:
    """Attempts that may not start: now, because others have reserved the rest, or at all."""

    waiting: set[str] = field(default_factory=set)
    refused: dict[str, str] = field(default_factory=dict)


def admit(
    connection: Connection,
    wanted: Mapping[str, Account],
    caps: Caps,
    held: Mapping[str, Row[Any]],
    now: float,
) -> Admission:
    """Returns which keys may not start, deciding in order what the budgets allow.

    `held` are the existing leases on the keys: a key that is claimed again reserves nothing twice.
    """
    admission, moment = Admission(), mapping.timestamp(now)
    budgets: dict[Scope, _BudgetState] = {}
    for key, account in wanted.items():
        mine = caps.caps_for(account, moment)
        for scope in mine.keys() - budgets.keys():
            budgets[scope] = _budget_state(connection, scope, mine[scope], now)
            budgets[scope].aside -= sum(_reserved(held, wanted, scope, now, moment))
        amount = nano(account.most_usd)
        empty = [scope for scope in mine if budgets[scope].spent + amount > budgets[scope].cap]
        if empty:
            admission.refused[key] = _refusal(empty[0], budgets[empty[0]], amount)
        elif any(budgets[scope].left < amount for scope in mine):
            admission.waiting.add(key)
        else:
            for scope in mine:
                budgets[scope].aside += amount
    return admission


@dataclass(slots=True)
class _BudgetState:
    cap: int
    spent: int
    aside: int

    @property
    def left(self) -> int:
        return self.cap - self.spent - self.aside


def _budget_state(connection: Connection, scope: Scope, cap: int, now: float) -> _BudgetState:
    """Reads both sums in one statement: an attempt that ends between two would be in neither."""
    kind, name = scope
    spending, lease = tables.spending.c, tables.leases.c
    spent = select(spending.nano_usd).where(spending.scope == kind, spending.name == name)
    aside = select(func.sum(lease.nano_usd)).where(lease.expires_at > now)
    if kind == "plan":
        aside = aside.where(lease.plan == name)
    elif kind == "team":
        aside = aside.where(lease.team == name.rpartition(" ")[0])
    row = connection.execute(select(_or_0(spent), _or_0(aside))).one()
    return _BudgetState(cap, int(row[0]), int(row[1]))


def _or_0(query: Any) -> Any:
    return func.coalesce(query.scalar_subquery(), 0)


def _reserved(
    held: Mapping[str, Row[Any]],
    wanted: Mapping[str, Account],
    scope: Scope,
    now: float,
    moment: str,
) -> Iterator[int]:
    for key in wanted.keys() & held.keys():
        lease = held[key]
        if lease.expires_at > now and lease.nano_usd and scope in scopes(account_of(lease), moment):
            yield lease.nano_usd


def _refusal(scope: Scope, budget: _BudgetState, amount: int) -> str:
    kind, name = scope
    remedy = "raise budget.usd in the plan" if kind == "plan" else "raise it in ATELIER_BUDGETS"
    return (
        f"budget: {kind} {name} has spent ${budget.spent / NANO:.6f} of ${budget.cap / NANO:.6f}, "
        f"and one more attempt may cost ${amount / NANO:.6f}; {remedy} and run it again"
    )
