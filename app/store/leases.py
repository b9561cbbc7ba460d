"""Leases: who is making which key, until when on the catalog's clock, and how often it was begun.

A lease only saves work. Whoever comes first commits, lease or not, and whoever comes later is
given what stands: an owner that lost its lease can do no harm.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection, delete, select, update

from app.store import database, rows, tables
from app.store.fault import passing
from app.store.store import Store
from app.types import GeneratedImage


@dataclass(frozen=True, slots=True)
class Claim:
    """The answer to a claim: every key stands in exactly one of the three."""

    won: dict[str, int]
    """Keys to make now, each with the number of this attempt, counted from 1."""
    committed: dict[str, GeneratedImage]
    """Keys that need no work."""
    busy: tuple[str, ...]
    """Keys that another owner holds a living lease on."""


def claim(store: Store, keys: Sequence[str], *, owner: str, seconds: float) -> Claim:
    """Lease the keys that nobody has made or is making, and count the attempt before the work.

    A lease lasts `seconds` on the catalog's clock; the owner may claim again to renew it,
    which counts as a further attempt, as does a claim whose answer was lost. Attempts outlive
    the lease: only an end, good or bad, forgets them.
    """
    passing("lease.begin")
    claimed = store.catalog.write(
        lambda connection: _claim(connection, keys, owner=owner, seconds=seconds), names=keys
    )
    passing("lease.claimed")
    return claimed


def attempts(store: Store, keys: Sequence[str]) -> dict[str, int]:
    """How often each key was begun without coming to an end, in the keys' order; only those."""
    counted, _ = store.catalog.read(
        lambda connection: _attempts(connection, keys, owner="", now=0.0)
    )
    return {key: counted[key] for key in dict.fromkeys(keys) if key in counted}


def renew(store: Store, keys: Sequence[str], *, owner: str, seconds: float) -> None:
    """Let the owner's leases on the keys last `seconds` from now; what it lost stays lost."""
    lease = tables.leases.c

    def prolong(connection: Connection) -> None:
        expires_at = database.clock(connection) + seconds
        for piece in rows.chunks(keys):
            mine = update(tables.leases).where(lease.key.in_(piece), lease.owner == owner)
            connection.execute(mine.values(expires_at=expires_at))

    store.catalog.write(prolong, names=keys)


def release(store: Store, keys: Sequence[str], *, owner: str) -> None:
    """End the owner's leases on keys that came to an end without an image; others' stay."""
    lease = tables.leases.c

    def end(connection: Connection) -> None:
        for piece in rows.chunks(keys):
            mine = delete(tables.leases).where(lease.key.in_(piece), lease.owner == owner)
            connection.execute(mine)

    store.catalog.write(end, names=keys)


def forget(store: Store, *, owner: str) -> None:
    """End all of an owner's leases with their count of attempts: it stopped in good order."""
    mine = delete(tables.leases).where(tables.leases.c.owner == owner)
    store.catalog.write(lambda connection: connection.execute(mine), names=())


def _claim(connection: Connection, keys: Sequence[str], *, owner: str, seconds: float) -> Claim:
    now = database.clock(connection)
    committed = rows.images_by_key(connection, keys)
    attempts, barred = _attempts(connection, keys, owner=owner, now=now)
    wanted = [key for key in dict.fromkeys(keys) if key not in committed]
    won = {key: attempts.get(key, 0) + 1 for key in wanted if key not in barred}
    leases: list[rows.Cells] = [
        {"key": key, "owner": owner, "expires_at": now + seconds, "attempts": attempt}
        for key, attempt in won.items()
    ]
    rows.delete_all(connection, tables.leases.c.key, won)
    rows.insert_all(connection, tables.leases, leases)
    passing("lease.counted")
    return Claim(won, committed, tuple(key for key in wanted if key in barred))


def _attempts(
    connection: Connection, keys: Iterable[str], *, owner: str, now: float
) -> tuple[dict[str, int], set[str]]:
    """The attempts counted for each key, and the keys another owner's living lease bars."""
    attempts: dict[str, int] = {}
    barred: set[str] = set()
    for piece in rows.chunks(keys):
        for row in connection.execute(select(tables.leases).where(tables.leases.c.key.in_(piece))):
            attempts[row.key] = row.attempts
            if row.owner != owner and row.expires_at > now:
                barred.add(row.key)
    return attempts, barred
