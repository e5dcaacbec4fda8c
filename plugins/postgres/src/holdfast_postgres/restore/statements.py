"""Statements of a script that the server refused, run again one by one: with a search_path, or as NOT VALID."""

import re
from collections.abc import Sequence
from dataclasses import replace

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.errors import server_error, translate_errors
from holdfast_postgres.restore.failed_statement import BROKEN_BY_ROWS, FailedStatement, not_valid
from holdfast_postgres.restore.run import RestoreRun
from holdfast_postgres.restore.search_path import second_path, set_path

# psql's log tells neither how a line was indented, which matters within literals of several lines, nor, beyond some
# lines, how a statement ends.
_WHOLE = re.compile(r"(?:[^'$]|'[^'\n]*')*;\s*")
_CONSTRAINT = re.compile(r"ALTER (TABLE|DOMAIN)\s.*\sADD CONSTRAINT ", re.DOTALL)


def run_again(run: RestoreRun, refusals: Sequence[FailedStatement], action: str) -> None:
    """Run them again, where the log tells them whole; what fails for good is raised, or listed where it goes on."""
    if not refusals:
        return
    made = []
    with run.connected() as connection:
        with translate_errors(action):
            connection.execute(set_path(second_path(run, connection)))
        for refusal in refusals:
            failure, text = refusal.failure(), refusal.text
            # What says whom an object belongs to is a statement of one line.
            whole = refusal.sets_owner or bool(_WHOLE.fullmatch(refusal.command))
            whole = whole and not refusal.command.startswith("COPY ")
            if whole and run.tries_again(refusal):
                text = _refused(connection, refusal.command, action)
                if not text:
                    made += [] if refusal.sets_owner else [f"{failure.kind} {failure.name}"]
                    continue
            if whole and run.continues and refusal.state in BROKEN_BY_ROWS and _CONSTRAINT.match(refusal.command):
                statement = f"{refusal.command.strip().rstrip(';')} NOT VALID"
                failure = failure if _refused(connection, statement, action) else not_valid(failure)
            if refusal.severe:
                run.fail(failure, action)
            else:
                run.warn([f"not restored: {replace(refusal, text=text).failure()}"])
    run.found_by_path(made)


def _refused(connection: "Connection[TupleRow]", statement: str, action: str) -> str:
    """What the server says of a statement that it refuses; empty where it does not."""
    try:
        connection.execute(statement.encode())
    except psycopg.Error as error:
        if connection.closed:
            raise server_error(error, action) from error
        return " ".join(str(error.diag.message_primary or error).split())
    return ""
