"""Scratch databases for drills: marked, held by a lock, and dropped whatever happens."""

import logging
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import HoldfastError, Proof, ScratchRequest, UsageError
from holdfast_postgres.errors import server_error, translate_errors
from holdfast_postgres.hints import Hints, read_hints
from holdfast_postgres.location import Location
from holdfast_postgres.options import PostgresOptions
from holdfast_postgres.proof.record import repeat_proof
from holdfast_postgres.session import Server, connect, pin, quoted, settings, survey
from holdfast_postgres.target import checks, databases

log = logging.getLogger("holdfast.postgres.scratch")

PREFIX = "holdfast_drill_"
MARKER = "holdfast: scratch database of a drill, dropped at its end"
# Any constant will do: advisory locks are a database's own, and nobody else is in this one.
_LOCK = 0x686F6C64


class PostgresScratch:
    """One scratch database, held by a session in it for as long as the drill runs."""

    def __init__(self, location: Location, server: Server, jobs: int) -> None:
        self._location = location
        self._server = server
        self._jobs = jobs
        self.url = location.url(location.database)
        self.server_version = server.version

    def check(self) -> Sequence[str]:
        """Look for invalid indexes, and with amcheck, where the server has it, into every table and B-tree."""
        with (
            translate_errors("cannot check the scratch database"),
            _session(self._location, self._server) as connection,
        ):
            problems = [f"index {name} is not valid" for name in _strings(connection, _INVALID)]
            if _amcheck(connection):
                problems += _check_indexes(connection)
                problems += _check_heaps(connection, self._server)
                connection.execute("ROLLBACK")  # with it goes the extension
            return problems

    def proof(self, recorded: Proof) -> Proof:
        """Compute the proof anew."""
        return repeat_proof(
            recorded,
            lambda: _session(self._location, self._server),
            major=self._server.major,
            jobs=self._jobs,
        )


# A partitioned index is not valid as long as one partition has none: that is how the source may be, too.
_INVALID = """
SELECT c.oid::regclass::text FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
WHERE NOT i.indisvalid AND c.relkind = 'i' ORDER BY 1
"""
_BTREES = """
SELECT c.oid, c.oid::regclass::text FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_am a ON a.oid = c.relam
WHERE a.amname = 'btree' AND i.indisvalid AND c.relkind = 'i' AND c.relpersistence <> 't' ORDER BY 2
"""
_HEAPS = """
SELECT c.oid, c.oid::regclass::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_am a ON a.oid = c.relam
WHERE a.amname = 'heap' AND c.relkind IN ('r', 'm', 't') AND c.relpersistence <> 't' AND c.oid >= 16384 ORDER BY 2
"""
_HEAPS_SINCE = 14
_LIMIT = 10


def _strings(connection: "Connection[TupleRow]", query: str) -> list[str]:
    return [row[0] for row in connection.execute(query)]


def _session(location: Location, server: Server) -> "Connection[TupleRow]":
    """A session in a transaction, under the settings that the proof was recorded with."""
    connection = connect(location)
    connection.execute(settings(server.major))
    connection.execute("SET lc_monetary TO 'C'")
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    return connection


def _amcheck(connection: "Connection[TupleRow]") -> bool:
    """Whether amcheck can be used; it is made inside the transaction, which is rolled back after the check."""
    if not _strings(connection, "SELECT name FROM pg_catalog.pg_available_extensions WHERE name = 'amcheck'"):
        log.info("the server has no amcheck: only the validity of indexes is checked")
        return False
    connection.execute("SAVEPOINT amcheck")
    try:
        connection.execute("CREATE SCHEMA holdfast_amcheck")
        connection.execute("CREATE EXTENSION IF NOT EXISTS amcheck SCHEMA holdfast_amcheck")
    except psycopg.errors.InsufficientPrivilege:
        connection.execute("ROLLBACK TO SAVEPOINT amcheck")
        log.info("the role may not use amcheck: only the validity of indexes is checked")
        return False
    return True


def _schema(connection: "Connection[TupleRow]") -> str:
    query = """
        SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'amcheck'
    """
    return quoted(_strings(connection, query)[0])


def _check_indexes(connection: "Connection[TupleRow]") -> list[str]:
    schema, problems = _schema(connection), []
    for oid, name in connection.execute(_BTREES).fetchall():
        connection.execute("SAVEPOINT one")
        try:
            connection.execute(f"SELECT {schema}.bt_index_check(%s::regclass, true)", (oid,))
        except (psycopg.errors.IndexCorrupted, psycopg.errors.DataCorrupted) as error:
            problems.append(f"index {name}: {error.diag.message_primary}")
            connection.execute("ROLLBACK TO SAVEPOINT one")
        connection.execute("RELEASE SAVEPOINT one")
        if len(problems) >= _LIMIT:
            break
    return problems


