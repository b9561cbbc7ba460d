"""The ledger: one row for each attempt, written in the transaction in which the attempt ends.

An attempt is one lease that was won. Whoever ends the lease writes the row: the owner with the
outcome, or the successor of a dead owner with `lost`. So a crash anywhere neither loses a row nor
writes two.

Money is stored in whole billionths of a dollar: sums are exact, in whatever order they are taken.
"""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import Connection, Row, text

from app.store import mapping, tables

NANO = 1_000_000_000


class AttemptEnding(StrEnum):
    """How an attempt ended."""

    MADE = "made"
    SECOND = "second"
    """Made, but another attempt had committed the image already."""
    FAILED = "failed"
    LOST = "lost"
    """Started, but no end was reported: the worker died or was stopped.

    Its cost is unknown and counts as zero.
    """


@dataclass(frozen=True, slots=True)
class Account:
    """Who pays for an attempt, and how much is reserved for it meanwhile."""

    who: str = ""
    plan: str = ""
    team: str = ""
    model: str = ""
    asset: str | None = None
    """The asset it is made for; None when that is not known."""
    most_usd: float = 0.0


@dataclass(frozen=True, slots=True)
class AttemptCost:
    """The cost of an attempt; its seconds are GPU or CPU seconds."""

    seconds: float = 0.0
    usd: float = 0.0
    gpu: bool = False


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt that has ended."""

    key: str
    run_id: str
    number: int
    account: Account
    ending: AttemptEnding
    took: AttemptCost = AttemptCost()


def nano(usd: float) -> int:
    """Returns USD in billionths of a dollar, rounded to an integer."""
    return round(usd * NANO)


def book_attempts(connection: Connection, attempts: Iterable[Attempt], now: float) -> None:
    """Writes a row for each, and adds it to the spending of its plan, its team and the day."""
    booked, moment = list(attempts), mapping.timestamp(now)
    mapping.insert_all(connection, tables.ledger, [_cells(attempt, moment) for attempt in booked])
    spent: Counter[tuple[str, str]] = Counter()
    for attempt in booked:
        for scope in scopes(attempt.account, moment) if attempt.took.usd else ():
            spent[scope] += nano(attempt.took.usd)
    # Sorted, so that two concurrent writers cannot deadlock.
    added = [
        {"scope": scope, "name": name, "nano_usd": amount}
        for (scope, name), amount in sorted(spent.items())
        if amount
    ]
    if added:
        connection.execute(_ADD, added)


_ADD = text(
    "INSERT INTO spending (scope, name, nano_usd) VALUES (:scope, :name, :nano_usd)"
    " ON CONFLICT (scope, name) DO UPDATE SET nano_usd = spending.nano_usd + excluded.nano_usd"
)


def scopes(account: Account, moment: str) -> tuple[tuple[str, str], ...]:
    """Returns the budgets an attempt at this moment spends from: its plan, its team, the day."""
    month, day = moment[:7], moment[:10]
    return ("plan", account.plan), ("team", f"{account.team} {month}"), ("day", day)


def book_lost(connection: Connection, leases: Iterable[Row[Any]], now: float) -> None:
    """Records these leases as `lost`: their workers died before reporting an outcome."""
    book_attempts(connection, map(_lost, leases), now)


def _lost(lease: Row[Any]) -> Attempt:
    return Attempt(lease.key, lease.owner, lease.attempts, account_of(lease), AttemptEnding.LOST)


def account_of(row: Row[Any]) -> Account:
    """Returns the account of a row of leases or of the ledger."""
    return Account(
        who=row.who or "",
        plan=row.plan or "",
        team=row.team or "",
        model=row.model or "",
        asset=row.asset,
    )


def account_cells(account: Account) -> mapping.Cells:
    """Returns the account as columns of either table."""
    return {
        "who": account.who,
        "plan": account.plan,
        "team": account.team,
        "model": account.model,
        "asset": account.asset,
    }


def _cells(attempt: Attempt, moment: str) -> mapping.Cells:
    return account_cells(attempt.account) | {
        "key": attempt.key,
        "run_id": attempt.run_id,
        "attempt": attempt.number,
        "ending": attempt.ending.value,
        "seconds": attempt.took.seconds,
        "device": "gpu" if attempt.took.gpu else "cpu",
        "nano_usd": nano(attempt.took.usd),
        "created_at": moment,
    }
