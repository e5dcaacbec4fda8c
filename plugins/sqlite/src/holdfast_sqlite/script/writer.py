"""A database as SQL text which the `sqlite3` shell loads into an empty file, and `holdfast restore` too.

The first two lines are those of the shell's own `.dump`: newer shells, which refuse to write to `sqlite_schema` and
to the inner tables of virtual tables, let scripts that begin so. Virtual tables are entered into the schema and
their inner tables filled, so that nothing is indexed anew and their modules need not be there.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator

from holdfast_sqlite.catalog import Entry, entries, identifier, literal
from holdfast_sqlite.child.channel import Refusal

Write = Callable[[bytes], object]

_BATCH = 1 << 16  # bytes of a statement of several rows
_GROUP = 50  # columns
_MOST_COLUMNS = 2000  # of a result, as which VALUES of several rows count, and of a table, to which its rowid comes
# Stands for a carriage return within a literal: the shell takes those at the ends of lines away.
_MARK = 0xE00D
_BREAK = "\r\n"
_EXACT = "holdfast_exact"


def write_script(connection: sqlite3.Connection, write: Write, *, wal: bool) -> list[str]:
    """Write the whole database that a connection shows, and tell what the user has to know of the script.

    Nobody may change the database meanwhile.

    `wal` tells that it is in WAL mode, which a connection to an immutable image does not see.
    """
    found = entries(connection)
    connection.create_function(_EXACT, 1, _exact, deterministic=True)
    put = _putter(write)
    exact = not _has_broken_names(connection, found)
    put("PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n")
    for name in ("encoding", "page_size", "auto_vacuum"):
        value = connection.execute(f"PRAGMA {name}").fetchone()[0]
        put(f"PRAGMA {name}={literal(value) if isinstance(value, str) else value};\n")
    put("PRAGMA ignore_check_constraints=ON;\n")
    for entry in found:
        if entry.kind == "table" and not entry.module and not entry.internal:
            put(_definition(entry, exact=exact))
            _rows(connection, entry.name, write)
    _internal(connection, found, put, write)
    virtual = [entry for entry in found if entry.module]
    if virtual:
        put("PRAGMA writable_schema=ON;\n")
    for entry in virtual:
        name = literal(entry.name)
        put(
            "INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql) "
            f"VALUES('table',{name},{name},0,{_text(entry.sql)});\n"
        )
    if virtual:
        put("PRAGMA writable_schema=OFF;\n")
    for kind in ("index", "view", "trigger"):
        for entry in found:
            if entry.kind == kind and entry.sql:
                put(_definition(entry, exact=exact))
    for name in ("user_version", "application_id"):
        put(f"PRAGMA {name}={connection.execute(f'PRAGMA {name}').fetchone()[0]};\n")
    put("PRAGMA ignore_check_constraints=OFF;\nCOMMIT;\n" + ("PRAGMA journal_mode=WAL;\n" if wal else ""))
    end = "is changed by the sqlite3 shell, which drops the CR at the end of a line; holdfast restore keeps it"
    changed = [entry for entry in found if not exact and _BREAK in entry.sql]
    return [f"the definition of {entry.kind} {entry.name!r} {end}" for entry in changed]


def _putter(write: Write) -> Callable[[str], None]:
    def put(text: str) -> None:
        try:
            write(text.encode())
        except UnicodeEncodeError as error:
            raise Refusal("failed", "a name is not valid text: it cannot be written as SQL") from error

    return put


def _has_broken_names(connection: sqlite3.Connection, found: list[Entry]) -> bool:
    """Whether a name has a line break of DOS in it, which nothing keeps the shell from changing."""
    tables = [entry for entry in found if entry.kind == "table" and not entry.module and _BREAK in entry.sql]
    columns = [
        str(row[1]) for entry in tables for row in connection.execute(f"PRAGMA table_xinfo({identifier(entry.name)})")
    ]
    return any(_BREAK in name for name in (*(entry.name for entry in found), *columns))


def _definition(entry: Entry, *, exact: bool) -> str:
    """What makes a table, index, view or trigger; `exact` has the shell, too, keep its line breaks of DOS."""
    # The semicolon on a line of its own: a definition may end in a comment.
    text = f"{entry.sql}{chr(10) if '--' in entry.sql else ''};\n"
    if not exact or _BREAK not in entry.sql:
        return text
    # Read anew (RESET), it also holds for the rows that follow: a generated column or an index may depend on it.
    used = entry.kind in ("table", "index")
    text += (
        "PRAGMA writable_schema=ON;\n"
        f"UPDATE sqlite_schema SET sql={_text(entry.sql)} WHERE type='{entry.kind}' AND name={literal(entry.name)};\n"
        f"PRAGMA writable_schema={'RESET' if used else 'OFF'};\n"
    )
    return text + (f"REINDEX {identifier(entry.name)};\n" if entry.kind == "index" else "")


def _internal(connection: sqlite3.Connection, found: list[Entry], put: Callable[[str], None], write: Write) -> None:
    """Rows of tables that only SQLite itself can make: counters of AUTOINCREMENT and statistics."""
    names = {entry.name for entry in found if entry.internal and entry.kind == "table"}
    if "sqlite_sequence" in names:
        if not any("AUTOINCREMENT" in entry.sql.upper() for entry in found if entry.kind == "table"):
            put("CREATE TABLE holdfast_counter(i INTEGER PRIMARY KEY AUTOINCREMENT);\nDROP TABLE holdfast_counter;\n")
        put("DELETE FROM sqlite_sequence;\n")
        _rows(connection, "sqlite_sequence", write)
    if "sqlite_stat1" in names:
        put("ANALYZE sqlite_schema;\nDELETE FROM sqlite_stat1;\n")
        _rows(connection, "sqlite_stat1", write)


def _rows(connection: sqlite3.Connection, table: str, write: Write) -> None:
    """Write all rows of a table as INSERT statements of some 64 KiB."""
    columns = _columns(connection, table)
    named = [column if column in _ROWIDS else identifier(column) for column in columns]
    head = f"INSERT INTO {identifier(table)}({','.join(named)}) VALUES\n".encode()
    utf8 = connection.execute("PRAGMA encoding").fetchone()[0] == "UTF-8"
    values = _joined([_expression(column, utf8=utf8) for column in named])
    room = _BATCH if len(named) <= _MOST_COLUMNS else 0
    batch: list[bytes] = []
    size = 0
    for row in _fetch(connection, f"SELECT '('||{values}||')' FROM {identifier(table)}"):  # noqa: S608
        batch.append(row)
        size += len(row)
        if size >= room:
            write(head + b",\n".join(_valid(batch)) + b";\n")
            batch, size = [], 0
    if batch:
        write(head + b",\n".join(_valid(batch)) + b";\n")


def _fetch(connection: sqlite3.Connection, query: str) -> Iterator[bytes]:
    cursor = connection.cursor()
    factory, connection.text_factory = connection.text_factory, bytes
    try:
        for (row,) in cursor.execute(query):
            yield row
    finally:
        connection.text_factory = factory


_ROWIDS = ("rowid", "_rowid_", "oid")


def _columns(connection: sqlite3.Connection, table: str) -> list[str]:
    """The columns to insert into: generated ones follow from the others; the rowid, where no column stands for it."""
    found = connection.execute(f"PRAGMA table_xinfo({identifier(table)})").fetchall()
    columns = [str(row[1]) for row in found if row[6] == 0]
    keys = [row for row in found if row[5]]
    origins = [row[3] for row in connection.execute(f"PRAGMA index_list({identifier(table)})")]
    if len(keys) == 1 and str(keys[0][2]).upper() == "INTEGER" and "pk" not in origins:
        return columns  # an INTEGER PRIMARY KEY is the rowid
    taken = {str(row[1]).lower() for row in found}
    name = next((name for name in _ROWIDS if name not in taken), None)
    if name is not None and _has(connection, table, name):
        return [name, *columns]
    return columns


def _has(connection: sqlite3.Connection, table: str, column: str) -> bool:
    """Whether a table has a rowid: those WITHOUT ROWID say that there is no such column."""
    try:
        connection.execute(f"SELECT {column} FROM {identifier(table)} LIMIT 0")  # noqa: S608
    except sqlite3.OperationalError as error:
        if not str(error).startswith("no such column"):
            raise
        return False
    return True


def _joined(expressions: list[str]) -> str:
    """SQL that puts commas between values, in groups: SQLite's expressions are 1000 deep at most."""
    comma = "||','||"
    groups = [comma.join(expressions[at : at + _GROUP]) for at in range(0, len(expressions), _GROUP)]
    return groups[0] if len(groups) == 1 else comma.join(f"({group})" for group in groups)


