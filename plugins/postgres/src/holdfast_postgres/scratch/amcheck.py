"""Integrity of a restored database: valid indexes, and tables and B-trees by amcheck where the server has it.

Manual: "amcheck" in the appendix on additional supplied modules.
"""

import logging
from collections.abc import Sequence

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.catalog import first_column
from holdfast_postgres.parallel import in_batches
from holdfast_postgres.session import Server, quoted, releasing_locks

log = logging.getLogger("holdfast.postgres.scratch")

Object = tuple[int, str]  # its OID and name

# A partitioned index is not valid as long as one partition has none: that is how the source may be, too.
_INVALID = """
SELECT c.oid::regclass::text FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
WHERE NOT i.indisvalid AND c.relkind = 'i' ORDER BY 1
"""
# Not those of the catalogs, of which the server of the drill has made its own: they tell nothing of the backup.
_BTREES = """
SELECT c.oid::int8, c.oid::regclass::text FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
JOIN pg_catalog.pg_am a ON a.oid = c.relam
WHERE a.amname = 'btree' AND i.indisvalid AND c.relkind = 'i' AND c.relpersistence <> 't'
    AND (c.oid >= 16384 OR i.indrelid = 'pg_catalog.pg_largeobject'::regclass) ORDER BY 2
"""
_HEAPS = """
SELECT c.oid::int8, c.oid::regclass::text FROM pg_catalog.pg_class c JOIN pg_catalog.pg_am a ON a.oid = c.relam
WHERE a.amname = 'heap' AND c.relkind IN ('r', 'm', 't') AND c.relpersistence <> 't' AND c.oid >= 16384 ORDER BY 2
"""
_EVENT_TRIGGERS = "SELECT evtname FROM pg_catalog.pg_event_trigger WHERE evtenabled <> 'D'"
_HEAPS_SINCE = 14
_LIMIT = 10


def integrity_problems(connection: "Connection[TupleRow]", server: Server) -> tuple[list[str], list[str]]:
    """What is damaged, and what could not be checked, for messages; the transaction is rolled back."""
    unchecked: list[str] = []
    problems = [f"index {name} is not valid" for name in first_column(connection, _INVALID)]
    if _create_amcheck(connection, unchecked):
        problems += _check_indexes(connection, unchecked)
        problems += _check_heaps(connection, server)
        connection.execute("ROLLBACK")  # with it goes the extension
    return problems, unchecked


def _create_amcheck(connection: "Connection[TupleRow]", unchecked: list[str]) -> bool:
    """Whether amcheck can be used; it is made inside the transaction, which is rolled back after the check."""
    if not first_column(connection, "SELECT name FROM pg_catalog.pg_available_extensions WHERE name = 'amcheck'"):
        log.info("the server has no amcheck: only the validity of indexes is checked")
        return False
    connection.execute("SAVEPOINT amcheck")
    try:
        for trigger in first_column(connection, _EVENT_TRIGGERS):  # of the backup: they may forbid what we do
            connection.execute(f"ALTER EVENT TRIGGER {quoted(trigger)} DISABLE")
        connection.execute("CREATE SCHEMA holdfast_amcheck")
        connection.execute("CREATE EXTENSION IF NOT EXISTS amcheck SCHEMA holdfast_amcheck")
    except psycopg.errors.InsufficientPrivilege:
        connection.execute("ROLLBACK TO SAVEPOINT amcheck")
        log.info("the role may not use amcheck: only the validity of indexes is checked")
        return False
    except psycopg.Error as error:
        if connection.broken:
            raise
        connection.execute("ROLLBACK TO SAVEPOINT amcheck")  # an event trigger of a server's host, for instance
        unchecked.append(f"not checked with amcheck, which cannot be installed: {error.diag.message_primary}")
        return False
    return True


def _schema(connection: "Connection[TupleRow]") -> str:
    query = """
        SELECT n.nspname FROM pg_catalog.pg_extension e JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace
        WHERE e.extname = 'amcheck'
    """
    return quoted(first_column(connection, query)[0])


def _batches(connection: "Connection[TupleRow]", query: str) -> list[list[Object]]:
    return in_batches([((oid, name), 0) for oid, name in connection.execute(query)])


def _check_indexes(connection: "Connection[TupleRow]", unchecked: list[str]) -> list[str]:
    schema, problems = _schema(connection), []
    for batch in _batches(connection, _BTREES):
        problems += _check_batch(connection, schema, batch, unchecked)
        if len(problems) >= _LIMIT:
            break
    return problems[:_LIMIT]


def _check_batch(
    connection: "Connection[TupleRow]", schema: str, batch: Sequence[Object], unchecked: list[str]
) -> list[str]:
    """Check several indexes by one query, which ends at the first that is damaged: then each alone tells its own."""
    try:
        _check(connection, schema, batch, with_rows=True)
    except psycopg.Error as error:
        if connection.broken:
            raise
        if len(batch) > 1:
            return [problem for index in batch for problem in _check_batch(connection, schema, [index], unchecked)]
        damage = isinstance(error, psycopg.errors.IndexCorrupted | psycopg.errors.DataCorrupted)
        return [_problem(batch[0], error)] if damage else _check_alone(connection, schema, batch[0], error, unchecked)
    return []


def _check_alone(
    connection: "Connection[TupleRow]", schema: str, index: Object, reason: psycopg.Error, unchecked: list[str]
) -> list[str]:
    """Check an index without its table: its expressions cannot be computed here, by a function of unqualified names."""
    unchecked.append(f"not known whether index {index[1]} has every row: {reason.diag.message_primary}")
    try:
        _check(connection, schema, [index], with_rows=False)
    except (psycopg.errors.IndexCorrupted, psycopg.errors.DataCorrupted) as error:
        return [_problem(index, error)]
    return []


def _check(connection: "Connection[TupleRow]", schema: str, indexes: Sequence[Object], *, with_rows: bool) -> None:
    query = f"SELECT {schema}.bt_index_check(b.oid::regclass, %s) FROM unnest(%s::oid[]) b(oid)"
    with releasing_locks(connection):
        connection.execute(query, (with_rows, [oid for oid, _ in indexes]))


def _problem(index: Object, error: psycopg.Error) -> str:
    return f"index {index[1]}: {error.diag.message_primary}"


def _check_heaps(connection: "Connection[TupleRow]", server: Server) -> list[str]:
    problems: list[str] = []
    if server.major < _HEAPS_SINCE:
        return problems
    query = f"""
        SELECT b.oid::regclass::text, v.blkno, v.offnum, v.msg
        FROM unnest(%s::oid[]) b(oid), LATERAL {_schema(connection)}.verify_heapam(b.oid::regclass) v LIMIT {_LIMIT}
    """
    for batch in _batches(connection, _HEAPS):
        with releasing_locks(connection):
            problems += [
                f"table {name}, block {block}, row {row}: {text}"
                for name, block, row, text in connection.execute(query, ([oid for oid, _ in batch],))
            ]
        if len(problems) >= _LIMIT:
            break
    return problems
