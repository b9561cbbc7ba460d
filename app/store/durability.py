"""Durability: blobs are durable before the one transaction that commits the rows naming them.

Between the two a sweep may remove an old blob that no row names. It records that in the table
`swept` first, and locks the blob's name while it removes it. So a commit either comes first, and
the sweep leaves the blob, or it finds the record and stores the blob again.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from app.errors import StoreError
from app.store import mapping, tables
from app.store.fault_injection import fault_point
from app.store.retry import TRIES
from app.store.store import Store

_Result = TypeVar("_Result")


def commit_with_blobs(
    store: Store,
    blobs: Sequence[bytes],
    work: Callable[[Connection], _Result],
    *,
    names: Iterable[str],
) -> _Result:
    """Stores the blobs, then lets the work commit the rows that name them; safe to repeat.

    No other writer of the names, nor of these blobs, runs its work at the same time.
    """
    fault_point("publish.begin")
    names = tuple(names)
    for _ in range(TRIES):
        digests = store.blobs.put_all(blobs)
        fault_point("publish.kept")
        done = store.catalog.write(
            lambda connection: _committed(connection, digests, work),  # noqa: B023
            names=(*names, *digests),
        )
        if done:
            fault_point("publish.committed")
            return done[0]
        store.catalog.write(
            lambda connection: mapping.delete_all(connection, tables.swept.c.digest, digests),  # noqa: B023
            names=digests,
        )
    raise StoreError(
        "a sweep removed the blobs as fast as they were stored; sweep with a longer grace"
    )


def _committed(
    connection: Connection, digests: Sequence[str], work: Callable[[Connection], _Result]
) -> tuple[_Result] | None:
    """Returns the work's result, or None when a sweep may have removed one of the blobs."""
    if swept(connection, digests):
        return None
    result = work(connection)
    fault_point("publish.written")
    return (result,)


def swept(connection: Connection, digests: Iterable[str]) -> set[str]:
    """Returns those of the blobs that a sweep may have removed."""
    return mapping.present(connection, tables.swept.c.digest, digests)