def _expression(column: str, *, utf8: bool) -> str:
    """SQL that writes a value as a literal: all of quote()'s, which stops at NUL and knows no infinity, and more."""
    mark = f"char({_MARK})"
    # trim() of nothing gives the text by way of UTF-8, as a script does, in which not all UTF-16 comes back the same.
    lost = "" if utf8 else f"OR CAST(trim({column},'') AS BLOB) <> CAST({column} AS BLOB) "
    returns = f"'replace('||quote(replace({column},char(13),{mark}))||',{mark},char(13))'"
    return (
        f"CASE typeof({column}) "
        f"WHEN 'real' THEN CASE WHEN {column} = 9e999 THEN '9e999' WHEN {column} = -9e999 THEN '-9e999' "
        f"WHEN {column} <> 0 AND CAST(quote({column}) AS REAL) = {column} THEN quote({column}) "
        f"ELSE {_EXACT}({column}) END "
        f"WHEN 'text' THEN CASE WHEN instr({column},char(0)) OR instr({column},{mark}) {lost}"
        f"THEN 'CAST(X'''||hex(CAST({column} AS BLOB))||''' AS TEXT)' "
        f"WHEN instr({column},char(13)) THEN {returns} ELSE quote({column}) END "
        f"ELSE quote({column}) END"
    )


