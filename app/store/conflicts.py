"""Alarms: two different contents offered for one key are kept as evidence and refused."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from app.errors import KeyConflict
from app.store import mapping as rows
from app.store import tables

_Offer = TypeVar("_Offer")


def first(
    offered: Iterable[tuple[str, _Offer]], standing: Mapping[str, _Offer]
) -> dict[str, _Offer]:
    """Of what is offered, the first for each key under which nothing stands."""
    fresh: dict[str, _Offer] = {}
    for key, one in offered:
        if key not in standing:
            fresh.setdefault(key, one)
    return fresh


def differing(
    subject: str,
    offered: Iterable[tuple[str, _Offer]],
    standing: Mapping[str, _Offer],
    content: Callable[[_Offer], str],
) -> list[rows.Cells]:
    """An alarm for each offer whose content is not what stands under its key."""
    return [
        {"subject": subject, "key": key, "stored": content(standing[key]), "offered": content(one)}
        for key, one in offered
        if content(one) != content(standing[key])
    ]


def record(
    connection: Connection, alarms: Sequence[rows.Cells], *, source: str, created_at: str
) -> None:
    """Keep the alarms: what stands, what was offered, and by whom."""
    origin: rows.Cells = {"source": source, "created_at": created_at}
    rows.insert_all(connection, tables.alarms, [alarm | origin for alarm in alarms])


def refuse(alarms: Sequence[rows.Cells]) -> None:
    """Raise KeyConflict naming the keys, if there are any."""
    if alarms:
        keys = ", ".join(f"{alarm['subject']} {alarm['key']}" for alarm in alarms)
        raise KeyConflict(
            f"other content was offered for {keys}; what was committed first stays and the "
            "alarm is recorded: find out which model, library or machine differs"
        )
