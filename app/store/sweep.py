"""Sweep: removes what dead workers left behind, and never what a row names."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from typing import TypeVar

from sqlalchemy import Connection, delete, select

from app.store import database, mapping, tables
from app.store.blobs import BlobEntry
from app.store.durability import swept
from app.store.leases import abandon
from app.store.store import Store
from app.types import Value

_Item = TypeVar("_Item")
_AT_ONCE = 16
"""Blobs removed in one transaction: on SQLite every writer waits that long."""
_NOTED_SECONDS = 7 * 24 * 3600.0
"""How long a swept blob stays recorded: far longer than any publish takes."""


class SweepReport(Value):
    """What a sweep removed, or, in a dry run, would have removed."""

    dry_run: bool
    drafts: tuple[str, ...]
    """Temporary files of writers that died."""
    leases: tuple[str, ...]
    """Keys started long ago that never ended; their attempt counts are removed too."""
    blobs: tuple[str, ...]
    """Blobs that no row names."""
    freed_bytes: int
    """The size of those blobs."""


def sweep(
    store: Store,
    *,
    lease_seconds: float = 3600.0,
    grace_seconds: float = 24 * 3600.0,
    dry_run: bool = False,
) -> SweepReport:
    """Removes temporary files older than a lease, and leases and blobs beyond their grace.

    Safe while others write, and safe to repeat after a crash anywhere. The grace is for blobs that
    are stored long before a row names them, for example an input image of a plan; a publish itself
    needs none. Ages are by the catalog's clock, from which the blobs' clock may differ a little.
    """
    now = store.catalog.read(database.clock)
    drafts = tuple(store.blobs.drafts(now - lease_seconds))
    orphans = tuple(_orphans(store, now - grace_seconds))
    leases = store.catalog.read(lambda connection: _ended(connection, now - grace_seconds))
    if not dry_run:
        for draft in drafts:
            store.blobs.discard(draft)
        for batch in _batches(orphans):
            _mark_swept(store, [entry.digest for entry in batch], now)
        _forget(store, leases, now, grace_seconds)
    return SweepReport(
        dry_run=dry_run,
        drafts=drafts,
        leases=leases,
        blobs=tuple(orphan.digest for orphan in orphans),
        freed_bytes=sum(orphan.size for orphan in orphans),
    )


def _orphans(store: Store, before: float) -> Iterator[BlobEntry]:
    old = (entry for entry in store.blobs.entries() if entry.modified_at < before)
    for batch in _batches(old, 500):
        digests = [entry.digest for entry in batch]
        named = store.catalog.read(lambda connection: _named(connection, digests))  # noqa: B023
        yield from (entry for entry in batch if entry.digest not in named)


def _mark_swept(store: Store, digests: Sequence[str], now: float) -> None:
    """Records what will go, then removes it while no row can name it; see durability.py."""
    store.catalog.write(lambda connection: _note(connection, digests, now), names=digests)
    store.catalog.write(lambda connection: _remove(store, connection, digests), names=digests)


def _note(connection: Connection, digests: Sequence[str], now: float) -> None:
    going = set(digests) - _named(connection, digests)
    mapping.delete_all(connection, tables.swept.c.digest, going)
    cells: list[mapping.Cells] = [{"digest": digest, "swept_at": now} for digest in sorted(going)]
    mapping.insert_all(connection, tables.swept, cells)


def _remove(store: Store, connection: Connection, digests: Sequence[str]) -> None:
    for digest in swept(connection, digests) - _named(connection, digests):
        store.blobs.remove(digest)


def _named(connection: Connection, digests: Iterable[str]) -> set[str]:
    return mapping.present(connection, tables.holdings.c.digest, digests)


def _ended(connection: Connection, before: float) -> tuple[str, ...]:
    lease = tables.leases.c
    query = select(lease.key).where(lease.expires_at < before).order_by(lease.key)
    return tuple(connection.execute(query).scalars())


def _forget(store: Store, keys: Sequence[str], now: float, grace_seconds: float) -> None:
    """Ends those leases unless the key was claimed again; deletes old records of sweeps too."""
    lease = tables.leases.c

    def forget(connection: Connection) -> None:
        for piece in mapping.chunks(keys):
            old = lease.key.in_(piece) & (lease.expires_at < now - grace_seconds)
            abandon(connection, old)
        connection.execute(
            delete(tables.swept).where(tables.swept.c.swept_at < now - _NOTED_SECONDS)
        )

    store.catalog.write(forget, names=keys)


def _batches(items: Iterable[_Item], size: int = _AT_ONCE) -> Iterator[list[_Item]]:
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch
