"""Scratch databases for drills: marked, held by a lock, and dropped whatever happens."""

import logging
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import Connection, pq
from psycopg.rows import TupleRow

from holdfast.api import HoldfastError, IntegrityError, Proof, ScratchRequest, UsageError, add_cleanup_failure
from holdfast_postgres import money
from holdfast_postgres.catalog import first_column
from holdfast_postgres.errors import server_error, some_lines, translate_errors
from holdfast_postgres.hints import DatabaseHint, Hints, read_hints
from holdfast_postgres.location import Location
from holdfast_postgres.options import PostgresOptions
from holdfast_postgres.proof.meanings import changed_meanings
from holdfast_postgres.proof.record import repeat_proof
from holdfast_postgres.scratch.amcheck import integrity_problems
from holdfast_postgres.session import LOGIN_TRIGGERS_SINCE, Server, connect, pin, quoted, read_server, settings
from holdfast_postgres.target import abandoned, checks, databases, temporary
from holdfast_postgres.target.abandoned import DRILL_MARKER, DRILL_PREFIX
from holdfast_postgres.unfinished import FRESH_LIMIT, LOCK_KEY

log = logging.getLogger("holdfast.postgres.scratch")


class PostgresScratch:
    """One scratch database, held by a session in it for as long as the drill runs."""

    def __init__(self, location: Location, server: Server, hints: Hints, jobs: int) -> None:
        self._location = location
        self._server = server
        self._hints = hints
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
        if self._hints.meanings:
            with translate_errors("cannot compute the proof"), _session(self._location, self._server) as connection:
                self.warnings += changed_meanings(connection, self._hints.meanings)
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

    Before that, what killed drills and restores have left there is dropped: only what is ours, and held by nobody.
    """
    if request.into is None:
        raise UsageError(
            "a PostgreSQL drill needs a server to restore on",
            hint="name a server with --into postgresql://user@host/, or with HOLDFAST_DRILL_URL",
        )
    options: PostgresOptions = request.options
    hints = _hints(request)
    location = Location.parse(request.into, connect_timeout=options.connect_timeout, database=False)
    with databases.maintenance(location) as admin, translate_errors("cannot make a scratch database"):
        location = pin(location, admin)
        server = read_server(admin)
        checks.check_version(server, hints, options)
        checks.check_policies(admin, hints)
        checks.check_space(admin, hints)
        swept = abandoned.sweep(admin, location)
        name, holder = _create(admin, server, hints, request.id, location)
    try:
        try:
            scratch = PostgresScratch(location.at(name), server, hints, request.jobs)
            scratch.warnings += swept
            yield scratch
        finally:
            holder.close()
    except BaseException as cause:
        try:
            _drop(location, name)
        except HoldfastError as error:
            add_cleanup_failure(cause, error)
        raise
    _drop(location, name)


def _hints(request: ScratchRequest) -> Hints:
    """What the dump left; where it cannot be read, what any database has: the restore into it tells of the backup."""
    try:
        return read_hints(request.facts)
    except IntegrityError as error:
        log.info("a scratch database without hints: %s", error.message)
        plain = DatabaseHint(encoding="UTF8", collate="C", ctype="C")
        return Hints(format="custom", major=0, client=0, database=plain)


def _create(
    admin: "Connection[TupleRow]", server: Server, hints: Hints, backup: str, location: Location
) -> "tuple[str, Connection[TupleRow]]":
    """A new scratch database and the session that holds it.

    A lock of its name tells other drills that one without a marker is about to get it.
    """
    safe = "".join(letter for letter in backup.lower() if letter.isalnum())
    name = f"{DRILL_PREFIX}{safe[:32]}_{secrets.token_hex(4)}"
    temporary.hold(admin, name)
    try:
        for difference in databases.create(admin, name, hints.database):
            log.warning("%s", difference)
        if server.major >= LOGIN_TRIGGERS_SINCE and server.superuser:  # they act on every session of the drill
            admin.execute(f"ALTER DATABASE {quoted(name)} SET event_triggers TO off")
        try:
            return name, _lock(location.at(name))
        except BaseException:
            _drop(location, name)
            raise
    finally:
        if admin.info.transaction_status == pq.TransactionStatus.IDLE:  # not where it was interrupted or lost
            temporary.release(admin, name)


def _lock(location: Location) -> "Connection[TupleRow]":
    """Lock the database from inside, and only then mark it: without a marker nobody drops it."""
    holder = connect(location)
    try:
        databases.limit_statements(holder)
        holder.execute("SELECT pg_catalog.pg_advisory_lock(%s)", (LOCK_KEY,))
        holder.execute(f"COMMENT ON DATABASE {quoted(location.database)} IS '{DRILL_MARKER}'")
    except BaseException:
        holder.close()
        raise
    return holder


def _drop(location: Location, name: str) -> None:
    what, hint = f"could not drop the scratch database {name}", "drop it, or leave it to the next drill on that server"
    try:
        with databases.maintenance(location, avoid=name) as admin:
            databases.drop(admin, location.at(name))
    except psycopg.Error as error:
        translated = server_error(error, what)
        translated.hint = hint
        raise translated from error
    except HoldfastError as error:
        raise type(error)(f"{what}: {error.message}", hint=hint) from error


def list_databases(url: str) -> list[str]:
    """The URL of every database of a server, but for templates and what drills and restores make for themselves."""
    location = Location.parse(url, connect_timeout=PostgresOptions().connect_timeout, database=False)
    with databases.maintenance(location) as admin:
        names = databases.list_databases(admin)
        with translate_errors("cannot list the databases"):
            query = f"""
                SELECT datname FROM pg_catalog.pg_database
                WHERE datconnlimit = {FRESH_LIMIT}
                    OR pg_catalog.starts_with(pg_catalog.shobj_description(oid, 'pg_database'), '{temporary.OURS}')
            """
            ours = set(first_column(admin, query))
    return [location.url(name) for name in names if name not in ours]
