"""Databases for drills: made, marked and locked, checked, digested, and dropped whatever happens."""

import logging
import queue
import secrets
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from holdfast.api import DatabaseURL, HoldfastError, LockedError, Proof, ScratchRequest, UsageError, quote_name
from holdfast_mysql import snapshot
from holdfast_mysql.catalog.tables import BROKEN_VIEW, Definitions, Selection, Table, read_tables
from holdfast_mysql.definitions.collations import known_collations
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.location.database_url import Location, locate
from holdfast_mysql.names import MARKER
from holdfast_mysql.proof.record import (
    METHOD,
    Summed,
    UnitDigest,
    database_proof,
    definition_proofs,
    largest_numbers,
    proof_of,
    ranges_of,
    read_unit,
    sum_of,
    table_proof,
)
from holdfast_mysql.rows.key_ranges import RowUnit
from holdfast_mysql.session.connection import Session, connect, literal, plain_literal, quoted, saying, use

log = logging.getLogger("holdfast.mysql")

_PREFIX = "holdfast_drill_"


class ScratchDatabase:
    """One scratch database, held by an advisory lock of the session that made it."""

    def __init__(self, session: Session, location: Location, request: ScratchRequest, name: str, url: str) -> None:
        self._session = session
        self._location = location
        self._request = request
        self._name = name
        self.url = url
        self.server_version = session.server.text

    def _tables(self, session: Session) -> list[Table]:
        return read_tables(session, self._name, Selection(exclude=(MARKER,)))

    def check(self) -> Sequence[str]:
        """Run CHECK TABLE on every table; each line is one that it does not call sound."""
        problems = []
        with saying("cannot check the restored tables"):
            use(self._session, self._name)
            for table in self._tables(self._session):
                for _, _, kind, text in self._session.texts(f"CHECK TABLE {quoted(table.name)} EXTENDED"):
                    if kind.lower() in ("error", "warning") or (kind.lower() == "status" and text != "OK"):
                        unsupported = "doesn't support check" in text or "not support" in text
                        if not unsupported:
                            problems.append(f"CHECK TABLE {quote_name(table.name)}: {text}")
        return problems

    def proof(self, recorded: Proof) -> Proof:
        """Digest what was restored as the dump did; another method than ours is told by its name."""
        if recorded.method != METHOD:
            return Proof(method=METHOD)
        with ExitStack() as stack, saying("cannot digest the restored database"):
            sessions: queue.SimpleQueue[Session] = queue.SimpleQueue()
            jobs = max(1, self._request.jobs)
            for _ in range(jobs):
                session = connect(self._location, database=self._name)
                stack.callback(session.close)
                snapshot.prepare(session)
                sessions.put(session)
            tables = self._tables(self._session)
            summed = Summed.recorded(recorded.settings)
            units = [
                RowUnit(table=table, part=part)
                for table in tables
                if table.stored
                for part in ranges_of(recorded.settings, table.name)
            ]

            def read(unit: RowUnit) -> UnitDigest:
                reader = sessions.get()
                try:
                    return read_unit(reader, unit, summed.digest(unit.table))
                finally:
                    sessions.put(reader)

            def add(table: Table) -> str:
                reader = sessions.get()
                try:
                    return sum_of(reader, table)[1]
                finally:
                    sessions.put(reader)

            sums = [table for table in tables if table.name in summed.by_server]
            with ThreadPoolExecutor(jobs) as pool:
                digests = list(pool.map(read, units))
                totals = dict(zip((table.name for table in sums), pool.map(add, sums), strict=True))
            objects = [
                table_proof(
                    table,
                    [digest for unit, digest in zip(units, digests, strict=True) if unit.table is table],
                    summed,
                    totals.get(table.name, ""),
                )
                for table in tables
                if table.stored
            ]
            reader = sessions.get()
            objects.append(database_proof(Definitions(reader, self._name).database()))
            numbers = largest_numbers(reader, tables, without=recorded.settings.get("uncounted", ()))
            objects += definition_proofs(
                statements_of(reader, self._name, tables), self._name, numbers,
                definers=recorded.settings.get("definers", True),
            )  # fmt: skip
        return proof_of(objects, recorded.settings)


