"""What a dump reads from its snapshot, and how: by pg_dump, by COPY in parts, or here."""

import logging

import msgspec
import psycopg

from holdfast.api import DumpRequest
from holdfast_postgres import catalog
from holdfast_postgres.catalog import SequenceState, Table
from holdfast_postgres.client.programs import Programs
from holdfast_postgres.dump.filters import within_arguments
from holdfast_postgres.dump.table_parts import TablePart, by_table, large_tables, split_tables
from holdfast_postgres.errors import translate_errors
from holdfast_postgres.options import PostgresOptions
from holdfast_postgres.snapshot import Snapshot

log = logging.getLogger("holdfast.postgres.dump")

ARCHIVE = "archive"
SEQUENCES = "sequences"
GLOBALS = "globals"
PROPERTIES = "properties"


class DumpPlan(msgspec.Struct, frozen=True, kw_only=True):
    """The parts of large tables that COPY reads, and the sequences that are read here; pg_dump reads the rest.

    `passwords` tells whether roles are taken with the hashes of their passwords.

    pg_dump reads the sequences too, a moment later: to exclude each would be a word of its command line for each, which
    the system limits. A restore sets them last to what was read here, which is what the proof knows.
    """

    parts: tuple[TablePart, ...]
    sequences: tuple[SequenceState, ...]
    passwords: bool = False

    @property
    def large_tables(self) -> tuple[tuple[Table, list[str]], ...]:
        """Each large table with its streams in the order of its blocks."""
        return tuple(by_table(self.parts))


def make_plan(request: DumpRequest, snapshot: Snapshot, programs: Programs) -> DumpPlan:
    """Plan the dump of a snapshot; it reads the sequences, once, in the format where that is not pg_dump's affair."""
    options: PostgresOptions = request.options
    passwords = options.globals is True and _may_read_passwords(snapshot)
    if options.pg_format != "parallel" or options.schema_only:
        return DumpPlan(parts=(), sequences=(), passwords=passwords)
    server = snapshot.server
    tables = large_tables(snapshot.tables, threshold=options.large_table_bytes, standby=server.standby)
    tables = within_arguments(snapshot, tables, programs)
    with translate_errors(f"cannot read {snapshot.location.label}"):
        parts = split_tables(
            tables,
            part_size=options.part_size_bytes,
            jobs=request.jobs,
            major=server.major,
            can_select=lambda table: _can_select(snapshot, table),
        )
    return DumpPlan(parts=tuple(parts), sequences=tuple(_read_sequences(snapshot)), passwords=passwords)


def _may_read_passwords(snapshot: Snapshot) -> bool:
    query = "SELECT pg_catalog.has_table_privilege('pg_catalog.pg_authid', 'SELECT')"
    return snapshot.connection.execute(query).fetchone() == (True,)


def _can_select(snapshot: Snapshot, table: Table) -> bool:
    """Whether a SELECT of a table can be planned, as COPY of the table never is.

    The planner looks into the functions of its indexes, and under our empty search_path those of SQL with unqualified
    names cannot be parsed.
    """
    snapshot.connection.execute("SAVEPOINT holdfast_plan")
    try:
        snapshot.connection.execute(f"EXPLAIN SELECT FROM ONLY {table.quoted}")
    except psycopg.Error as error:
        snapshot.connection.execute("ROLLBACK TO SAVEPOINT holdfast_plan")
        log.info("table %s is read in one piece: %s", table.label, error)
        return False
    snapshot.connection.execute("RELEASE SAVEPOINT holdfast_plan")
    return True


def _read_sequences(snapshot: Snapshot) -> list[SequenceState]:
    skip = frozenset(relation.oid for relation in snapshot.relations if not snapshot.takes(relation))
    action = f"cannot read the sequences of {snapshot.location.label}"
    with snapshot.monitor.explain_locks(), translate_errors(action):
        return catalog.sequences(snapshot.connection, skip=skip, unlogged=not snapshot.server.standby)
