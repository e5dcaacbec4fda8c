"""Poolers between us and the server: whether there is one, and whether its server sessions are shared.

In transaction pooling each transaction of a client may run in another server session. What is set in one (search_path,
row_security, a time-out) then stays there for the next application, and neither a snapshot nor a lock can be held. No
statement tells how a pool works, so it is found out by looking at which sessions are given out, in transactions that
change nothing. Manual of PgBouncer: "pool_mode"; others (Odyssey, Supavisor, PgCat, RDS Proxy) work alike.
"""

import time
from collections.abc import Callable

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import UnreachableError

# A pool gives out the session that was last used, or that which was unused for longest; with several processes behind
# one port it may be another's, so once is not enough.
_ATTEMPTS = 4
_KNOWN_FOR = 60.0  # seconds for which a pool that was found to be in session mode is not asked again
# The number of a process alone may be that of one on another server behind the same pool.
_SESSION = """
SELECT pid, (extract(epoch FROM backend_start) * 1000000)::int8
FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid())
"""


class SharedSessionError(UnreachableError):
    """A pooler gives each transaction another session of the server."""


_Key = tuple[str, int, str, str]
_exclusive: dict[_Key, float] = {}  # pools in session mode, with the moment when they were last asked


def is_pooled(connection: "Connection[TupleRow]") -> bool:
    """Whether a pooler is between us and the server: it makes up the number by which a query is cancelled."""
    row = connection.execute("SELECT pg_catalog.pg_backend_pid()", prepare=False).fetchone()
    return row != (connection.info.backend_pid,)


def check_exclusive(
    connection: "Connection[TupleRow]", open_another: "Callable[[], Connection[TupleRow]]", label: str
) -> None:
    """Refuse a connection whose session others may get while it is open; it and `open_another` change nothing there."""
    if not is_pooled(connection):
        return
    info = connection.info
    key = (info.host, info.port, info.user, info.dbname)
    asked = _exclusive.get(key)
    if asked is not None and time.monotonic() - asked < _KNOWN_FOR:
        return
    if _is_shared(connection, open_another):
        raise SharedSessionError(
            f"{label} is reached through a pooler that gives each transaction another session of the server "
            "(transaction pooling), where neither a snapshot nor settings can be held",
            hint="use the address of the server itself, or a pool in session mode: PgBouncer with "
            "pool_mode=session, Supabase on port 5432, Neon without -pooler in the host's name",
        )
    _exclusive[key] = time.monotonic()


def _is_shared(connection: "Connection[TupleRow]", open_another: "Callable[[], Connection[TupleRow]]") -> bool:
    """Whether another connection gets our session, or we another one, while both are open."""
    ours = _session(connection)
    for _ in range(_ATTEMPTS):
        other = open_another()
        try:
            other.execute("BEGIN", prepare=False)  # holds its session for the moment of our question
            if _session(other) == ours or _session(connection) != ours:
                return True
            other.execute("ROLLBACK", prepare=False)
        except psycopg.errors.ProtocolViolation as error:
            if "statement pooling" in str(error):  # which allows no BEGIN
                return True
            raise
        finally:
            other.close()
    return False


def _session(connection: "Connection[TupleRow]") -> TupleRow | None:
    return connection.execute(_SESSION, prepare=False).fetchone()
