"""What SQLite's checks say, told apart: damage of the file, other faults of its content, what could not be checked.

Only what breaks the structure of the file is damage: pages, trees, the free list. An index, full-text index or R-tree
that does not agree with what it was made from can be built anew, and a row against the declaration of its table is
wrong for the application alone: whoever copies the file has it as it was.
"""

from __future__ import annotations

import re
import sqlite3

from holdfast_sqlite.catalog import identifier, printable
from holdfast_sqlite.lending import APPLICATION
from holdfast_sqlite.virtual_tables.definition import parse
from holdfast_sqlite.virtual_tables.fts import MODULES, is_trigram, rebuild

_HEADING = "*** in database "
_INDEX = re.compile(
    r"(?:row \d+ missing from|wrong # of entries in|rowid not at end-of-record for row \d+ of|"
    r"row \d+ values differ from) index (?P<after>.+)|"
    r"index (?P<before>.+) stores an imprecise floating-point value for row \d+",
    re.DOTALL,
)
_KEY_ORDER = re.compile(r"row not in PRIMARY KEY order for (?P<table>.+)", re.DOTALL)
_ROW = re.compile(
    r"(?:NULL|NUMERIC|TEXT|non-\w+) value in .+|CHECK constraint failed in .+|non-unique entry in index .+", re.DOTALL
)
_NULL = re.compile(r"NULL value in (?P<column>.+)", re.DOTALL)
_FULL_TEXT = re.compile(r"malformed inverted index for FTS\d table \w+\.(?P<table>.+)", re.DOTALL)
_FTS5 = re.compile(r'fts5: .+ table "(?P<table>.+)"', re.DOTALL)  # SQLite 3.54 tells more
_R_TREE = re.compile(r"In RTree \w+\.(?P<table>.+?):\s", re.DOTALL)
_NOT_VALIDATED = re.compile(
    r"unable to validate the inverted index for FTS\d table \w+\.(?P<table>.+): (?P<why>[^:]+)", re.DOTALL
)
_MALFORMED = "database disk image is malformed"
_NO_REASON = "SQL logic error"
_AFTER_NUL = (
    "its text holds NUL characters, after which some versions of SQLite index the rest as trigrams and others do not; "
    "where searches miss such text, run {remedy} in the source"
)
# A tree that the schema could not tell of is no damage: its pages seem unused, and may be the largest of all.
_OF_UNKNOWN_TREES = re.compile(r"Page \d+(?: is|:) never used|max rootpage \(\d+\) disagrees with header \(\d+\)")
_OF_A_TREE = re.compile(r"Tree (\d+) ")
_CONTENTLESS = re.compile(r"\bcontent\s*=\s*(?:''|\"\")", re.IGNORECASE)
_COLUMNS = """
    SELECT entry.name, column.name FROM sqlite_schema AS entry, pragma_table_xinfo(entry.name) AS column
    WHERE entry.type = 'table' AND entry.name || '.' || column.name = ?
"""


