"""Conflicts: two different contents offered for one key are recorded as an alarm and refused."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from sqlalchemy import Connection

from app.errors import KeyConflict
from app.store import mapping, tables

_Offer = TypeVar("_Offer")


def first_offers(
    offered: Iterable[tuple[str, _Offer]], standing: Mapping[str, _Offer]
) -> dict[str, _Offer]:
    """Returns the first offer for each key that is not committed yet."""
    fresh: dict[str, _Offer] = {}
    for key, offer in offered:
        if key not in standing:
            fresh.setdefault(key, offer)
    return fresh


def find_conflicts(
    subject: str,
    offered: Iterable[tuple[str, _Offer]],
    standing: Mapping[str, _Offer],
    content: Callable[[_Offer], str],
) -> list[mapping.Cells]:
    """Returns an alarm for each offer whose content differs from what is committed."""
    return [
        {
            "subject": subject,
            "key": key,
            "stored": content(standing[key]),
            "offered": content(offer),
        }
        for key, offer in offered
        if content(offer) != content(standing[key])
    ]


def record_conflicts(
    connection: Connection, alarms: Sequence[mapping.Cells], *, source: str, created_at: str
) -> None:
    """Stores the alarms: what is committed, what was offered, and by whom."""
    origin: mapping.Cells = {"source": source, "created_at": created_at}
    mapping.insert_all(connection, tables.alarms, [alarm | origin for alarm in alarms])


def refuse_conflicts(alarms: Sequence[mapping.Cells]) -> None:
    """Raises KeyConflict naming the keys, if there are any."""
    if alarms:
        keys = ", ".join(f"{alarm['subject']} {alarm['key']}" for alarm in alarms)
        raise KeyConflict(
            f"other content was offered for {keys}; what was committed first stays and the "
            "alarm is recorded: find out which model, library or machine differs"
        )
