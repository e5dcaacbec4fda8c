"""What pg_restore and psql say while they restore, sorted into harmless, degraded and fatal.

pg_restore ends with exit code 1 for both a missing comment and a missing table: only its messages tell.
"""

import re
from dataclasses import dataclass, field
from enum import StrEnum

from holdfast_postgres.errors import restore_error

# Several workers write to one stderr, each its prefix and its message apart: "pg_restore: error: pg_restore:could not".
_ERROR = re.compile(
    r"((\s*pg_restore:)*\s*error:(\s*(pg_restore|error):)*\s*|(?=could not execute query: ))(?P<text>.*)"
)
_ENTRY = re.compile(r"pg_restore: from TOC entry (?P<id>\d+); \d+ \d+ (?P<what>.*)")
_COMMAND = re.compile(r"(?:Command was: |psql:[^:]*:\d+: STATEMENT:\s+)(?P<command>.*)")
# psql's own errors are in small letters: of its commands, which no script may hold.
_SCRIPT_ERROR = re.compile(r"psql:[^:]*:\d+: ((?P<own>error): |(ERROR|FATAL|PANIC):\s+([0-9A-Z]{5}: )?)(?P<text>.*)")
_SERVER = re.compile(r"could not execute query: \w+:\s+(?P<text>.*)")
_WARNING = re.compile(r"(?:psql:[^:]*:\d+: )?WARNING:\s+(?:\d\w{4}: )?(?P<text>.*)")
_NOTED = 200

# The content is there; who owns it, who may use it or what is said about it is not.
_ASIDE = re.compile(
    r"ALTER .* OWNER TO |GRANT |REVOKE |ALTER DEFAULT PRIVILEGES |COMMENT ON |SECURITY LABEL "
    r"|SET SESSION AUTHORIZATION |SET default_tablespace|SET default_table_access_method|ALTER DATABASE ",
    re.IGNORECASE,
)
# What acts by itself and takes a superuser to make.
_ACTING = re.compile(r"(CREATE|ALTER) (PUBLICATION|SUBSCRIPTION|EVENT TRIGGER) ", re.IGNORECASE)
_FORBIDDEN = re.compile(r"must be (superuser|owner)|permission denied|must have|privilege", re.IGNORECASE)


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
    """Judge an error of the server by the statement that failed."""
    if re.match(r"SET \w+ = ", command) and "unrecognized configuration parameter" in text:
        return Severity.HARMLESS  # a newer pg_restore switches off a time-out that this server does not have
    if command.startswith("CREATE SCHEMA public;") and "already exists" in text:
        return Severity.HARMLESS
    if re.match(r"COMMENT ON (EXTENSION|SCHEMA public)", command):
        return Severity.HARMLESS  # brought by every new database, and owned by whoever made that
    if _ASIDE.match(command):
        return Severity.DEGRADED
    if _ACTING.match(command) and _FORBIDDEN.search(text):
        return Severity.DEGRADED
    return Severity.FATAL


@dataclass(kw_only=True)
class Classifier:
    """Listens to one pg_restore; `degraded` is what the user has to know, the first fatal message is raised.

    `script` says that it is a psql that goes on after errors and echoes what failed.
    `selected` says that the backup holds a selection, so that what leads out of it cannot be restored.
    """

    doing: str
    selected: bool = False
    script: bool = False
    degraded: list[str] = field(default_factory=list)
    harmless: list[str] = field(default_factory=list)
    _entry: str = ""
    _text: str = ""
    _command: list[str] | None = None

    def line(self, line: str) -> None:
        """Take one line of its talk; an error is judged once the statement that failed has come."""
        if self._command is not None:
            goes_on = line and not line.startswith(("pg_restore:", "psql:")) and not _ERROR.match(line)
            if goes_on and len(self._command) < _COMMAND_LINES:
                self._command.append(line.strip())
                return
            self.end()
        command, entry, error = _COMMAND.match(line), _ENTRY.match(line), _ERROR.match(line)
        if command and self._text:
            self._command = [command["command"]]
            return
        failed = _SCRIPT_ERROR.match(line) if self.script else None
        if entry or error or failed:
            self.end()
        if entry:
            self._entry = entry["what"]
        elif error:
            server = _SERVER.match(error["text"])
            if not server:
                raise restore_error(error["text"], self.doing)
            self._text = server["text"]
        elif failed:
            if failed["own"]:
                raise restore_error(failed["text"], self.doing)
            self._text = failed["text"]
        elif warning := _WARNING.match(line):
            self._note(self.degraded, f"the server warned: {warning['text']}")

    def end(self) -> None:
        """Judge what has come so far."""
        text, command = self._text, " ".join(self._command or [])
        self._text, self._command = "", None
        if not text:
            return
        weight = classify(command, text)
        if self.selected and _LEADING_OUT.match(command) and "does not exist" in text:
            weight = Severity.DEGRADED
        # With several jobs pg_restore does not name the entry, and the statement has to do.
        about = self._entry or " ".join(command.split()[:12])
        if weight is Severity.FATAL:
            raise restore_error(f"{about}: {text}" if about else text, self.doing)
        self._note(self.degraded if weight is Severity.DEGRADED else self.harmless, f"not restored: {about}: {text}")

    def _note(self, kept: list[str], text: str) -> None:
        if len(kept) < _NOTED:
            kept.append(" ".join(text.split()))
        elif len(kept) == _NOTED:
            kept.append("further messages are not shown")
