"""PostgreSQL: a catalog with many concurrent writers; each key has one writer at a time.

A write transaction first takes advisory locks for the names it decides about and then reads: what
it reads of them cannot change before it commits (PostgreSQL manual, 13.3.5).
"""

import zlib
from collections.abc import Iterable

from sqlalchemy import URL, Connection, Engine, create_engine, text
from sqlalchemy.exc import DBAPIError

from app.errors import CatalogError

_SPACE = 0x41544C52
"""Our namespace in the database's advisory locks: "ATLR"."""
_STRIPES = 256
"""Names share this many locks, so that no batch, however large, fills the server's lock table."""
_CONNECT_SECONDS = 10
_TRANSIENT = ("08", "40", "53300", "55P03", "57P")
"""SQLSTATE prefixes of errors that may pass (PostgreSQL manual, appendix A).

Connection lost, serialization or deadlock, too many connections, lock not available, server
shutting down or starting.
"""


class PostgreSQL:
    """The PostgreSQL dialect; see `database.Dialect`."""

    clock = "SELECT CAST(extract(epoch FROM clock_timestamp()) AS double precision)"
    remedy = "check that the server runs, can be reached, and lets this user in"

    def open(self, url: URL) -> Engine:
        """Returns an engine for the database, which must exist; makes no connection yet."""
        try:
            return create_engine(
                url.set(drivername="postgresql+psycopg"),
                connect_args={"connect_timeout": _CONNECT_SECONDS},
            )
        except ImportError as exc:
            raise CatalogError(
                "the catalog's URL has the scheme 'postgresql', which needs psycopg; "
                "run: pip install 'atelier[postgresql]'"
            ) from exc

    def to_read(self, engine: Engine) -> Engine:
        """Returns an engine in REPEATABLE READ: several statements must see one snapshot."""
        return engine.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)

    def to_write(self, engine: Engine) -> Engine:
        """Returns an engine in READ COMMITTED.

        Every statement after the locks must see what their last holders committed.
        """
        return engine.execution_options(isolation_level="READ COMMITTED")

    def lock(self, connection: Connection, names: Iterable[str]) -> None:
        """Locks the names until the transaction ends; always in one order, so without deadlock.

        It waits 20 seconds for another holder; the server disconnects a holder that is idle in its
        transaction for 60 seconds.
        """
        connection.execute(
            text(
                "SELECT set_config('lock_timeout', '20s', true),"
                " set_config('idle_in_transaction_session_timeout', '60s', true)"
            )
        )
        self.hold(connection, names)

    @staticmethod
    def hold(connection: Connection, names: Iterable[str]) -> None:
        """Takes the locks, waiting as long as the transaction's `lock_timeout`."""
        stripes = sorted({zlib.crc32(name.encode()) % _STRIPES for name in names})
        connection.execute(
            text(
                "SELECT pg_advisory_xact_lock(:space, stripe)"
                " FROM unnest(CAST(:stripes AS int[])) AS stripe"
            ),
            {"space": _SPACE, "stripes": stripes},
        )

    def is_transient(self, error: Exception) -> bool:
        """Returns whether the same transaction may succeed when tried again."""
        if not isinstance(error, DBAPIError):
            return False
        state = getattr(error.orig, "sqlstate", None)
        if state is None:  # no answer: the server is gone or was never there
            return error.connection_invalidated or type(error.orig).__name__ == "OperationalError"
        return str(state).startswith(_TRANSIENT)