class Verdict:
    """What a check has found so far, as lines for people; names are looked up in the schema of the connection."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self.rows = 0  # that SQLite has returned
        self.void = False  # whether nothing at all could be checked
        self._connection = connection
        self._damage: dict[str, None] = {}
        self._faults: dict[tuple[str, str], list[str]] = {}  # by what is at fault; the first line of each
        self._times: dict[tuple[str, str], int] = {}
        self._unchecked: dict[str, None] = {}
        self._nulls: dict[str, bool] = {}  # by table and column; whether there are any

    @property
    def damage(self) -> list[str]:
        """What is wrong with the file."""
        return [printable(_with_name(self._connection, line)) for line in self._damage]

    @property
    def faults(self) -> list[str]:
        """What is wrong with its content alone, and what to do about that in the source."""
        return [printable(self._fault(kind, name)) for kind, name in self._faults]

    @property
    def unchecked(self) -> list[str]:
        """What could not be checked and why."""
        return [printable(line) for line in self._unchecked]

    def add(self, row: str, *, trees: bool) -> None:
        """Take one row of a check; `trees` is whether the schema names all trees of the file."""
        if row == "ok":
            return
        self.rows += 1
        if not row.startswith(_HEADING):
            self._add_fault(row)
            return
        lines = [" ".join(line.split()) for line in row.splitlines()[1:]]
        self.add_damage(*(line for line in lines if trees or not _OF_UNKNOWN_TREES.fullmatch(line)))

    def add_damage(self, *lines: str) -> None:
        """Add what is wrong with the file."""
        self._damage.update(dict.fromkeys(line for line in lines if line))

    def add_unchecked(self, what: str, why: str) -> None:
        """Add what could not be checked."""
        self.add_unreadable(f"{what} could not be checked: {why}")

    def add_unreadable(self, *lines: str) -> None:
        """Add what this library cannot read."""
        self._unchecked.update(dict.fromkeys(lines))

    def add_virtual(self, name: str, error: str) -> None:
        """Add what the check of its own of a virtual table has ended with."""
        if error == _MALFORMED or _FTS5.fullmatch(error):
            self._add_mismatch(name, error)
        elif not self._is_contentless(name):
            reason = self._reason(name) if error == _NO_REASON else ""
            self.add_unchecked(f"the index of virtual table {name}", reason or error)

    def forget_faults(self) -> None:
        """Begin anew with what comes after the structure of the file."""
        self.rows = 0
        self._faults.clear()
        self._times.clear()

    def _add_fault(self, row: str) -> None:
        line = " ".join(row.split())
        if match := _NOT_VALIDATED.fullmatch(row):
            self.add_virtual(match["table"], match["why"])
        elif match := _INDEX.fullmatch(row):
            self._add_index(match["after"] or match["before"], line)
        elif (match := _NULL.fullmatch(row)) and not self._has_null(match["column"]):
            pass
        elif match := _KEY_ORDER.fullmatch(row):
            self._count("order", match["table"], line)
        elif _ROW.fullmatch(row):
            self._count("row", line, line)
        elif match := _FULL_TEXT.fullmatch(row) or _FTS5.fullmatch(row) or _R_TREE.match(row):
            self._add_mismatch(match["table"], line)
        else:  # of a module of the application's own
            self._count("other", line, line)

    def _add_index(self, name: str, line: str) -> None:
        """Take an index as one at fault, unless only the application can tell what belongs into it.

        libSQL keeps the content of a vector index in tables beside it, and its own tree empty.
        """
        try:
            self._connection.execute(f"EXPLAIN REINDEX {identifier(name)}").fetchone()
        except (sqlite3.DatabaseError, UnicodeEncodeError) as error:
            if str(error).startswith(APPLICATION):
                self.add_unchecked(f"index {name}", str(error))
                return
        self._count("index", name, line)

    def _add_mismatch(self, name: str, line: str) -> None:
        """Take the index of a virtual table as one at fault, unless another version of SQLite may have made it so."""
        if self._is_trigram_with_nul(name):
            self.add_unchecked(f"the index of virtual table {name}", _AFTER_NUL.format(remedy=rebuild(name)))
        else:
            self._count("virtual", name, line)

    def _is_trigram_with_nul(self, name: str) -> bool:
        definition = parse(self._definition(name))
        if definition is None or definition.module != "fts5" or not is_trigram(definition.arguments):
            return False
        try:
            columns = self._connection.execute(f"PRAGMA table_info({identifier(name)})").fetchall()
            nul = " OR ".join(f"instr({identifier(column[1])}, char(0))" for column in columns)
            query = f"SELECT 1 FROM {identifier(name)} WHERE {nul} LIMIT 1"  # noqa: S608
            return self._connection.execute(query).fetchone() is not None
        except (sqlite3.DatabaseError, UnicodeEncodeError):
            return False  # nor can it be read, which is a fault of it

    def _reason(self, name: str) -> str:
        """Why the check of a virtual table has failed without saying so, "" if nothing tells.

        Since 3.47 FTS5 looks for its tokenizer only once it needs it, and its check then does not tell what it misses.
        """
        quoted = identifier(name)
        try:
            self._connection.execute(f"SELECT 1 FROM {quoted} WHERE {quoted} MATCH 'a' LIMIT 1").fetchone()  # noqa: S608
        except (sqlite3.DatabaseError, UnicodeEncodeError) as error:
            return " ".join(str(error).split()) if str(error).startswith(APPLICATION) else ""
        return ""

    def _has_null(self, column: str) -> bool:
        """Whether a column that is said to hold NULL does; True where nobody can tell.

        quick_check of SQLite 3.40 says so of every row of a table WITHOUT ROWID whose key is not in the order of its
        columns. `typeof`, because IS NULL is never asked of a column that is declared NOT NULL.
        """
        if column not in self._nulls:
            try:
                columns = self._connection.execute(_COLUMNS, (column,)).fetchall()
                self._nulls[column] = not columns or any(self._is_null_in(*names) for names in columns)
            except (sqlite3.DatabaseError, UnicodeEncodeError):
                self._nulls[column] = True
        return self._nulls[column]

    def _is_null_in(self, table: str, column: str) -> bool:
        query = f"SELECT 1 FROM {identifier(table)} WHERE typeof({identifier(column)}) = 'null' LIMIT 1"  # noqa: S608
        return self._connection.execute(query).fetchone() is not None

    def _count(self, kind: str, name: str, line: str) -> None:
        self._faults.setdefault((kind, name), [line])
        self._times[kind, name] = self._times.get((kind, name), 0) + 1

    def _fault(self, kind: str, name: str) -> str:
        line, more = self._faults[kind, name][0], self._times[kind, name] - 1
        example = f"({line}{f', and {more} more' if more else ''})"
        if kind == "index":
            table = self._value("SELECT tbl_name FROM sqlite_schema WHERE type = 'index' AND name = ?", name)
            return (
                f"index {name} does not agree with table {table} {example}: run REINDEX {_quoted(name)} in the source"
            )
        if kind == "order":
            return (
                f"table {name} does not lie in the order of its key {example}: copy it into a new table in the source"
            )
        if kind == "virtual":
            return f"virtual table {name} does not agree with its content {example}: {self._remedy(name)} in the source"
        times = f" ({more + 1} times)" if more else ""
        return f"{line}{times}: against the declaration of the table, kept as it is" if kind == "row" else line + times

    def _remedy(self, name: str) -> str:
        """What puts the index of a virtual table right."""
        definition = parse(self._definition(name))
        return f"run {rebuild(name)}" if definition and definition.module in MODULES else "build it anew"

    def _is_contentless(self, name: str) -> bool:
        """Whether a full-text table keeps no content that its index could be compared with."""
        return bool(_CONTENTLESS.search(self._definition(name)))

    def _definition(self, name: str) -> str:
        return self._value("SELECT sql FROM sqlite_schema WHERE type = 'table' AND name = ?", name)

    def _value(self, query: str, name: str) -> str:
        """A text of the schema, "" where there is none or it cannot be asked for."""
        try:
            row = self._connection.execute(query, (name,)).fetchone()
        except (sqlite3.DatabaseError, UnicodeEncodeError):
            return ""
        return str(row[0]) if row and row[0] is not None else ""


def _with_name(connection: sqlite3.Connection, line: str) -> str:
    """A line with the name of the table or index whose tree it is about."""
    match = _OF_A_TREE.match(line)
    if match is None:
        return line
    try:
        row = connection.execute("SELECT type, name FROM sqlite_schema WHERE rootpage = ?", (match[1],)).fetchone()
    except sqlite3.DatabaseError:
        row = None
    return f"{row[0]} {row[1]}: {line}" if row else line


def _quoted(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII) else identifier(name)
