"""The catalog's transactions: one snapshot to read, one decision to write, on either database.

What SQLite and PostgreSQL do differently stands in `sqlite.py` and `postgresql.py`.
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
    """What the two databases do differently."""

    clock: str
    """A query for the seconds since 1970 at this moment, not at the transaction's beginning."""
    remedy: str
    """What to look after when the database fails."""

    def open(self, url: URL) -> Engine:
        """An engine for the database."""

    def to_read(self, engine: Engine) -> Engine:
        """The engine whose transactions see one snapshot."""

    def to_write(self, engine: Engine) -> Engine:
        """The engine whose transactions write."""

    def lock(self, connection: Connection, names: Iterable[str]) -> None:
        """Bar every other writer of these names until the transaction ends."""

    def is_transient(self, error: Exception) -> bool:
        """Whether the same transaction may well succeed in a moment."""


_DIALECTS: dict[str, type[Dialect]] = {
    "sqlite": Sqlite,
    "sqlite+pysqlite": Sqlite,
    "postgresql": PostgreSQL,
    "postgresql+psycopg": PostgreSQL,
}


def open_database(url: str) -> "Database":
    """The database a URL names, brought to the newest schema; a SQLite file is made when needed.

    `sqlite:////absolute/file` or `postgresql+psycopg://user@host/database`. Safe to call from
    several processes at once. Raises CatalogError for any other URL, for a database that
    cannot be opened, and for one that a newer version wrote.
    """
    parsed = _parsed(url)
    dialect = _DIALECTS[parsed.drivername]()
    with _explained(parsed, dialect):
        database = Database(dialect.open(parsed), dialect)
    try:
        if not database.read(migrate.is_newest):
            # The lock lets one process migrate; the others wait, then find nothing to do, and
            # a death in the middle leaves the catalog as it was.
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
        """What the work finds in one consistent snapshot; the work may run more than once."""
        return self._with_retries(lambda: self._done(self._snapshot(), work))

    def write(self, work: Callable[[Connection], _Result], *, names: Iterable[str]) -> _Result:
        """What the work decided in one transaction: all of it or, on any exception, nothing.

        No other writer that gives one of the names is inside its work meanwhile. A lock, a
        lost connection or a serialization failure is met by doing the whole work again, a
        finite number of times and even after a commit whose answer was lost: the work must
        decide by what it reads.
        """
        wanted = tuple(names)
        return self._with_retries(lambda: self._done(self._locked(wanted), work))

    def close(self) -> None:
        """Hang up; used again, it connects again."""
        self._engine.dispose()

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """One consistent snapshot, tried once."""
        with _explained(self._engine.url, self._dialect), self._snapshot() as connection:
            yield connection

    @contextmanager
    def writing(self, names: Iterable[str] = ()) -> Iterator[Connection]:
        """One write transaction, tried once."""
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
    """Seconds since 1970 on the catalog's clock, the only one that leases are compared on."""
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
    # Not the whole URL: it may hold a password.
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
