"""Running sums over a table that grows at its end: a read fetches only what was added since.

A row's sequence is assigned before its transaction commits, so on a server a lower one may appear
after a higher: rows younger than a minute are read again every time before they are added for good.
"""

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias

from sqlalchemy import ColumnElement, Connection, Select, Table, func, select

from app.store import mapping

SETTLED_SECONDS = 60.0
"""Longer than any transaction that writes these rows."""

Group: TypeAlias = tuple[str, ...]
Numbers: TypeAlias = tuple[Any, ...]
"""Numbers are added; of texts (timestamps) the alphabetically last is kept."""


class RunningSums:
    """Sums by group; `groups` and `numbers` are columns over `table`; `query` may join others."""

    def __init__(
        self,
        table: Table,
        groups: Iterable[ColumnElement[Any]],
        numbers: Iterable[ColumnElement[Any]],
        *,
        query: Select[Any] | None = None,
    ) -> None:
        self._table = table
        self._groups = tuple(groups)
        selected = select(*self._groups, *numbers) if query is None else query
        self._query = selected.group_by(*self._groups)
        self._settled = 0
        self._sums: dict[Group, Numbers] = {}

    def reset(self) -> None:
        """Resets the sums, so that the next read starts from the first row."""
        self._settled, self._sums = 0, {}

    def read(
        self, connection: Connection, now: float, *, first: ColumnElement[bool] | None = None
    ) -> dict[Group, Numbers]:
        """Returns the sums in this snapshot, with two or three queries.

        `first` selects which of the rows that exist at the first read count; all later rows do.
        """
        sequence = self._table.c.sequence
        settled = self._newest_settled(connection, now)
        if settled > self._settled:
            fresh = self._query.where(sequence > self._settled, sequence <= settled)
            if not self._settled and first is not None:
                fresh = fresh.where(first)
            self._sums = merge_sums(self._sums, self._read(connection, fresh))
            self._settled = settled
        rest = self._query.where(sequence > self._settled)
        return merge_sums(self._sums, self._read(connection, rest))

    def _newest_settled(self, connection: Connection, now: float) -> int:
        """Returns the newest settled sequence, searched from the end: few rows have not settled."""
        column = self._table.c
        old = column.created_at < mapping.timestamp(now - SETTLED_SECONDS)
        query = select(column.sequence).where(column.sequence > self._settled, old)
        sequence = connection.execute(query.order_by(column.sequence.desc()).limit(1)).scalar()
        return int(sequence) if sequence is not None else self._settled

    def _read(self, connection: Connection, query: Select[Any]) -> dict[Group, Numbers]:
        width = len(self._groups)
        return {
            tuple(str(cell or "") for cell in row[:width]): tuple(row[width:])
            for row in connection.execute(query)
        }


def merge_sums(
    sums: Mapping[Group, Numbers], others: Mapping[Group, Numbers]
) -> dict[Group, Numbers]:
    """Returns the sums of both; neither is changed."""
    together = dict(sums)
    for group, numbers in others.items():
        together[group] = _added(together[group], numbers) if group in together else numbers
    return together


def count_rows(connection: Connection, table: Table) -> int:
    """Returns how many rows there are; a database reads its smallest index for this."""
    return int(connection.execute(select(func.count()).select_from(table)).scalar_one())


def _added(numbers: Numbers, other: Numbers) -> Numbers:
    return tuple(
        max(a, b) if isinstance(a, str) else a + b for a, b in zip(numbers, other, strict=True)
    )
