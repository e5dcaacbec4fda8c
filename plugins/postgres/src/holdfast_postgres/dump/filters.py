"""What a dump tells pg_dump to take and to leave out, and the programs that can be told so much."""

from collections.abc import Sequence

from holdfast.api import DumpRequest, PluginError
from holdfast_postgres.catalog import Table
from holdfast_postgres.client.arguments import FILES_SINCE, too_many
from holdfast_postgres.client.programs import Programs, find_programs
from holdfast_postgres.options import PostgresOptions
from holdfast_postgres.selection import Selection
from holdfast_postgres.selection.pg_dump_filters import Filter, relation_filters
from holdfast_postgres.snapshot import Snapshot

_EXTENSIONS_SINCE = 14


def choose_programs(request: DumpRequest, snapshot: Snapshot) -> Programs:
    """The programs for this server, newer ones where a selection is too much for the arguments of an older pg_dump."""
    server = snapshot.server
    parameters = snapshot.location.parameters
    programs = find_programs(server.major, why=f"a server of version {server.version}", parameters=parameters)
    if programs.major >= FILES_SINCE:
        return programs
    if not too_many(selection_filters(request, snapshot, programs), server.encoding):
        return programs
    try:
        return find_programs(FILES_SINCE, why="a selection of so many names")
    except PluginError:
        return programs  # which says what to do when it is started


def selection_filters(request: DumpRequest, snapshot: Snapshot, programs: Programs) -> list[Filter]:
    """Those of the selection, none without one."""
    if snapshot.scope is None:
        return []
    options: PostgresOptions = request.options
    return snapshot.scope.filters(
        snapshot.schemas,
        snapshot.relations,
        Selection(select=request.select, exclude=request.exclude),
        extensions=programs.major >= _EXTENSIONS_SINCE and not options.data_only,
    )


def row_filters(snapshot: Snapshot, tables: Sequence[Table]) -> list[Filter]:
    """Those that leave out the rows of these tables."""
    known = {(table.schema, table.name) for table in tables}
    others = {(relation.schema, relation.name) for relation in snapshot.relations} - known
    return relation_filters("table_data", known, others)


def within_arguments(snapshot: Snapshot, tables: list[Table], programs: Programs) -> list[Table]:
    """As many of the tables, the largest, as the arguments of pg_dump have room for: it reads the others itself."""
    while programs.major < FILES_SINCE and too_many(row_filters(snapshot, tables), snapshot.server.encoding):
        largest = {table.oid for table in sorted(tables, key=lambda table: -table.size)[: len(tables) // 2]}
        tables = [table for table in tables if table.oid in largest]
    return tables
