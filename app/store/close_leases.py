"""Settle: the leases of images that stand now are ended, and every attempt at them is booked."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, Row, delete, select

from app.fleet.prices import on_gpu
from app.store import ledger, tables
from app.store import mapping as rows
from app.store.ledger import Account, Attempt, Ending, Took
from app.types import GeneratedImage

_ENDED = (Ending.MADE, Ending.SECOND)


def settle(
    connection: Connection,
    images: Mapping[str, GeneratedImage],
    fresh: Collection[str],
    *,
    owner: str,
    now: float,
) -> None:
    """Book the owner's attempts at these images, `fresh` ones as made, and end all leases.

    Repeated, it books nothing twice. An owner that lost its lease meanwhile was booked as lost,
    and is now booked as what became of it.
    """
    held = held_leases(connection, images)
    mine = {key: lease for key, lease in held.items() if lease.owner == owner}
    told = _told(connection, {key: one for key, one in images.items() if key not in mine}, owner)
    again = {key for key, row in told.items() if row.ending in _ENDED and key not in fresh}
    _withdraw(connection, [row for row in told.values() if row.ending == Ending.LOST])
    accounts = {key: ledger.account_of(row) for key, row in (told | mine).items()}
    booked = (
        Attempt(
            key,
            owner,
            image.provenance.attempt,
            _named(accounts.get(key, Account()), image),
            Ending.MADE if key in fresh else Ending.SECOND,
            _took(image),
        )
        for key, image in images.items()
        if key not in again
    )
    ledger.book(connection, booked, now)
    ledger.book_lost(connection, [lease for key, lease in held.items() if key not in mine], now)
    rows.delete_all(connection, tables.leases.c.key, images)


def held_leases(connection: Connection, keys: Iterable[str]) -> dict[str, Row[Any]]:
    """The rows of leases on these keys, living or not."""
    lease = tables.leases
    return {
        row.key: row
        for piece in rows.chunks(keys)
        for row in connection.execute(select(lease).where(lease.c.key.in_(piece)))
    }


def _told(
    connection: Connection, images: Mapping[str, GeneratedImage], owner: str
) -> dict[str, Row[Any]]:
    """What the ledger said last of the owner's attempts that made these images."""
    booked = tables.ledger
    query = select(booked).where(booked.c.run_id == owner).order_by(booked.c.sequence)
    return {
        row.key: row
        for piece in rows.chunks(images)
        for row in connection.execute(query.where(booked.c.key.in_(piece)))
        if row.attempt == images[row.key].provenance.attempt
    }


def _withdraw(connection: Connection, booked: Iterable[Row[Any]]) -> None:
    """Take rows back that said too early that an attempt was lost; no money was in them."""
    column = tables.ledger.c.sequence
    for piece in rows.chunks(row.sequence for row in booked):
        connection.execute(delete(tables.ledger).where(column.in_(piece)))


def _named(account: Account, image: GeneratedImage) -> Account:
    """Whoever published without an account: the image itself says team and model."""
    team = account.team or image.provenance.request.tags.team
    return replace(account, team=team, model=image.provenance.model)


def _took(image: GeneratedImage) -> Took:
    return Took(image.seconds, image.cost_usd, gpu=on_gpu(image.provenance.engine))
