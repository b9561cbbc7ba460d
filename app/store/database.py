"""The catalog's transactions: one snapshot to read, one atomic write, on either database.

`sqlite.py` and `postgresql.py` hold the differences between the two.
"""

import sqlite3
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol, TypeVar

from sqlalchemy import URL, Connection, Engine, make_url, text
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from app.errors import CatalogError
from app.store import migrate
from app.store.postgresql import PostgreSQL
from app.store.retry import Wait, call_with_retries
from app.store.sqlite import Sqlite

_Result = TypeVar("_Result")


class Dialect(Protocol):
    """What differs between the two databases."""

    clock: str
    """A query for the seconds since 1970 at this moment, not at the transaction's beginning."""
    remedy: str
    """What to check when the database fails."""

    def open(self, url: URL) -> Engine:
        """Returns an engine for the database."""

    def to_read(self, engine: Engine) -> Engine:
        """Returns the engine whose transactions see one snapshot."""

    def to_write(self, engine: Engine) -> Engine:
        """Returns the engine whose transactions write."""

    def lock(self, connection: Connection, names: Iterable[str]) -> None:
        """Locks out every other writer of these names until the transaction ends."""

    def is_transient(self, error: Exception) -> bool:
        """Returns whether the same transaction may succeed when tried again."""


_DIALECTS: dict[str, type[Dialect]] = {
    "sqlite": Sqlite,
    "sqlite+pysqlite": Sqlite,
    "postgresql": PostgreSQL,
    "postgresql+psycopg": PostgreSQL,
}


def open_database(url: str) -> "Database":
    """Opens the database of a URL, migrated to the newest schema; creates a SQLite file if needed.

    The URL is `sqlite:////absolute/file` or `postgresql+psycopg://user@host/database`. Safe to call
    from several processes at once. Raises CatalogError for any other URL, for a database that
    cannot be opened, and for one that a newer version wrote.
    """
    parsed = _parsed(url)
    dialect = _DIALECTS[parsed.drivername]()
    with _explained(parsed, dialect):
        database = Database(dialect.open(parsed), dialect)
    try:
        if not database.read(migrate.is_newest):
            # The lock lets one process migrate; the others wait, then find nothing to do. A process
            # that dies during a migration leaves the catalog unchanged.
            database.write(migrate.upgrade, names=["migrate"])
    except BaseException:
        database.close()
        raise
    return database


class Database:
    """A catalog's database. Every method raises CatalogError when the database fails."""

    def __init__(self, engine: Engine, dialect: Dialect, *, wait: Wait = time.sleep) -> None:
        self._engine = engine
        self._dialect = dialect
        self._wait = wait

    def read(self, work: Callable[[Connection], _Result]) -> _Result:
        """Returns the work's result in one consistent snapshot; the work may run more than once."""
        return self._with_retries(lambda: self._done(self._snapshot(), work))

    def write(self, work: Callable[[Connection], _Result], *, names: Iterable[str]) -> _Result:
        """Returns the work's result in one transaction: committed, or rolled back on any exception.

        No other writer that gives one of the names runs its work at the same time. On a lock, a
        lost connection or a serialization failure the whole work is repeated, a limited number of
        times and even after a commit whose answer was lost: the work must decide by what it reads.
        """
        wanted = tuple(names)
        return self._with_retries(lambda: self._done(self._locked(wanted), work))

    def close(self) -> None:
        """Closes all connections; when used again, it reconnects."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """Yields one consistent snapshot, tried once."""
        with _explained(self._engine.url, self._dialect), self._snapshot() as connection:
            yield connection

    @contextmanager
    def writing(self, names: Iterable[str] = ()) -> Iterator[Connection]:
        """Yields one write transaction, tried once."""
        with _explained(self._engine.url, self._dialect), self._locked(names) as connection:
            yield connection

    @contextmanager
    def _snapshot(self) -> Iterator[Connection]:
        with self._dialect.to_read(self._engine).begin() as connection:
            yield connection

    @contextmanager
    def _locked(self, names: Iterable[str]) -> Iterator[Connection]:
        with self._dialect.to_write(self._engine).begin() as connection:
            self._dialect.lock(connection, names)
            yield connection

    def _with_retries(self, call: Callable[[], _Result]) -> _Result:
        with _explained(self._engine.url, self._dialect):
            return call_with_retries(call, is_transient=self._dialect.is_transient, wait=self._wait)

    @staticmethod
    def _done(
        transaction: AbstractContextManager[Connection], work: Callable[[Connection], _Result]
    ) -> _Result:
        with transaction as connection:
            return work(connection)


def clock(connection: Connection) -> float:
    """Returns seconds since 1970 on the catalog's clock, the only clock that leases use."""
    query = _DIALECTS[connection.dialect.name].clock
    return float(connection.execute(text(query)).scalar_one())


def _parsed(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as exc:
        raise _unknown("no scheme") from exc
    if parsed.drivername not in _DIALECTS:
        raise _unknown(f"the scheme {parsed.drivername!r}")
    if not parsed.database or parsed.database == ":memory:":
        raise _unknown("no file" if parsed.get_backend_name() == "sqlite" else "no database")
    return parsed


def _unknown(what: str) -> CatalogError:
    # Not the whole URL: it may contain a password.
    return CatalogError(
        f"the catalog's URL has {what}, which cannot be opened here; give a local file as "
        "sqlite:////absolute/file or a server as postgresql+psycopg://user@host/database"
    )


@contextmanager
def _explained(url: URL, dialect: Dialect) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError) as exc:
        where = f"{url.database} on {url.host}" if url.host else url.database
        raise CatalogError(
            f"the catalog {where} failed: {str(exc).splitlines()[0]}; {dialect.remedy}"
        ) from exc