def _exact(number: float) -> str:
    """A number of which SQLite's decimals lose the last bit or the sign, in powers of two, which are exact."""
    if not number:
        return str(number)  # 0.0 or -0.0
    numerator, denominator = number.as_integer_ratio()
    power = max(0, numerator.bit_length() - 53) if denominator == 1 else -(denominator.bit_length() - 1)
    whole = numerator >> power if power > 0 else numerator
    operator = "*" if power > 0 else "/"
    steps, rest = divmod(abs(power), 40)
    factors = f"{operator}{2**40}.0" * steps + f"{operator}{2**rest}.0"
    return f"(CAST({whole} AS REAL){factors})"


def _text(text: str) -> str:
    if "\r" not in text:
        return literal(text)
    mark = next(chr(code) for code in range(_MARK, 0xF900) if chr(code) not in text)
    return f"replace({literal(text.replace(chr(13), mark))},char({ord(mark)}),char(13))"


def _valid(rows: list[bytes]) -> list[bytes]:
    """The rows with texts that are not UTF-8 in hexadecimal: the script itself is valid text."""
    try:
        b"".join(rows).decode()
    except UnicodeDecodeError:
        return [_hexed(row) for row in rows]
    return rows


def _hexed(row: bytes) -> bytes:
    import re

    def replace(match: re.Match[bytes]) -> bytes:
        text = match[1].replace(b"''", b"'")
        try:
            text.decode()
        except UnicodeDecodeError:
            return b"CAST(X'" + text.hex().encode() + b"' AS TEXT)"
        return match[0]

    return re.sub(rb"'((?:[^']|'')*)'", replace, row)
