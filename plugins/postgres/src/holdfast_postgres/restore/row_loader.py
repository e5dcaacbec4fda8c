"""Rows of large tables and values of sequences, loaded through libpq."""

import re
from collections.abc import Collection

import psycopg

from holdfast.api import Blob, quote_name
from holdfast_postgres.encodings import decode, encode
from holdfast_postgres.hints import LargeTableHint
from holdfast_postgres.restore.run import RestoreRun, RowsRefusedError
from holdfast_postgres.session import literal, quoted, settings

_BATCH = 500  # statements sent at once
_STATEMENT = re.compile(r".*?, (?:true|false)\);\n", re.DOTALL)  # a name may hold line breaks


def load_rows(run: RestoreRun, table: LargeTableHint, blob: Blob, *, postpones: bool = False) -> None:
    """Load one part of a table by one COPY, which the server takes whole or not at all.

    With `postpones` what a constraint refuses raises `RowsRefusedError`.
    """
    action = f"cannot load rows into {quote_name(f'{table.schema}.{table.table}')}"
    with run.translated(action), run.connected() as connection:
        connection.execute(settings(run.server.major, encoding=run.hints.database.encoding, money=run.hints.money))
        connection.execute("SET synchronous_commit TO off")
        if run.disables_triggers:
            connection.execute("SET session_replication_role TO replica")
        try:
            with connection.cursor().copy(encode(table.copy_in, run.hints.database.encoding)) as copy:
                for chunk in blob.chunks():
                    copy.write(chunk)
        except psycopg.IntegrityError as error:
            if not postpones:
                raise
            raise RowsRefusedError(action) from error


def load_sequences(run: RestoreRun, blob: Blob, *, names: Collection[tuple[str, str]] | None) -> None:
    """Set sequences to their values: all, or those of these schemas and names."""
    script = b"".join(bytes(chunk) for chunk in blob.chunks())
    # The first line says its encoding, since 0.2.0; before that it was UTF-8.
    encoding = run.hints.database.encoding if script.startswith(b"SET client_encoding") else "UTF8"
    text = decode(script, encoding)
    statements = _STATEMENT.findall(text, text.index("SELECT ") if "SELECT " in text else len(text))
    if names is not None:
        literals = {literal(quoted(schema, name)) for schema, name in names}
        statements = [statement for statement in statements if _sequence_literal(statement) in literals]
    with run.translated("cannot set the sequences"), run.connected() as connection:
        connection.execute(settings(run.server.major, encoding=encoding))
        for start in range(0, len(statements), _BATCH):
            connection.execute(encode("".join(statements[start : start + _BATCH]), encoding))


def _sequence_literal(statement: str) -> str:
    """The literal that names the sequence in a statement that a dump wrote."""
    return statement.removeprefix("SELECT pg_catalog.setval(").rpartition(", ")[0].rpartition(", ")[0]
