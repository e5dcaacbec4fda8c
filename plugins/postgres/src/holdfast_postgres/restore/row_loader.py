"""Rows of large tables and values of sequences, loaded through libpq."""

from collections.abc import Collection

from holdfast.api import Blob, quote_name
from holdfast_postgres.hints import LargeTableHint
from holdfast_postgres.restore.run import RestoreRun
from holdfast_postgres.session import literal, quoted, settings

_BATCH = 500  # statements sent at once


def load_rows(run: RestoreRun, table: LargeTableHint, blob: Blob) -> None:
    """Load one part of a table by one COPY, which the server takes whole or not at all."""
    action = f"cannot load rows into {quote_name(f'{table.schema}.{table.table}')}"
    with run.translated(action), run.connected() as connection:
        connection.execute(settings(run.server.major, encoding=run.hints.database.encoding))
        connection.execute("SET synchronous_commit TO off")
        if run.disables_triggers:
            connection.execute("SET session_replication_role TO replica")
        with connection.cursor().copy(table.copy_in) as copy:
            for chunk in blob.chunks():
                copy.write(chunk)


def load_sequences(run: RestoreRun, blob: Blob, *, names: Collection[tuple[str, str]] | None) -> None:
    """Set sequences to their values: all, or those of these schemas and names."""
    lines = b"".join(bytes(chunk) for chunk in blob.chunks()).decode().splitlines(keepends=True)
    if names is not None:
        literals = {literal(quoted(schema, name)) for schema, name in names}
        lines = [line for line in lines if _sequence_literal(line) in literals]
    with run.translated("cannot set the sequences"), run.connected() as connection:
        connection.execute(settings(run.server.major))
        for start in range(0, len(lines), _BATCH):
            connection.execute("".join(lines[start : start + _BATCH]))


def _sequence_literal(line: str) -> str:
    """The literal that names the sequence in a statement that a dump wrote."""
    return line.removeprefix("SELECT pg_catalog.setval(").rpartition(", ")[0].rpartition(", ")[0]
