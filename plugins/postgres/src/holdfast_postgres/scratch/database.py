"""Scratch databases for drills: marked, held by a lock, and dropped whatever happens."""

import logging
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import HoldfastError, Proof, ScratchRequest, UsageError
from holdfast_postgres import money
from holdfast_postgres.catalog import first_column
from holdfast_postgres.errors import server_error, some_lines, translate_errors
from holdfast_postgres.hints import Hints, read_hints
from holdfast_postgres.location import Location
from holdfast_postgres.options import PostgresOptions
from holdfast_postgres.proof.record import repeat_proof
from holdfast_postgres.scratch.amcheck import integrity_problems
from holdfast_postgres.session import Server, connect, pin, quoted, read_server, settings
from holdfast_postgres.target import checks, databases

log = logging.getLogger("holdfast.postgres.scratch")

PREFIX = "holdfast_drill_"
MARKER = "holdfast: scratch database of a drill, dropped at its end"
# Any constant will do: advisory locks belong to a database, and nobody else uses this one.
_LOCK_KEY = 0x686F6C64


class PostgresScratch:
    """One scratch database, held by a session in it for as long as the drill runs."""

    def __init__(self, location: Location, server: Server, jobs: int) -> None:
        self._location = location
        self._server = server
        self._jobs = jobs
        self.url = location.url(location.database)
        self.server_version = server.version
        self.warnings: list[str] = []

    def check(self) -> Sequence[str]:
        """Look for invalid indexes, and with amcheck, where the server has it, into every table and B-tree."""
        with (
            translate_errors("cannot check the scratch database"),
            _session(self._location, self._server) as connection,
        ):
            problems, unchecked = integrity_problems(connection, self._server)
            self.warnings += some_lines(unchecked)
            return problems

    def proof(self, recorded: Proof) -> Proof:
        """Compute the proof anew; `warnings` tell what could not be checked or compared."""
        proof, warnings = repeat_proof(
            recorded,
            lambda: _session(self._location, self._server),
            major=self._server.major,
            jobs=self._jobs,
        )
        self.warnings += warnings
        return proof


def _session(location: Location, server: Server) -> "Connection[TupleRow]":
    """A session in a transaction, under the settings that the proof was recorded with."""
    connection = connect(location)
    connection.execute(settings(server.major, money=money.LOCALE))
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    return connection


@contextmanager
def open_scratch(request: ScratchRequest) -> Iterator[PostgresScratch]:
    """Make a scratch database on the server at `request.into` and drop it at the end.

    Before that, what killed drills have left there is dropped: only what bears name and marker, and whose lock
    is free.
    """
    if request.into is None:
        raise UsageError(
            "a PostgreSQL drill needs a server to restore on",
            hint="name a server with --into postgresql://user@host/, or with HOLDFAST_DRILL_URL",
        )
    options: PostgresOptions = request.options
    hints = read_hints(request.facts)
    location = Location.parse(request.into, connect_timeout=options.connect_timeout, database=False)
    with databases.maintenance(location) as admin, translate_errors("cannot make a scratch database"):
        location = pin(location, admin)
        server = read_server(admin)
        checks.check_version(server, hints, options)
        checks.check_policies(admin, hints)
        checks.check_space(admin, hints)
        _drop_abandoned(admin, location)
        name = _create(admin, hints, request.id)
    try:
        holder = _lock(location.at(name))
        try:
            yield PostgresScratch(location.at(name), server, request.jobs)
        finally:
            holder.close()
    finally:
        _drop(location, name)


def _create(admin: "Connection[TupleRow]", hints: Hints, backup: str) -> str:
    safe = "".join(letter for letter in backup.lower() if letter.isalnum())
    name = f"{PREFIX}{safe[:32]}_{secrets.token_hex(4)}"
    for difference in databases.create(admin, name, hints.database):
        log.warning("%s", difference)
    return name


def _lock(location: Location) -> "Connection[TupleRow]":
    """Lock the database from inside, and only then mark it: without a marker nobody drops it."""
    holder = connect(location)
    try:
        holder.execute("SELECT pg_catalog.pg_advisory_lock(%s)", (_LOCK_KEY,))
        holder.execute(f"COMMENT ON DATABASE {quoted(location.database)} IS '{MARKER}'")
    except BaseException:
        holder.close()
        raise
    return holder


def _drop(location: Location, name: str) -> None:
    with databases.maintenance(location, avoid=name) as admin:
        try:
            databases.drop(admin, location.at(name))
        except psycopg.Error as error:
            translated = server_error(error, f"could not drop the scratch database {name}")
            translated.hint = "drop it, or leave it to the next drill on that server"
            raise translated from error


def _drop_abandoned(admin: "Connection[TupleRow]", location: Location) -> None:
    """Drop the scratch databases of drills that were killed."""
    query = """
        SELECT datname, datconnlimit FROM pg_catalog.pg_database
        WHERE pg_catalog.starts_with(datname, %s) AND pg_catalog.shobj_description(oid, 'pg_database') = %s
    """
    for name, limit in admin.execute(query, (PREFIX, MARKER)).fetchall():
        try:
            if limit == databases.INVALID or _is_abandoned(location.at(name)):
                databases.drop(admin, location.at(name))
                log.info("dropped scratch database %s of a drill that was killed", name)
        except (psycopg.Error, HoldfastError) as error:
            # Somebody else is at it, or it is not ours to drop: this drill can go on.
            log.info("left scratch database %s: %s", name, error)
            if isinstance(error, psycopg.errors.LockNotAvailable | psycopg.errors.QueryCanceled):
                break  # a drill waits as long as that for one alone


def _is_abandoned(location: Location) -> bool:
    connection = connect(location)
    try:
        row = connection.execute("SELECT pg_catalog.pg_try_advisory_lock(%s)", (_LOCK_KEY,)).fetchone()
        return bool(row and row[0])
    finally:
        connection.close()


def list_databases(url: str) -> list[str]:
    """The URL of every database of a server, but for templates and scratch databases."""
    location = Location.parse(url, connect_timeout=PostgresOptions().connect_timeout, database=False)
    with databases.maintenance(location) as admin:
        names = databases.list_databases(admin)
        with translate_errors("cannot list the databases"):
            query = (
                "SELECT datname FROM pg_catalog.pg_database WHERE pg_catalog.shobj_description(oid, 'pg_database') = %s"
            )
            scratch = set(first_column(admin, query, (MARKER,)))
    return [location.url(name) for name in names if name not in scratch]