def _check_heaps(connection: "Connection[TupleRow]", server: Server) -> list[str]:
    problems: list[str] = []
    if server.major < _HEAPS_SINCE:
        return problems
    schema = _schema(connection)
    for oid, name in connection.execute(_HEAPS).fetchall():
        query = f"SELECT blkno, offnum, msg FROM {schema}.verify_heapam(%s::regclass) LIMIT {_LIMIT}"
        problems += [
            f"table {name}, block {block}, row {row}: {text}" for block, row, text in connection.execute(query, (oid,))
        ]
        if len(problems) >= _LIMIT:
            break
    return problems


@contextmanager
def open_scratch(request: ScratchRequest) -> Iterator[PostgresScratch]:
    """Make a scratch database on the server at `request.into` and drop it at the end.

    Before that, what killed drills have left there is dropped: only what bears name and marker, and whose lock
    is free.
    """
    if request.into is None:
        raise UsageError(
            "a PostgreSQL drill needs a server to restore on",
            hint="name one: --into postgresql://user@host/, or HOLDFAST_DRILL_URL",
        )
    options: PostgresOptions = request.options
    hints = read_hints(request.facts)
    location = Location.parse(request.into, connect_timeout=options.connect_timeout, database=False)
    with databases.maintenance(location) as admin, translate_errors("cannot make a scratch database"):
        location = pin(location, admin)
        server = survey(admin)
        checks.check_version(server, hints, options)
        checks.check_policies(admin, hints)
        checks.check_space(admin, hints)
        _sweep(admin, location)
        name = _make(admin, hints, request.id)
    try:
        holder = _hold(location.at(name))
        try:
            yield PostgresScratch(location.at(name), server, request.jobs)
        finally:
            holder.close()
    finally:
        _drop(location, name)


def _make(admin: "Connection[TupleRow]", hints: Hints, backup: str) -> str:
    safe = "".join(letter for letter in backup.lower() if letter.isalnum())
    name = f"{PREFIX}{safe[:32]}_{secrets.token_hex(4)}"
    for difference in databases.create(admin, name, hints.database):
        log.warning("%s", difference)
    return name


def _hold(location: Location) -> "Connection[TupleRow]":
    """Lock the database from inside, and only then mark it: without a marker nobody drops it."""
    holder = connect(location)
    try:
        holder.execute("SELECT pg_catalog.pg_advisory_lock(%s)", (_LOCK,))
        holder.execute(f"COMMENT ON DATABASE {quoted(location.database)} IS '{MARKER}'")
    except BaseException:
        holder.close()
        raise
    return holder


def _drop(location: Location, name: str) -> None:
    with databases.maintenance(location, avoid=name) as admin:
        try:
            databases.drop(admin, name)
        except psycopg.Error as error:
            found = server_error(error, f"the scratch database {name} could not be dropped")
            found.hint = "the next drill on that server drops it"
            raise found from error


def _sweep(admin: "Connection[TupleRow]", location: Location) -> None:
    """Drop the scratch databases of drills that were killed."""
    query = """
        SELECT datname FROM pg_catalog.pg_database
        WHERE pg_catalog.starts_with(datname, %s) AND pg_catalog.shobj_description(oid, 'pg_database') = %s
    """
    for (name,) in admin.execute(query, (PREFIX, MARKER)).fetchall():
        try:
            if _abandoned(location.at(name)):
                admin.execute(f"DROP DATABASE {quoted(name)}")
                log.info("dropped scratch database %s of a drill that was killed", name)
        except (psycopg.Error, HoldfastError) as error:
            # Somebody else is at it, or it is not ours to drop: this drill can go on.
            log.info("left scratch database %s: %s", name, error)


def _abandoned(location: Location) -> bool:
    connection = connect(location)
    try:
        row = connection.execute("SELECT pg_catalog.pg_try_advisory_lock(%s)", (_LOCK,)).fetchone()
        return bool(row and row[0])
    finally:
        connection.close()


def list_databases(url: str) -> list[str]:
    """The URL of every database of a server, but for templates and scratch databases."""
    location = Location.parse(url, connect_timeout=PostgresOptions().connect_timeout, database=False)
    with databases.maintenance(location) as admin:
        names = databases.listed(admin)
        with translate_errors("cannot list the databases"):
            scratch = {
                row[0]
                for row in admin.execute(
                    "SELECT datname FROM pg_catalog.pg_database "
                    "WHERE pg_catalog.shobj_description(oid, 'pg_database') = %s",
                    (MARKER,),
                )
            }
    return [location.url(name) for name in names if name not in scratch]
