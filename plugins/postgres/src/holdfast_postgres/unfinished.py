"""The marks of databases that a restore fills under their own names, for as long as it has not ended.

Whoever comes after a restore that was killed must be told what it left. One that a restore makes has its mark from the
statement that makes it on: a limit of sessions that none ever reaches. In one that was there it is a setting of the
role that restores, the only thing about a database that every role may set: the name which its sessions there have.
"""

import logging
import secrets
import time
from dataclasses import dataclass

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import HoldfastError, quote_name
from holdfast_postgres.location import Location
from holdfast_postgres.session import connected, execute_each, quoted

log = logging.getLogger("holdfast.postgres.unfinished")

# Any constant will do: nobody else uses this one.
LOCK_KEY = 0x686F6C64
#: The limit of a database that a restore makes beside its target.
FRESH_LIMIT = 1_869_571_684
_LIMITS = range(FRESH_LIMIT + 1, FRESH_LIMIT + 1 + (1 << 28))  # of those under their own names, another for each
_SETTING = "application_name"
_BEGIN = "holdfast: restore of "
_END = " has not ended"  # with a time before it, no longer than the server lets such a name be
_CONFIGURED = f"{_SETTING}={_BEGIN}"
_REMNANT = f"""
SELECT d.datconnlimit, (
        SELECT min(pg_catalog.substr(c.text, {len(_CONFIGURED) + 1}))
        FROM pg_catalog.pg_db_role_setting s, LATERAL (SELECT pg_catalog.unnest(s.setconfig) AS text) c
        WHERE s.setdatabase = d.oid AND pg_catalog.starts_with(c.text, '{_CONFIGURED}')),
    EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 2
        AND l.classid = {LOCK_KEY} AND l.objid::int8 = pg_catalog.hashtext(d.datname)::int8 & 4294967295),
    (SELECT pg_catalog.count(*) FROM pg_catalog.pg_stat_activity a
        WHERE a.datid = d.oid AND a.pid <> pg_catalog.pg_backend_pid()
            AND coalesce(a.backend_type, '') NOT LIKE 'autovacuum%%')
FROM pg_catalog.pg_database d WHERE d.datname = %s
"""
_MARKED = f"""
SELECT r.rolname FROM pg_catalog.pg_db_role_setting s JOIN pg_catalog.pg_database d ON d.oid = s.setdatabase
JOIN pg_catalog.pg_roles r ON r.oid = s.setrole, LATERAL (SELECT pg_catalog.unnest(s.setconfig) AS text) c
WHERE d.datname = %s AND pg_catalog.starts_with(c.text, '{_CONFIGURED}')
"""
_OTHER_NAME = f"""
SELECT FROM pg_catalog.pg_db_role_setting s, LATERAL (SELECT pg_catalog.unnest(s.setconfig) AS text) c
WHERE s.setdatabase = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
    AND s.setrole = (SELECT oid FROM pg_catalog.pg_roles WHERE rolname = current_user)
    AND pg_catalog.starts_with(c.text, '{_SETTING}=') AND NOT pg_catalog.starts_with(c.text, '{_CONFIGURED}')
"""


@dataclass(frozen=True, kw_only=True)
class Remnant:
    """A database that a restore has begun to fill, and has not ended.

    `made` says that it made the database too, `begun` when it began in one that was there; `held` that it works on,
    and `sessions` how many others are in it.
    """

    made: bool
    begun: str
    held: bool
    sessions: int

    @property
    def which(self) -> str:
        """What is known of the restore."""
        return "one that made it" if self.made else f"one that began {self.begun}"

    def describe(self, name: str) -> str:
        """What the database is, for messages."""
        where = f"database {quote_name(name)}"
        if self.held:
            return f"{where} is being filled by another restore, {self.which}"
        if self.sessions:
            return f"{where} is of a restore that has not ended, {self.which}, and sessions are in it ({self.sessions})"
        return f"{where} is what a restore left that was killed or cut off, {self.which}"


def new_limit() -> int:
    """The limit that marks a database from its making on, as one of this very restore."""
    return secrets.choice(_LIMITS)


def is_limit(limit: int) -> bool:
    """Whether a limit of sessions is a mark."""
    return limit == FRESH_LIMIT or limit in _LIMITS


def is_setting(setting: str) -> bool:
    """Whether a setting of a role in a database, as the catalog has it, is a mark."""
    return setting.startswith(_CONFIGURED)


def read_limit(connection: "Connection[TupleRow]", name: str) -> int | None:
    """The limit of sessions of a database, None where there is none of that name."""
    row = connection.execute("SELECT datconnlimit FROM pg_catalog.pg_database WHERE datname = %s", (name,)).fetchone()
    return row[0] if row else None


def read_remnant(connection: "Connection[TupleRow]", name: str) -> Remnant | None:
    """What a restore has left of that name, or fills just now; None where no mark says so."""
    row = connection.execute(_REMNANT, (name,)).fetchone()
    if row is None or not (row[0] in _LIMITS or row[1]):
        return None
    limit, begun, held, sessions = row
    return Remnant(made=limit in _LIMITS, begun=(begun or "").removesuffix(_END), held=held, sessions=sessions)


def mark(connection: "Connection[TupleRow]") -> None:
    """Mark the database of this session; the restore goes on without where the server refuses that."""
    if connection.execute(_OTHER_NAME).fetchone() is not None:
        log.info("database %s gets no mark: its role has a name for its sessions there", connection.info.dbname)
        return
    begun = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime())
    where = f"CURRENT_USER IN DATABASE {quoted(connection.info.dbname)}"
    try:
        connection.execute(f"ALTER ROLE {where} SET {_SETTING} TO '{_BEGIN}{begun}{_END}'")
    except psycopg.OperationalError:
        raise
    except psycopg.Error as error:
        log.info("cannot mark database %s: %s", connection.info.dbname, error)


def end(location: Location) -> list[str]:
    """Take all marks from a database that is restored; what could not be done is a warning."""
    name, text = location.database, ""
    for _ in range(2):  # the first answer may be lost
        try:
            with connected(location) as connection:
                return remove_marks(connection, name)
        except (psycopg.Error, HoldfastError) as error:
            text = " ".join(str(error).split())
    statement = f"ALTER ROLE CURRENT_USER IN DATABASE {quoted(name)} RESET {_SETTING}"
    return [f"database {quote_name(name)} may keep the mark of a restore that has not ended ({text}): {statement}"]


def remove_marks(connection: "Connection[TupleRow]", name: str) -> list[str]:
    """Take all marks from a database, once it is whole or empty; returns what is left to do, for warnings."""
    statements = [
        f"ALTER ROLE {quoted(role)} IN DATABASE {quoted(name)} RESET {_SETTING}"
        for (role,) in connection.execute(_MARKED, (name,)).fetchall()
    ]
    if (read_limit(connection, name) or 0) in _LIMITS:
        statements.append(f"ALTER DATABASE {quoted(name)} CONNECTION LIMIT -1")
    return [
        f"database {quote_name(name)} keeps the mark of a restore that has not ended "
        f"({error.diag.message_primary or error}): {statement}"
        for statement, error in execute_each(connection, statements)
    ]
