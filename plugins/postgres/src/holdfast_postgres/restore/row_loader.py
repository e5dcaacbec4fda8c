"""Rows of large tables and values of sequences, loaded through libpq."""

import re
from collections.abc import Collection, Sequence
from contextlib import suppress

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import Blob, Failure, quote_name
from holdfast_postgres.encodings import decode, encode
from holdfast_postgres.hints import LargeTableHint
from holdfast_postgres.restore.failed_statement import BROKEN_BY_ROWS, FailedStatement, not_valid
from holdfast_postgres.restore.moved_rows import partitioned
from holdfast_postgres.restore.not_valid import RelaxedChecks
from holdfast_postgres.restore.run import RestoreRun, RowsRefusedError
from holdfast_postgres.restore.search_path import second_path, set_path
from holdfast_postgres.session import literal, quoted, settings

_BATCH = 500  # statements sent at once
_STATEMENT = re.compile(r".*?, (?:true|false)\);\n", re.DOTALL)  # a name may hold line breaks


def load_rows(run: RestoreRun, table: LargeTableHint, blob: Blob) -> None:
    """Load one part of a table by one COPY, which the server takes whole or not at all.

    Columns that a function computes may depend on the search_path that was asked for. What may come in later, or must
    not end the restore, raises `RowsRefusedError`.
    """
    action = _action(table)
    with run.translated(action), run.connected() as connection:
        try:
            _copy(run, connection, table, blob, path=run.options.search_path)
        except psycopg.Error as error:
            refused = isinstance(error, psycopg.IntegrityError) or run.keeps(_refusal(table, error))
            if not refused or connection.closed:
                raise
            raise RowsRefusedError(action) from error


def load_refused_rows(run: RestoreRun, table: LargeTableHint, blob: Blob) -> None:
    """Load a part that was refused although all others are there: with a search_path, and without CHECKs it breaks."""
    action, label = _action(table), f"{table.schema}.{table.table}"
    with run.translated(action), run.connected() as owner, run.connected() as connection:
        path = second_path(run, connection, table.schema)
        checks = RelaxedChecks(owner, table.schema, table.table)
        failure: Failure | None = None
        while True:
            try:
                _copy(run, connection, table, blob, path=path)
            except psycopg.Error as error:
                if connection.closed:
                    raise
                refusal = _refusal(table, error)
                failure = failure or Failure(kind="rows of table", name=label, code=refusal.state, message=refusal.text)
                if not (run.continues and refusal.state in BROKEN_BY_ROWS and checks.relax(refusal.text)):
                    break
            else:
                if failure is None:
                    run.found_by_path([f"rows of table {label}"])
                else:
                    failure = not_valid(failure, ", ".join(checks.names))
                break
        before = _refused_without_path(run, connection, table, blob) if failure else None
        checks.restore()
    if failure is not None:
        run.fail(failure, action, before=before)


def _refused_without_path(
    run: RestoreRun, connection: "Connection[TupleRow]", table: LargeTableHint, blob: Blob
) -> Failure | None:
    """What the server refuses of a part without a search_path, where that is a name that it does not find."""
    with suppress(psycopg.errors.CheckViolation, psycopg.DataError), connection.transaction(force_rollback=True):
        try:
            _copy(run, connection, table, blob)
        except psycopg.ProgrammingError as error:
            refusal = _refusal(table, error)
            label = f"{table.schema}.{table.table}"
            return Failure(kind="rows of table", name=label, code=refusal.state, message=refusal.text)
    return None


def _action(table: LargeTableHint) -> str:
    return f"cannot load rows into {quote_name(f'{table.schema}.{table.table}')}"


def _refusal(table: LargeTableHint, error: psycopg.Error) -> FailedStatement:
    text = " ".join((error.diag.message_primary or str(error)).split())
    return FailedStatement(about=f"rows of {table.table}", text=text, state=error.sqlstate or "", table=table.table)


def _copy(
    run: RestoreRun, connection: "Connection[TupleRow]", table: LargeTableHint, blob: Blob, *, path: str = ""
) -> None:
    connection.execute(settings(run.server.major, encoding=run.hints.database.encoding, money=run.hints.money))
    connection.execute("SET synchronous_commit TO off")
    if path:
        connection.execute(set_path(path))
    if run.disables_triggers:
        connection.execute("SET session_replication_role TO replica")
    try:
        _copy_into(run, connection, table, blob, None)
    except psycopg.errors.CheckViolation as error:
        root = None if error.diag.constraint_name else partitioned(connection, table.schema, table.table)
        if root is None:
            raise
        # Enums hash otherwise in every database, text sorts otherwise under other collations: the server finds the
        # partition of each row.
        _copy_into(run, connection, table, blob, root)


def _copy_into(
    run: RestoreRun, connection: "Connection[TupleRow]", table: LargeTableHint, blob: Blob, into: tuple[str, str] | None
) -> None:
    with connection.cursor().copy(encode(table.copy_in(into), run.hints.database.encoding)) as copy:
        for chunk in blob.chunks():
            copy.write(chunk)


def load_sequences(
    run: RestoreRun, blob: Blob, *, names: Collection[tuple[str, str]] | None, without: Collection[tuple[str, str]]
) -> None:
    """Set sequences to their values: all, or those of these schemas and names, `without` some."""
    script = b"".join(bytes(chunk) for chunk in blob.chunks())
    # The first line says its encoding, since 0.2.0; before that it was UTF-8.
    encoding = run.hints.database.encoding if script.startswith(b"SET client_encoding") else "UTF8"
    text = decode(script, encoding)
    statements = _STATEMENT.findall(text, text.index("SELECT ") if "SELECT " in text else len(text))
    left = _literals(without)
    wanted = None if names is None else _literals(names)
    statements = [
        statement
        for statement in statements
        if (name := _sequence_literal(statement)) not in left and (wanted is None or name in wanted)
    ]
    with run.translated("cannot set the sequences"), run.connected() as connection:
        connection.execute(settings(run.server.major, encoding=encoding))
        for start in range(0, len(statements), _BATCH):
            _set(run, connection, statements[start : start + _BATCH], encoding)


def _set(run: RestoreRun, connection: "Connection[TupleRow]", statements: Sequence[str], encoding: str) -> None:
    """Set some sequences at once, and one by one where some of them could not be made and the restore goes on."""
    try:
        connection.execute(encode("".join(statements), encoding))
    except psycopg.Error as error:
        if connection.closed or not run.continues:
            raise
        if len(statements) > 1:
            for statement in statements:
                _set(run, connection, [statement], encoding)
            return
        text = " ".join((error.diag.message_primary or str(error)).split())
        name = _sequence_literal(statements[0]).strip("'")
        failure = Failure(kind="value of sequence", name=name, code=error.sqlstate or "", message=text)
        run.fail(failure, "cannot set the sequences")


def _literals(names: Collection[tuple[str, str]]) -> set[str]:
    return {literal(quoted(schema, name)) for schema, name in names}


def _sequence_literal(statement: str) -> str:
    """The literal that names the sequence in a statement that a dump wrote."""
    return statement.removeprefix("SELECT pg_catalog.setval(").rpartition(", ")[0].rpartition(", ")[0]
