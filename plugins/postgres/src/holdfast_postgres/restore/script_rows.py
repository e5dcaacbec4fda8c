"""The rows of a script, loaded by a COPY of our own: what the server refuses is refused before it gets any of them.

psql would go on with the rows of a COPY that was refused as if they were statements.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from typing import Self

import psycopg
from psycopg import Connection
from psycopg.errors import Diagnostic
from psycopg.rows import TupleRow

from holdfast.api import HoldfastError
from holdfast_postgres.encodings import decode
from holdfast_postgres.errors import RESTORE_DENIED, restore_error, server_error
from holdfast_postgres.formats.script_pieces import Rows
from holdfast_postgres.location import Location
from holdfast_postgres.restore.failed_statement import FailedStatement
from holdfast_postgres.restore.run import RestoreRun
from holdfast_postgres.restore.script_feed import SectionRows


class RowsOfScript:
    """Loads rows one COPY after the other, in one session until `close`."""

    def __init__(self, run: RestoreRun, location: Location | None, takes: Callable[[FailedStatement], bool]) -> None:
        self._run = run
        self._location = location
        self._takes = takes
        self._action = f"cannot restore into {run.target.into.label}"
        self._stack = ExitStack()
        self._connection: Connection[TupleRow] | None = None
        self._applied: dict[bytes, bytes] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """End the session; the next rows begin another."""
        self._stack.close()
        self._connection = None
        self._applied = {}

    def load(self, rows: SectionRows) -> None:
        """Load some rows; what is refused and not kept for a second attempt is raised."""
        if rows.rows.in_transaction:
            raise HoldfastError(
                f"{self._action}: the script loads rows in a transaction of its own, which is not supported",
                hint="take BEGIN and COMMIT out of it, or restore it by psql --set=ON_ERROR_STOP=1",
            )
        connection = self._connection or self._connect()
        try:
            self._set(connection, rows)
            _copy(connection, rows.rows)
        except psycopg.Error as error:
            if connection.closed:
                raise server_error(error, self._action, denied=RESTORE_DENIED) from error
            self._refused(rows, error)

    def _connect(self) -> "Connection[TupleRow]":
        connection = self._stack.enter_context(self._run.connected(self._location or self._run.client_location))
        connection.add_notice_handler(self._notice)
        self._connection = connection
        return connection

    def _set(self, connection: "Connection[TupleRow]", rows: SectionRows) -> None:
        """Give the session what the script has set; psql has told what the server refuses of it."""
        for name, statement in rows.settings.items():
            if self._applied.get(name) != statement:
                self._applied[name] = statement
                try:
                    connection.execute(statement)
                except psycopg.Error:
                    if connection.closed:
                        raise

    def _refused(self, rows: SectionRows, error: psycopg.Error) -> None:
        state, text = error.sqlstate or "", " ".join((error.diag.message_primary or str(error)).split())
        command = decode(rows.rows.statement, self._run.hints.database.encoding)
        refusal = FailedStatement(
            about="rows", text=text, state=state, command=command, entry=rows.number, line=rows.line
        )
        failure = refusal.failure()
        refusal = replace(refusal, about=f"{failure.kind} {failure.name}", table=failure.name)
        if not self._takes(refusal):
            raise self._run.judge(restore_error(str(refusal), self._action, state=state), state) from error

    def _notice(self, notice: Diagnostic) -> None:
        if notice.severity_nonlocalized == "WARNING":
            self._run.warn([f"warning of the server: {notice.message_primary}"])


def _copy(connection: "Connection[TupleRow]", rows: Rows) -> None:
    with connection.cursor().copy(rows.statement) as copy:
        for chunk in rows.chunks:
            copy.write(chunk)
