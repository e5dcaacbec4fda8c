"""The proof of a restored database, by the settings that the backup's proof was taken with."""

import queue
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

from holdfast.api import Proof
from holdfast_mysql.catalog.columns import ALL_LABELS
from holdfast_mysql.catalog.definitions import BROKEN_VIEW, DefinitionReader
from holdfast_mysql.catalog.selection import Selection
from holdfast_mysql.catalog.tables import Table
from holdfast_mysql.definitions.elsewhere import TableName, as_elsewhere
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.location import Location
from holdfast_mysql.proof.definitions import database_proof, definition_proofs
from holdfast_mysql.proof.record import proof_of, ranges_of
from holdfast_mysql.proof.rows import DigestPlan, digest_stream, largest_numbers, sum_rows, table_proof
from holdfast_mysql.rows.key_ranges import RowStream
from holdfast_mysql.session import Session, connect
from holdfast_mysql.snapshot import prepare_reader

Read = TypeVar("Read")
Result = TypeVar("Result")


def repeat_proof(
    location: Location, tables: Sequence[Table], recorded: Proof, *, jobs: int, without: str,
    broken: Collection[str] = (), stand_ins: Mapping[str, TableName] | None = None,
) -> Proof:  # fmt: skip
    """Digest the database of `location` over `jobs` connections, as if table `without` were not there.

    Of views that refer to what is not there only those in `broken`; `stand_ins` stand for others.
    """
    plan = DigestPlan.recorded(recorded.settings)
    tables = [replace(table, labels=str(recorded.settings.get("labels", ALL_LABELS))) for table in tables]
    stored = [table for table in tables if table.stored]
    streams = [
        RowStream(table=table, key_range=key_range)
        for table in stored
        for key_range in ranges_of(recorded.settings, table.name)
    ]
    with _Readers.open(location, jobs) as readers:
        digests = readers.map(
            lambda session, stream: digest_stream(session, stream, plan.digest(stream.table)), streams
        )
        summed = [table for table in tables if table.name in plan.by_server]
        totals = readers.map(lambda session, table: sum_rows(session, table)[1], summed)
        total_of = {table.name: total for table, total in zip(summed, totals, strict=True)}
        objects = [
            table_proof(
                table,
                [digest for stream, digest in zip(streams, digests, strict=True) if stream.table is table],
                plan,
                total_of.get(table.name, ""),
            )
            for table in stored
        ]
        session = readers.sessions[0]
        database = location.database
        objects.append(database_proof(DefinitionReader(session, database).database()))
        numbers = largest_numbers(session, tables, without=recorded.settings.get("uncounted", ()))
        objects += definition_proofs(
            _as_made(_statements(session, database, tables, without=without, broken=broken), database, stand_ins or {}),
            database,
            numbers,
            definers=recorded.settings.get("definers", True),
        )
    return proof_of(objects, recorded.settings)


def _as_made(statements: Sequence[Statement], database: str, stand_ins: Mapping[str, TableName]) -> list[Statement]:
    """Definitions as they were before others stood in for tables of other databases."""
    return [
        replace(statement, body=as_elsewhere(statement, database, stand_ins)) if statement.kind == "view" else statement
        for statement in statements
    ]


def _statements(
    session: Session, database: str, tables: Sequence[Table], *, without: str, broken: Collection[str]
) -> list[Statement]:
    """Every definition of a database, without views that refer to what is not there and are not in `broken`."""
    everything = Selection(exclude=(without,))
    definitions = DefinitionReader(session, database)
    return [
        *definitions.sequences(everything),
        *(definitions.table(table.name) for table in tables),
        *definitions.routines(),
        *(view for view in definitions.views(everything) if view.extra != BROKEN_VIEW or view.name in broken),
        *definitions.triggers(everything),
        *definitions.events(),
    ]


class _Readers:
    """Connections that read in parallel."""

    def __init__(self, sessions: list[Session]) -> None:
        self.sessions = sessions
        self._idle: queue.SimpleQueue[Session] = queue.SimpleQueue()
        for session in sessions:
            self._idle.put(session)

    @classmethod
    @contextmanager
    def open(cls, location: Location, count: int) -> "Iterator[_Readers]":
        sessions: list[Session] = []
        try:
            for _ in range(count):
                sessions.append(connect(location, database=location.database))
                prepare_reader(sessions[-1])
            yield cls(sessions)
        finally:
            for session in sessions:
                session.close()

    def map(self, read: Callable[[Session, Read], Result], subjects: Sequence[Read]) -> list[Result]:
        """Call `read` with each of them and a connection of its own; results come in the order of the subjects."""

        def run(subject: Read) -> Result:
            session = self._idle.get()
            try:
                return read(session, subject)
            finally:
                self._idle.put(session)

        with ThreadPoolExecutor(len(self.sessions)) as pool:
            return list(pool.map(run, subjects))