def statements_of(session: Session, database: str, tables: Sequence[Table]) -> list[Statement]:
    """Every definition of a database, without the marker and without views that refer to what is not there."""
    everything = Selection(exclude=(MARKER,))
    definitions = Definitions(session, database)
    return [
        *definitions.sequences(everything),
        *(definitions.table(table.name) for table in tables),
        *definitions.routines(),
        *(view for view in definitions.views(everything) if view.extra != BROKEN_VIEW),
        *definitions.triggers(everything),
        *definitions.events(),
    ]


@contextmanager
def open_scratch(request: ScratchRequest) -> Iterator[ScratchDatabase]:
    """Make a scratch database on the server at `request.into`, after dropping what killed drills left there."""
    if request.into is None:
        raise UsageError(
            "a drill of a MySQL or MariaDB backup needs a server to restore into",
            hint="--into mysql://USER@HOST names one; the scratch database is dropped again",
        )
    location = replace(locate(request.into, database=False), database="")
    name = f"{_PREFIX}{request.id}_{secrets.token_hex(3)}"
    session = connect(location)
    try:
        with saying(f"cannot make a scratch database on {location.server}"):
            session.execute("SET wait_timeout=604800, sql_mode=''")
            _sweep(session)
            _lock(session, name)
            session.execute(f"CREATE DATABASE {quoted(name)}{_defaults(session, request)}")
        try:
            with saying(f"cannot mark the scratch database {name}"):
                marker = f"{quoted(name)}.{quoted(MARKER)}"
                session.execute(f"CREATE TABLE {marker} (backup VARCHAR(64) NOT NULL PRIMARY KEY)")
                session.execute(f"INSERT INTO {marker} VALUES ({literal(request.id)})")
            url = replace(DatabaseURL.parse(request.into), path=f"/{name}").text()
            yield ScratchDatabase(session, replace(location, database=name), request, name, url)
        finally:
            _drop(location, name)
    finally:
        session.close()


def _defaults(session: Session, request: ScratchRequest) -> str:
    """The collation and the comment that the backup's database had, where this server knows them."""
    collation, comment = (str(request.facts.get(key, "")) for key in ("collation", "comment"))
    found = f" COLLATE {collation}" if collation in known_collations(session) else ""
    return found + (f" COMMENT {plain_literal(comment)}" if comment and session.server.mariadb_since(10, 5) else "")


def _lock(session: Session, name: str) -> None:
    if session.value(f"SELECT GET_LOCK({plain_literal(name)}, 0)") != "1":
        raise LockedError(f"the advisory lock of the scratch database {name} is held by somebody else")


def _sweep(session: Session) -> None:
    """Drop scratch databases that bear the name and the marker, and that nobody holds."""
    rows = session.texts(
        "SELECT t.table_schema FROM information_schema.tables t"
        f" WHERE t.table_schema LIKE 'holdfast\\_drill\\_%' AND t.table_name='{MARKER}'"
    )
    for (name,) in rows:
        if session.value(f"SELECT GET_LOCK({plain_literal(name)}, 0)") == "1":
            log.info("dropping the scratch database %s, which a killed drill left", name)
            session.execute(f"DROP DATABASE IF EXISTS {quoted(name)}")
            session.value(f"SELECT RELEASE_LOCK({plain_literal(name)})")


def _drop(location: Location, name: str) -> None:
    """Drop it over a connection of its own: that of the drill may be gone."""
    try:
        session = connect(location)
    except HoldfastError as error:
        log.warning("the scratch database %s is left behind: %s", name, error.message)
        return
    try:
        with saying(f"cannot drop the scratch database {name}"):
            session.execute(f"DROP DATABASE IF EXISTS {quoted(name)}")
    except HoldfastError as error:
        log.warning("the scratch database %s is left behind: %s", name, error.message)
    finally:
        session.close()
