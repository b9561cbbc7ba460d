"""Pointers: which version an alias points at, moved by compare-and-set, with every move kept.

It knows names and references, not what a version is or why it may be promoted.
"""

from typing import Any
from uuid import uuid4

from sqlalchemy import Connection, Row, Select, select

from app.errors import PromotionRefused
from app.store import database, mapping, tables
from app.store.catalog import Catalog
from app.types import Name, Value

_COLUMNS = tables.pointers.c


class Pointer(Value):
    """One move of an alias; the one with the highest number is its current target."""

    name: Name
    alias: Name
    number: int
    target: str
    """The resolved reference: draft/7."""
    below: int | None
    """The move that a step back returns to; None: there is none."""
    reason: str
    moved_at: str


def pointer(catalog: Catalog, name: str, alias: str) -> Pointer | None:
    """Returns the current target of the alias; None when it never had one."""
    return catalog.read(lambda connection: _value(_newest(connection, name, alias)))


def moves(catalog: Catalog, name: str, alias: str) -> list[Pointer]:
    """Returns every move of the alias, the newest first."""
    query = _moves(name, alias)
    return catalog.read(lambda connection: [_pointer(row) for row in connection.execute(query)])


def aliases(catalog: Catalog) -> dict[str, list[str]]:
    """Returns the current aliases of each reference, in alphabetical order."""
    query = select(_COLUMNS.name, _COLUMNS.alias).distinct()

    def read(connection: Connection) -> dict[str, list[str]]:
        by_reference: dict[str, list[str]] = {}
        for name, alias in sorted(map(tuple, connection.execute(query))):
            newest = _newest(connection, name, alias)
            assert newest is not None
            by_reference.setdefault(newest.target, []).append(alias)
        return by_reference

    return catalog.read(read)


def move(
    catalog: Catalog, name: str, alias: str, target: str, *, present: Pointer | None, reason: str
) -> Pointer:
    """Moves the alias to the target, if it still points where `present` says.

    Of many callers with the same `present` exactly one succeeds; a crash leaves the old or the new
    target. Raises PromotionRefused, naming the current target, when another caller was first.
    """
    below = present.number if present else None
    return _append(catalog, name, alias, target, present=present, below=below, reason=reason)


def step_back(catalog: Catalog, present: Pointer, *, reason: str) -> Pointer:
    """Moves the alias to its target before `present`, if it still points there.

    Stepping back again goes further back, never forward. Raises PromotionRefused when there is
    nothing before it or another caller was first.
    """
    name, alias = present.name, present.alias
    before = next(
        (move for move in moves(catalog, name, alias) if move.number == present.below), None
    )
    if before is None:
        raise PromotionRefused(
            f"{present.target} is the first {name}@{alias}, there is nothing to go back to; "
            "promote another version instead"
        )
    return _append(
        catalog, name, alias, before.target, present=present, below=before.below, reason=reason
    )


def resolved(catalog: Catalog, reference: str) -> str:
    """Returns the reference that `name@alias` points at now; any other text unchanged.

    Raises PromotionRefused when the alias points nowhere.
    """
    name, at, alias = reference.partition("@")
    if not at:
        return reference
    current = pointer(catalog, name, alias)
    if current is None:
        raise PromotionRefused(
            f"{reference} points nowhere; promote a version first: atelier models promote {name}/1"
        )
    return current.target


def _append(
    catalog: Catalog, name: str, alias: str, target: str, *, present: Pointer | None,
    below: int | None, reason: str,
) -> Pointer:  # fmt: skip
    move_id = uuid4().hex

    def decide(connection: Connection) -> Pointer:
        newest = _newest(connection, name, alias)
        if newest is not None and newest.move_id == move_id:
            return _pointer(newest)  # committed already, only the answer was lost
        if (newest.number if newest else None) != (present.number if present else None):
            raise _overtaken(name, alias, present, newest)
        cells: mapping.Cells = {
            "name": name,
            "alias": alias,
            "number": present.number + 1 if present else 1,
            "target": target,
            "below": below,
            "reason": reason,
            "move_id": move_id,
            "moved_at": mapping.timestamp(database.clock(connection)),
        }
        mapping.insert_all(connection, tables.pointers, [cells])
        return Pointer.model_validate({k: v for k, v in cells.items() if k != "move_id"})

    return catalog.write(decide, names=[f"{name}@{alias}"])


def _overtaken(
    name: str, alias: str, present: Pointer | None, newest: Row[Any] | None
) -> PromotionRefused:
    then, now = (move.target if move else "nothing" for move in (present, newest))
    return PromotionRefused(
        f"{name}@{alias} points at {now} now, it was {then} when this promotion was evaluated; "
        f"compare with {now} and promote again"
    )


def _moves(name: str, alias: str) -> Select[Any]:
    query = select(tables.pointers).where(_COLUMNS.name == name, _COLUMNS.alias == alias)
    return query.order_by(_COLUMNS.number.desc())


def _newest(connection: Connection, name: str, alias: str) -> Row[Any] | None:
    return connection.execute(_moves(name, alias).limit(1)).first()


def _value(row: Row[Any] | None) -> Pointer | None:
    return _pointer(row) if row is not None else None


def _pointer(row: Row[Any]) -> Pointer:
    return Pointer(**{field: getattr(row, field) for field in Pointer.model_fields})
