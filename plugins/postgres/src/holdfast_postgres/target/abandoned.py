"""Databases that runs which were killed have left on a server: dropped by the next run, if they are ours and dead."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import HoldfastError, quote_name
from holdfast_postgres.location import Location
from holdfast_postgres.session import connect, quoted
from holdfast_postgres.target import databases
from holdfast_postgres.target.contents import read_objects
from holdfast_postgres.target.temporary import OURS, UNFINISHED, successor_of
from holdfast_postgres.unfinished import FRESH_LIMIT, LOCK_KEY
from holdfast_postgres.watched import WatchedConnection

log = logging.getLogger("holdfast.postgres.abandoned")

DRILL_PREFIX = "holdfast_drill_"
DRILL_MARKER = f"{OURS}scratch database of a drill, dropped at its end"
# Of the very form of the names that we give, with a comment of ours or none, and about to be marked or worked for by
# nobody: a lock in any database counts. An autovacuum worker is no user, and of sessions of other roles nobody is
# told what they are.
_ABANDONED = f"""
SELECT d.oid::int8, d.datname, d.datconnlimit, coalesce(c.text, ''), EXISTS (
    SELECT FROM pg_catalog.pg_stat_activity a
    WHERE a.datid = d.oid AND coalesce(a.backend_type, '') NOT LIKE 'autovacuum%')
FROM pg_catalog.pg_database d,
    LATERAL (SELECT pg_catalog.shobj_description(d.oid, 'pg_database') AS text) c
WHERE (d.datname ~ '^{DRILL_PREFIX}[0-9a-z]+_[0-9a-f]{{8}}$' OR d.datname ~ '_holdfast_(old_)?[0-9a-f]{{8}}$'
        OR (pg_catalog.starts_with(d.datname, '{DRILL_PREFIX}') AND c.text IS NOT NULL))
    AND (c.text IS NULL OR pg_catalog.starts_with(c.text, '{OURS}'))
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 2
        AND l.classid = {LOCK_KEY} AND l.objid::int8 = pg_catalog.hashtext(d.datname)::int8 & 4294967295)
ORDER BY d.oid
"""


@dataclass(frozen=True, kw_only=True)
class _Leftover:
    """A database that may be a leftover; `used` says whether there is a session in it."""

    oid: int
    name: str
    limit: int
    comment: str
    used: bool

    @property
    def invalid(self) -> bool:
        """Whether a DROP of it was interrupted: nobody can connect to it, and it can only be dropped."""
        return self.limit == databases.INVALID


@contextmanager
def swept(connection: WatchedConnection, location: Location, warnings: list[str]) -> Iterator[None]:
    """Sweep before the block; what happened is added to `warnings` after it, and logged if it raises."""
    with databases.limited(connection):
        said = sweep(connection, location)
    try:
        yield
    except HoldfastError:
        for text in said:
            log.warning("%s", text)
        raise
    warnings += said


def sweep(connection: "Connection[TupleRow]", location: Location) -> list[str]:
    """Drop what killed drills and restores have left on a server; what happened, for warnings.

    The connection is in autocommit mode, to any database of the server at the location. What cannot be dropped, since
    the role may not or somebody uses it, stays, and is named where it is known to be of no use.
    """
    said: list[str] = []
    try:
        rows = connection.execute(_ABANDONED).fetchall()
    except UnicodeDecodeError as error:
        log.info("cannot read the names of the databases: %s", error)  # of another encoding than this one
        return said
    for oid, name, limit, comment, used in rows:
        leftover = _Leftover(oid=oid, name=name, limit=limit, comment=comment, used=used)
        try:
            if name.startswith(DRILL_PREFIX):
                _drop_of_drill(connection, location.at(name), leftover)
            else:
                said += _drop_of_restore(connection, location.at(name), leftover)
        except (psycopg.Error, HoldfastError) as error:
            # Somebody else is at it, or it is not ours to drop: this run can go on.
            log.info("left database %s: %s", name, error)
            if comment and not name.startswith(DRILL_PREFIX) and databases.exists(connection, name):
                said.append(_kept(name, " ".join(str(error).split())))
            if isinstance(error, psycopg.errors.LockNotAvailable | psycopg.errors.QueryCanceled):
                break  # a run waits as long as that for one alone
    return said


def _drop_of_drill(connection: "Connection[TupleRow]", location: Location, leftover: _Leftover) -> None:
    """Drop the scratch database of a drill that was killed, also of one that had not marked its own yet."""
    marked = leftover.comment == DRILL_MARKER
    if not marked and (leftover.comment or leftover.used):
        return
    if leftover.invalid or _is_free(location, marked=marked):
        databases.drop(connection, location)
        log.info("dropped scratch database %s of a drill that was killed", leftover.name)


def _is_free(location: Location, *, marked: bool) -> bool:
    """Whether no drill holds a database; one without a marker must be empty too, as nothing is put in before that."""
    connection = connect(location)
    try:
        row = connection.execute("SELECT pg_catalog.pg_try_advisory_lock(%s)", (LOCK_KEY,)).fetchone()
        return bool(row and row[0]) and (marked or not read_objects(connection, limit=1))
    finally:
        connection.close()


def _drop_of_restore(connection: "Connection[TupleRow]", location: Location, leftover: _Leftover) -> list[str]:
    """Drop what a restore that was killed made beside its target, or replaced; says so, or why it stays."""
    name = quote_name(leftover.name)
    if (oid := successor_of(leftover.comment)) is not None:
        if connection.execute("SELECT FROM pg_catalog.pg_database WHERE oid = %s", (oid,)).fetchone() is None:
            # Perhaps the only copy of what it holds.
            why = f"database {name} was replaced by a restore that was killed, and what replaced it is gone"
            return [f"{why}: take it back with ALTER DATABASE {quoted(leftover.name)} RENAME TO …, or drop it"]
        what = "the database that a restore had replaced before it was killed"
    elif leftover.comment == UNFINISHED or (leftover.invalid and not leftover.comment):
        what = "left by a restore that was killed"
    elif leftover.comment or leftover.limit != FRESH_LIMIT or leftover.used or not _is_free(location, marked=False):
        return []
    else:
        what = "left by a restore that was killed before it marked it"
    if leftover.used and not leftover.invalid:
        # Perhaps of a restore whose session that held it was lost.
        return [_kept(leftover.name, "a session is in it")]
    databases.drop(connection, location, force=False)
    log.info("dropped database %s, %s", leftover.name, what)
    return [f"dropped database {name}, {what}"]


def _kept(name: str, why: str) -> str:
    return (
        f"database {quote_name(name)} seems to be left by a restore that was killed, and stays: {why}; "
        f"the next restore or drill here drops it, or DROP DATABASE {quoted(name)}"
    )
