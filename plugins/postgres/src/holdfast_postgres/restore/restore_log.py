"""The log of pg_restore and psql, its messages classified as harmless, degraded or fatal.

pg_restore ends with exit code 1 for both a missing comment and a missing table: only its messages tell.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from holdfast.api import HoldfastError
from holdfast_postgres.errors import restore_error, state_of
from holdfast_postgres.formats.definition_changes import begins_with_path
from holdfast_postgres.formats.script import OPENING_LINES
from holdfast_postgres.restore.failed_statement import OWNER, FailedStatement

# Several workers write to one stderr, each its prefix and its message apart: "pg_restore: error: pg_restore:could not".
_ERROR = re.compile(
    r"((\s*pg_restore:)*\s*error:(\s*(pg_restore|error):)*\s*|(?=could not execute query: ))(?P<text>.*)"
)
_ENTRY = re.compile(r"pg_restore: from TOC entry (?P<id>\d+); \d+ \d+ (?P<what>.*)")
_COMMAND = re.compile(r"(?:Command was: |psql:[^:]*:\d+: STATEMENT:\s+)(?P<command>.*)")
# psql's own errors are in small letters: of its commands, which no script may hold.
# The severity is in the language of the server, the SQLSTATE that psql adds is not.
_SCRIPT_ERROR = re.compile(
    r"psql:[^:]*:(?P<line>\d+): ((?P<own>error): |(ERROR|FATAL|PANIC|\w+(?=:\s+(?!0[01])[0-9A-Z]{5}: )):\s+"
    r"((?P<state>[0-9A-Z]{5}): )?)(?P<text>.*)"
)
_SERVER = re.compile(
    r"(could not execute query|COPY failed for table \"(?P<table>.*?)\"): (?P<severity>\w+):\s+(?P<text>.*)"
)
_ROWS = re.compile(r'COPY failed for table "(?P<table>.*)": ')
_WARNING = re.compile(r"(?:psql:[^:]*:\d+: )?WARNING:\s+(?:\d\w{4}: )?(?P<text>.*)")
_SCHEMA = re.compile(r'CREATE SCHEMA (?:"((?:[^"]|"")+)"|([^\s";]+));')
_MOST_MESSAGES = 200

# The content is there; who owns it, who may use it or what is said about it is not.
_SECONDARY = re.compile(
    r"ALTER .* OWNER TO |GRANT |REVOKE |ALTER DEFAULT PRIVILEGES |COMMENT ON |SECURITY LABEL "
    r"|SET SESSION AUTHORIZATION |SET default_tablespace|SET default_table_access_method|ALTER DATABASE ",
    re.IGNORECASE,
)
# What acts on its own and takes a superuser to make.
_LATE = re.compile(r"REFRESH MATERIALIZED VIEW |(CREATE|ALTER) STATISTICS ", re.IGNORECASE)  # computed anew from rows
_AUTONOMOUS = re.compile(r"(CREATE|ALTER) (PUBLICATION|SUBSCRIPTION|EVENT TRIGGER) ", re.IGNORECASE)
# What is said of an object that was itself refused, and may be made at a second attempt.
_ABOUT_OBJECTS = re.compile(r"COMMENT ON |GRANT |REVOKE |SECURITY LABEL ", re.IGNORECASE)
_OWNER_OR_COMMENT = re.compile(rf"{OWNER.pattern}|COMMENT ON ", re.DOTALL)
_NO_OBJECT = ("42P01", "42883", "3F000")
_NO_OWNED = (*_NO_OBJECT, "42704")  # a type, or what is on a table; or a role: one session tries all of these
_DENIED_STATE = "42501"
_DENIED = re.compile(r"must be (superuser|owner)|permission denied|must have|privilege", re.IGNORECASE)


# What may lead out of a backup of some schemas or tables to something that is not in it.
_LEADING_OUT = re.compile(
    r"ALTER TABLE .* FOREIGN KEY |ALTER (TABLE|INDEX) .* ATTACH PARTITION |ALTER PUBLICATION "
    r"|CREATE (OR REPLACE )?((CONSTRAINT |EVENT )?TRIGGER|(MATERIALIZED )?VIEW|RULE|POLICY|FUNCTION|PROCEDURE|AGGREGATE"
    r"|CAST|OPERATOR) |REFRESH MATERIALIZED VIEW ",
)
_COMMAND_LINES = 20  # of a statement: enough to tell what it is


class Severity(StrEnum):
    """How bad a message is."""

    HARMLESS = "harmless"
    DEGRADED = "degraded"
    FATAL = "fatal"


def classify(command: str, text: str) -> Severity:
    """The severity of an error of the server, by the statement that failed."""
    if re.match(r"SET \w+ = ", command) and "unrecognized configuration parameter" in text:
        return Severity.HARMLESS  # a newer pg_restore switches off a time-out that this server does not have
    if command.startswith("CREATE SCHEMA public;") and "already exists" in text:
        return Severity.HARMLESS
    if re.match(r"COMMENT ON (EXTENSION|SCHEMA public)", command):
        return Severity.HARMLESS  # brought by every new database, and owned by whoever made that
    if _SECONDARY.match(command) or _LATE.match(command):
        return Severity.DEGRADED
    if command.startswith("CREATE USER MAPPING ") and re.match(r"role .* does not exist", text):
        return Severity.DEGRADED  # it holds how a role logs in elsewhere, and there is no such role
    if _AUTONOMOUS.match(command) and _DENIED.search(text):
        return Severity.DEGRADED
    return Severity.FATAL


def _made_schema(command: str) -> str:
    """The name of the schema that a statement makes, or an empty text."""
    match = _SCHEMA.match(command)
    return (match[1].replace('""', '"') if match[1] else match[2]) if match else ""


def _may_be_made(command: str, state: str) -> bool:
    """Whether a second attempt at what is no failure may succeed."""
    if _LATE.match(command):
        return True
    if _OWNER_OR_COMMENT.match(command):
        return state in _NO_OWNED
    return bool(_ABOUT_OBJECTS.match(command)) and state in _NO_OBJECT


@dataclass(kw_only=True)
class Classifier:
    """Reads the log of one pg_restore line by line: the first fatal message is raised, `degraded` are the warnings.

    `judge` makes of an error and its SQLSTATE the one to raise; `takes` tells whether a refusal is kept for later.
    `script` says that it is the log of a psql that goes on after errors and echoes the statement that failed.
    `selected` says that the backup holds a selection, so that what leads out of it cannot be restored, and
    `dispenses_with` which statements it does not need, and `stays` which are about what the target has.
    `schemas` are those that it had. `postpones` says that rows which were refused are no failure yet: `refused` are the
    names of their tables, without schemas. `ends` tells which refusals of late steps are no warning, but the end.
    """

    action: str
    selected: bool = False
    dispenses_with: Callable[[str], bool] = lambda _command: False
    stays: Callable[[str], bool] = lambda _command: False
    schemas: frozenset[str] = frozenset()
    script: bool = False
    judge: Callable[[HoldfastError, str], HoldfastError] = lambda error, _state: error
    takes: Callable[[FailedStatement], bool] = lambda _refusal: False
    postpones: bool = False
    ends: Callable[[FailedStatement], bool] = lambda _refusal: False
    refused: set[str] = field(default_factory=set)
    degraded: list[str] = field(default_factory=list)
    harmless: list[str] = field(default_factory=list)
    _entry: str = ""
    _number: int = 0
    _line: int = 0
    _error: str = ""
    _state: str = ""
    _table: str = ""
    _command: list[str] | None = None

    def line(self, line: str) -> None:
        """Take one line; an error is classified once the statement that failed is complete."""
        if self._command is not None:
            if self._continues_command(line):
                self._command.append(line.strip())
                return
            self.end()
        command = _COMMAND.match(line)
        if command and self._error:
            self._command = [command["command"]]
        elif entry := _ENTRY.match(line):
            self.end()
            self._entry, self._number = entry["what"], int(entry["id"])
        elif error := _ERROR.match(line):
            self.end()
            rows = _ROWS.match(error["text"]) if self.postpones else None
            if rows:
                self.refused.add(rows["table"])
            else:
                self._error = self._server_text(error["text"])
            if self._table:  # no statement follows
                self.end()
        elif self.script and (error := _SCRIPT_ERROR.match(line)):
            self.end()
            if error["own"]:
                raise restore_error(error["text"], self.action)
            self._error, self._state, self._line = error["text"], error["state"] or "", int(error["line"])
        elif warning := _WARNING.match(line):
            self._add(self.degraded, f"warning of the server: {warning['text']}")

    def end(self) -> None:
        """Classify what has come so far."""
        lines = self._command or []
        lines = lines[1:] if begins_with_path(lines) else lines
        text, command, statement = self._error, " ".join(lines), "\n".join(lines)
        state, table = self._state or state_of(text), self._table
        self._error, self._state, self._table, self._command = "", "", "", None
        if not text:
            return
        severity = self._severity(command, text, state)
        # With several jobs pg_restore does not name the entry, and the statement has to do.
        about = f'COPY failed for table "{table}"' if table else self._entry or " ".join(command.split()[:12])
        refusal = FailedStatement(
            about=about,
            text=" ".join(text.split()),
            state=state,
            command=statement,
            table=table,
            entry=self._number,
            line=self._line - OPENING_LINES if self.script else 0,
            severe=severity is Severity.FATAL,
        )
        may_be_made = severity is Severity.DEGRADED and _may_be_made(command, state)
        if (refusal.severe or may_be_made) and self.takes(refusal):
            return
        if severity is Severity.FATAL or self.ends(refusal):
            error = restore_error(f"{about}: {text}" if about else text, self.action, state=state)
            # The server runs a script of its own for an extension: what fails there is not the backup.
            raise error if command.startswith("CREATE EXTENSION ") else self.judge(error, state)
        messages = self.degraded if severity is Severity.DEGRADED and not self.stays(command) else self.harmless
        self._add(messages, f"not restored: {refusal.failure() if command else refusal}")

    def _severity(self, command: str, text: str, state: str) -> Severity:
        if _made_schema(command) in self.schemas and (text.endswith("already exists") or state == _DENIED_STATE):
            return Severity.HARMLESS  # whether it is there, the server asks only where it may be made
        leads_out = self.selected and _LEADING_OUT.match(command) and "does not exist" in text
        says_nothing = FailedStatement(about="", text=text, state=state).ends
        if leads_out or (self.dispenses_with(command) and not says_nothing):
            return Severity.DEGRADED
        return classify(command, text)

    def _continues_command(self, line: str) -> bool:
        if not line or line.startswith(("pg_restore:", "psql:")) or _ERROR.match(line):
            return False
        return self._command is not None and len(self._command) < _COMMAND_LINES

    def _server_text(self, text: str) -> str:
        """The server's own words in an error of pg_restore; an error that is not the server's is fatal."""
        server = _SERVER.match(text)
        if not server:
            raise restore_error(text, self.action)
        self._table = server["table"] or ""
        return server["text"]

    def _add(self, messages: list[str], text: str) -> None:
        if len(messages) < _MOST_MESSAGES:
            messages.append(" ".join(text.split()))
        elif len(messages) == _MOST_MESSAGES:
            messages.append("further messages are not shown")
