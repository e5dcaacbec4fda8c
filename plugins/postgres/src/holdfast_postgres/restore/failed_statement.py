"""What the server refused in a restore: which of it may be tried again, and what it is called for the user."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from holdfast.api import Failure
from holdfast_postgres.formats.archive import Entry
from holdfast_postgres.restore.statement_objects import EXTENSION, object_of
from holdfast_postgres.selection.archive_entries import RELATIONS, is_part_of

__all__ = [
    "BROKEN_BY_ROWS",
    "CHECK_VIOLATION",
    "EXTENSION",
    "FOREIGN_KEY_VIOLATION",
    "OWNER",
    "REFRESH",
    "ROWS",
    "FailedStatement",
    "failure_of",
    "not_valid",
    "refusal_of",
]

FOREIGN_KEY_VIOLATION = "23503"
CHECK_VIOLATION = "23514"  # of the bounds of a partition, too
BROKEN_BY_ROWS = (FOREIGN_KEY_VIOLATION, CHECK_VIOLATION)  # foreign keys and CHECKs, which can be made NOT VALID
ROWS, REFRESH = "TABLE DATA", "MATERIALIZED VIEW DATA"  # the kinds of entries
# Whom an object belongs to: pg_dump gives it no entry of its own.
OWNER = re.compile(r"ALTER .* OWNER TO ", re.DOTALL)
# A name that the source found by its search_path: function, operator, table, type or schema.
_UNDEFINED = frozenset({"42883", "42P01", "42704", "3F000", "42703"})
# What says nothing about an object: a lost or stopped server, a full disk, a lock, another session, a broken target.
_ENDING = (
    "08", "28", "3D", "40", "53", "57P", "58030", "55P03", "55006", "55P02", "XX001", "XX002", "25006",
    "25P03", "25P04",
)  # fmt: skip
_KINDS = {"fk constraint": "foreign key", "table data": "rows of table", "materialized view data": "rows of view"}
_PARTS = {"TRIGGER", "RULE", "POLICY", "FK CONSTRAINT", "CONSTRAINT", "CHECK CONSTRAINT", "DEFAULT"}


@dataclass(frozen=True, kw_only=True)
class FailedStatement:
    """One statement that the server refused; `entry` is the id of its entry in the archive, 0 where that is not known.

    `line` is the one of a script, or of a section of it, in which it ended. `table` is the name of the table whose
    rows were refused, of pg_restore's without its schema. `severe` is what ends a restore that does not go on; all else
    is a warning. `follows` says that others were refused before it, so that it may have been refused for those.
    """

    about: str
    text: str
    state: str = ""
    command: str = ""
    table: str = ""
    entry: int = 0
    line: int = 0
    severe: bool = True
    follows: bool = False

    def __str__(self) -> str:
        return f"{self.about}: {self.text}" if self.about else self.text

    @property
    def is_undefined(self) -> bool:
        """Whether a name was not found, perhaps since the search_path is empty."""
        return self.state in _UNDEFINED

    @property
    def ends(self) -> bool:
        """Whether it says nothing about the object, so that no restore goes on after it."""
        return self.state.startswith(_ENDING)

    @property
    def loses_session(self) -> bool:
        """Whether it was the end of the session, and so of all that should follow in it."""
        return self.state.startswith(("08", "57P"))

    @property
    def sets_owner(self) -> bool:
        """Whether it says whom an object belongs to."""
        return bool(OWNER.match(self.command))

    def is_of(self, entry: Entry, definition: str) -> bool:
        """Whether it may be about this entry, by how its statement begins: with several jobs others are named.

        `definition` is that of the entry on one line.
        """
        if self.table:
            return entry.kind == ROWS and entry.tag == self.table
        begin = " ".join(self.command.removesuffix("...").split())
        return bool(begin) and definition.startswith(begin)

    def failure(self) -> Failure:
        """The same for the user, where no entry is known."""
        if self.table:
            return Failure(kind="rows of table", name=self.table, code=self.state, message=self.text)
        kind, name = object_of(self.command) or ("statement", self.about)
        return Failure(kind=kind, name=name, code=self.state, message=self.text)


def failure_of(entry: Entry, entries: Iterable[Entry], text: str, state: str) -> Failure:
    """What an entry of the archive is called in a list of what was not restored."""
    kind = entry.kind.lower()
    tag = entry.tag
    if entry.kind in _PARTS:  # named TABLE NAME
        needs = [other for other in entries if other.id in entry.needs]
        tables = [other.tag for other in needs if other.kind in RELATIONS and is_part_of(entry, other)]
        table = max(tables, key=len, default="")
        tag = f"{table}.{tag[len(table) + 1 :]}" if table else tag
    name = f"{entry.schema}.{tag}" if entry.schema else tag
    return Failure(kind=_KINDS.get(kind, kind), name=name, code=state, message=text)


def refusal_of(refusals: Sequence[FailedStatement]) -> FailedStatement | None:
    """What of the statements of an entry was refused; None where it is there, whoever owns it."""
    said = [refusal for refusal in refusals if not refusal.sets_owner]
    return next((refusal for refusal in said if refusal.severe), next(iter(said), None))


def not_valid(failure: Failure, names: str = "") -> Failure:
    """What is said of a constraint that was made for rows to come alone."""
    what = f"rows restored, and {names} made NOT VALID" if names else "made NOT VALID"
    return Failure(
        kind=failure.kind,
        name=failure.name,
        code=failure.code,
        message=f"{what}, since rows break it: {failure.message}",
    )
