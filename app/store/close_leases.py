"""Close leases: ends the leases of images that are committed, and books every attempt at them."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from app.fleet.prices import on_gpu
from app.store import ledger, mapping, tables
from app.store.ledger import Account, Attempt, AttemptCost, AttemptEnding
from app.types import GeneratedImage

_ENDED = (AttemptEnding.MADE, AttemptEnding.SECOND)


def close_leases(
    connection: Connection,
    images: Mapping[str, GeneratedImage],
    fresh: Collection[str],
    *,
    owner: str,
    now: float,
) -> None:
    """Books the owner's attempts at these images, `fresh` ones as made, and ends all leases.

    When repeated, it books nothing twice. An attempt of an owner that lost its lease meanwhile was
    booked as lost; that row is replaced by the actual ending.
    """
    held = held_leases(connection, images)
    mine = {key: lease for key, lease in held.items() if lease.owner == owner}
    earlier = _booked_attempts(
        connection, {key: image for key, image in images.items() if key not in mine}, owner
    )
    again = {key for key, row in earlier.items() if row.ending in _ENDED and key not in fresh}
    _remove_lost(connection, [row for row in earlier.values() if row.ending == AttemptEnding.LOST])
    accounts = {key: ledger.account_of(row) for key, row in (earlier | mine).items()}
    booked = (
        Attempt(
            key,
            owner,
            image.provenance.attempt,
            _named(accounts.get(key, Account()), image),
            AttemptEnding.MADE if key in fresh else AttemptEnding.SECOND,
            _attempt_cost(image),
        )
        for key, image in images.items()
        if key not in again
    )
    ledger.book_attempts(connection, booked, now)
    ledger.book_lost(connection, [lease for key, lease in held.items() if key not in mine], now)
    mapping.delete_all(connection, tables.leases.c.key, images)


def held_leases(connection: Connection, keys: Iterable[str]) -> dict[str, Row[Any]]:
    """Returns the lease rows of these keys, expired or not."""
    lease = tables.leases
    return {
        row.key: row
        for piece in mapping.chunks(keys)
        for row in connection.execute(select(lease).where(lease.c.key.in_(piece)))
    }


def _booked_attempts(
    connection: Connection, images: Mapping[str, GeneratedImage], owner: str
) -> dict[str, Row[Any]]:
    """Returns the latest ledger rows of the owner's attempts that made these images."""
    booked = tables.ledger
    query = select(booked).where(booked.c.run_id == owner).order_by(booked.c.sequence)
    return {
        row.key: row
        for piece in mapping.chunks(images)
        for row in connection.execute(query.where(booked.c.key.in_(piece)))
        if row.attempt == images[row.key].provenance.attempt
    }


def _remove_lost(connection: Connection, booked: Iterable[Row[Any]]) -> None:
    """Deletes rows that booked an attempt as lost too early; they contain no money."""
    column = tables.ledger.c.sequence
    for piece in mapping.chunks(row.sequence for row in booked):
        connection.execute(delete(tables.ledger).where(column.in_(piece)))


def _named(account: Account, image: GeneratedImage) -> Account:
    """Returns the account completed from the image, for publishers without an account."""
    team = account.team or image.provenance.request.tags.team
    return replace(account, team=team, model=image.provenance.model)


def _attempt_cost(image: GeneratedImage) -> AttemptCost:
    return AttemptCost(image.seconds, image.cost_usd, gpu=on_gpu(image.provenance.engine))
