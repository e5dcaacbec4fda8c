"""Statements of a script that the server refused, run again one by one: with a search_path, or as NOT VALID."""

import re
from collections.abc import Sequence

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.errors import server_error, translate_errors
from holdfast_postgres.restore.failed_statement import BROKEN_BY_ROWS, FailedStatement, not_valid
from holdfast_postgres.restore.run import RestoreRun
from holdfast_postgres.restore.search_path import second_path, set_path

# psql's log tells neither how a line was indented nor, beyond some lines, how a statement ends.
_WHOLE = re.compile(r"[^'$]*;\s*")
_CONSTRAINT = re.compile(r"ALTER (TABLE|DOMAIN)\s.*\sADD CONSTRAINT ", re.DOTALL)


def run_again(run: RestoreRun, refusals: Sequence[FailedStatement], action: str) -> None:
    """Run them again, where the log tells them whole; what fails for good is raised, or listed where it goes on."""
    if not refusals:
        return
    made = []
    with run.connected() as connection:
        with translate_errors(action):
            connection.execute(set_path(second_path(connection, run.options.search_path)))
        for refusal in refusals:
            failure = refusal.failure()
            whole = bool(_WHOLE.fullmatch(refusal.command)) and not refusal.command.startswith("COPY ")
            if whole and run.tries_again(refusal) and _succeeds(connection, refusal.command, action):
                made.append(f"{failure.kind} {failure.name}")
                continue
            if whole and run.continues and refusal.state in BROKEN_BY_ROWS and _CONSTRAINT.match(refusal.command):
                statement = f"{refusal.command.strip().rstrip(';')} NOT VALID"
                failure = not_valid(failure) if _succeeds(connection, statement, action) else failure
            if refusal.severe:
                run.fail(failure, action)
            else:
                run.warn([f"not restored: {refusal}"])
    run.found_by_path(made)


def _succeeds(connection: "Connection[TupleRow]", statement: str, action: str) -> bool:
    try:
        connection.execute(statement.encode())
    except psycopg.Error as error:
        if connection.closed:
            raise server_error(error, action) from error
        return False
    return True
