"""Leases: who is making which key, until when on the catalog's clock, and how often it was tried.

A lease only saves work. The first to publish commits, with or without a lease, and later ones get
what is committed: an owner that lost its lease does no harm. A lease is also an attempt in
progress: whoever ends it writes the attempt into the ledger.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, delete, update

from app.store import database, ledger, mapping, tables
from app.store.budgets import Caps, admit
from app.store.close_leases import held_leases
from app.store.fault_injection import fault_point
from app.store.ledger import Account, Attempt, AttemptCost, AttemptEnding
from app.store.store import Store
from app.types import GeneratedImage

NO_CAPS = Caps()


@dataclass(frozen=True, slots=True)
class Claim:
    """The result of a claim: every key is in exactly one of the four."""

    won: dict[str, int]
    """Keys to make now, each with the number of this attempt, counted from 1."""
    committed: dict[str, GeneratedImage]
    """Keys that need no work."""
    busy: tuple[str, ...]
    """Keys that another owner holds an active lease on, or whose money others have reserved."""
    refused: dict[str, str]
    """Keys that no budget covers, each with the reason."""


def claim(
    store: Store,
    keys: Sequence[str],
    *,
    owner: str,
    seconds: float,
    accounts: Mapping[str, Account] | None = None,
    caps: Caps = NO_CAPS,
) -> Claim:
    """Leases the keys that nobody has made or is making, and counts the attempt before the work.

    The most that an attempt may cost is reserved in the budgets of its account before it starts. A
    lease lasts `seconds` on the catalog's clock; the owner may claim again to renew it, which
    counts as a further attempt, as does a claim whose answer was lost. The count of attempts
    outlives the lease: only an end, good or bad, resets it.
    """
    fault_point("lease.begin")
    on = {key: (accounts or {}).get(key, Account()) for key in dict.fromkeys(keys)}
    claimed = store.catalog.write(
        lambda connection: _claim(connection, on, caps, owner=owner, seconds=seconds),
        names=[*on, *caps.names(on.values())],
    )
    fault_point("lease.claimed")
    return claimed


def attempts(store: Store, keys: Sequence[str]) -> dict[str, int]:
    """Returns how often each key was started without an end, in the keys' order; only those."""
    held = store.catalog.read(lambda connection: held_leases(connection, keys))
    return {key: held[key].attempts for key in dict.fromkeys(keys) if key in held}


def renew(store: Store, keys: Sequence[str], *, owner: str, seconds: float) -> None:
    """Sets the owner's leases on the keys to expire `seconds` from now; lost ones stay lost."""
    lease = tables.leases.c

    def prolong(connection: Connection) -> None:
        expires_at = database.clock(connection) + seconds
        for piece in mapping.chunks(keys):
            mine = update(tables.leases).where(lease.key.in_(piece), lease.owner == owner)
            connection.execute(mine.values(expires_at=expires_at))

    store.catalog.write(prolong, names=keys)


def release(
    store: Store, keys: Sequence[str], *, owner: str, took: Mapping[str, AttemptCost] | None = None
) -> None:
    """Ends the owner's leases on keys that ended without an image; others' leases stay.

    Each is booked as a failed attempt; `took` gives its cost where that is known.
    """

    def end(connection: Connection) -> None:
        held = held_leases(connection, keys)
        mine = [lease for lease in held.values() if lease.owner == owner]
        mapping.delete_all(connection, tables.leases.c.key, [lease.key for lease in mine])
        failed = [_failed(lease, (took or {}).get(lease.key, AttemptCost())) for lease in mine]
        ledger.book_attempts(connection, failed, database.clock(connection))

    store.catalog.write(end, names=keys)


def release_all(store: Store, *, owner: str) -> None:
    """Ends all of an owner's leases with their attempt counts, after an orderly stop."""
    mine = tables.leases.c.owner == owner
    store.catalog.write(lambda connection: abandon(connection, mine), names=())


def hand_back(store: Store, keys: Sequence[str], *, owner: str) -> None:
    """Ends the owner's leases on these keys as `release_all` does, when one worker stops."""
    lease = tables.leases.c

    def end(connection: Connection) -> None:
        for piece in mapping.chunks(keys):
            abandon(connection, (lease.owner == owner) & lease.key.in_(piece))

    store.catalog.write(end, names=keys)


def abandon(connection: Connection, which: ColumnElement[bool]) -> None:
    """Ends those leases, and books their attempts as lost."""
    ended = connection.execute(delete(tables.leases).where(which).returning(tables.leases)).all()
    ledger.book_lost(connection, ended, database.clock(connection))


def _claim(
    connection: Connection,
    accounts: Mapping[str, Account],
    caps: Caps,
    *,
    owner: str,
    seconds: float,
) -> Claim:
    now = database.clock(connection)
    committed = mapping.images_by_key(connection, accounts)
    held = held_leases(connection, accounts)
    open_keys = [key for key in accounts if key not in committed]
    barred = {key for key in open_keys if key in held and _blocks(held[key], owner, now)}
    free = {key: accounts[key] for key in open_keys if key not in barred}
    admission = admit(connection, free, caps, held, now)
    stopped = admission.refused.keys() | admission.waiting
    won = {key: _begun(held.get(key)) + 1 for key in free if key not in stopped}
    leases = [
        _cells(key, attempt, accounts[key], owner, now + seconds) for key, attempt in won.items()
    ]
    mapping.delete_all(connection, tables.leases.c.key, won)
    ledger.book_lost(connection, [held[key] for key in won if key in held], now)
    mapping.insert_all(connection, tables.leases, leases)
    fault_point("lease.counted")
    busy = barred | admission.waiting
    return Claim(
        won=won,
        committed=committed,
        busy=tuple(key for key in open_keys if key in busy),
        refused=admission.refused,
    )


def _cells(
    key: str, attempt: int, account: Account, owner: str, expires_at: float
) -> mapping.Cells:
    cells: mapping.Cells = {
        "key": key,
        "owner": owner,
        "expires_at": expires_at,
        "attempts": attempt,
        "nano_usd": ledger.nano(account.most_usd),
    }
    return cells | ledger.account_cells(account)


def _blocks(lease: Row[Any], owner: str, now: float) -> bool:
    return bool(lease.owner != owner and lease.expires_at > now)


def _begun(lease: Row[Any] | None) -> int:
    return int(lease.attempts) if lease is not None else 0


def _failed(lease: Row[Any], took: AttemptCost) -> Attempt:
    return Attempt(
        lease.key, lease.owner, lease.attempts, ledger.account_of(lease), AttemptEnding.FAILED, took
    )
