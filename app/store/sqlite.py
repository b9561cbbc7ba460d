"""SQLite: a catalog in a file, safe for many writers.

WAL with full syncs preserves acknowledged commits through a power cut; `BEGIN IMMEDIATE` lets
writers queue instead of failing on a stale snapshot (sqlite.org/isolation.html).
"""

import os
import sqlite3
import uuid
from collections.abc import Iterable
from contextlib import closing, suppress
from pathlib import Path

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import ConnectionPoolEntry

_BUSY_SECONDS = 20
_TRANSIENT = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


class Sqlite:
    """The SQLite dialect; see `database.Dialect`. One writer at a time; readers never wait."""

    clock = "SELECT (julianday('now') - 2440587.5) * 86400.0"
    remedy = "check that its folder is writable and has space and that no other program locks it"

    def open(self, url: URL) -> Engine:
        """Returns an engine for the file, which is created with its folder if needed."""
        _create(Path(str(url.database)))
        waiting = {} if "timeout" in url.query else {"timeout": _BUSY_SECONDS}
        engine = create_engine(url, connect_args=waiting)
        event.listen(engine, "connect", _configure)
        event.listen(engine, "begin", _begin)
        return engine

    def to_read(self, engine: Engine) -> Engine:
        """Returns the engine unchanged: every transaction sees one snapshot."""
        return engine

    def to_write(self, engine: Engine) -> Engine:
        """Returns an engine whose transactions begin as IMMEDIATE."""
        return engine.execution_options(writes=True)

    def lock(self, connection: Connection, names: Iterable[str]) -> None:
        """Does nothing: the immediate transaction holds the only lock there is."""

    def is_transient(self, error: Exception) -> bool:
        """Returns whether another connection held the lock."""
        cause = error.orig if isinstance(error, DBAPIError) else error
        # The low byte is the error, the rest is the extended code.
        return getattr(cause, "sqlite_errorcode", 0) & 0xFF in _TRANSIENT


def _create(path: Path) -> None:
    # Switching a database to WAL ignores the busy timeout, so two first openers could fail; a file
    # that is linked into place already in WAL mode has no other visible state.
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{uuid.uuid4().hex}")
    try:
        with closing(sqlite3.connect(draft)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
        with suppress(FileExistsError):
            os.link(draft, path)
    finally:
        draft.unlink(missing_ok=True)


def _configure(connection: sqlite3.Connection, _: ConnectionPoolEntry) -> None:
    connection.isolation_level = None  # the driver's own BEGIN is too late and too weak
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")


def _begin(connection: Connection) -> None:
    writes = connection.get_execution_options().get("writes", False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
