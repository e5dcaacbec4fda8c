"""How an object is made in a script: by its own definition, or from a bare table that gets its definition afterwards.

A definition that is put into `sqlite_schema` is not carried out: rows that it would refuse or change stay as they are,
and functions and collations of the application need not be there (https://www.sqlite.org/pragma.html,
"writable_schema"). What SQLite keeps of a table on its pages does not depend on anything that a bare table leaves out.
"""

from __future__ import annotations

from holdfast_sqlite.catalog import Entry, identifier, literal
from holdfast_sqlite.script.columns import Table
from holdfast_sqlite.script.values import text_literal
from holdfast_sqlite.tokens import Token, tokens

# The shell takes a line of one of these for a semicolon.
_TERMINATORS = ("/", "go")
_STAND_IN = "holdfast_index_"


class UnwritableError(Exception):
    """An object cannot be written as SQL that every SQLite loads."""


def natural(entry: Entry, *, keep_returns: bool = True) -> list[str]:
    """What makes a table, index, view or trigger by its own definition, exactly also where the shell reads it.

    `keep_returns` puts in again the carriage returns that the shell drops at the ends of lines.
    """
    sql = entry.sql
    has_returns = keep_returns and "\r\n" in sql
    if not has_returns and not _is_misread(sql):
        return [sql]
    statements = [_one_line(sql), *put_definition(entry, sql, reload=entry.kind in ("table", "index"))]
    # Made anew, because its expressions may hold the literals that the shell has changed.
    return [*statements, f"REINDEX {identifier(entry.name)}"] if entry.kind == "index" and has_returns else statements


def _is_misread(sql: str) -> bool:
    """Whether a comment would take in the semicolon, or the shell see the end of the statement within it."""
    end = max(token.end for token in tokens(sql))
    return bool(sql[end:].strip()) or any(line.strip().lower() in _TERMINATORS for line in sql.split("\n"))


def _one_line(sql: str) -> str:
    """The same statement without comments, and without line breaks but those in literals and names."""
    parts: list[str] = []
    end = 0
    for token in tokens(sql):
        parts += [" ", token.text] if token.start > end else [token.text]
        end = token.end
    return "".join(parts).strip()


def put_definition(entry: Entry, sql: str, *, reload: bool) -> list[str]:
    """What puts another definition in the place of the one that an object was made by.

    `reload` has SQLite read it at once, so that it holds for what follows.
    """
    place = f"type='{entry.kind}' AND name={literal(entry.name)}"
    return [
        "PRAGMA writable_schema=ON",
        f"UPDATE sqlite_schema SET sql={text_literal(sql)} WHERE {place}",  # noqa: S608
        f"PRAGMA writable_schema={'RESET' if reload else 'OFF'}",
    ]


def put_row(entry: Entry) -> list[str]:
    """What enters an object that has no pages of its own: a virtual table, view or trigger."""
    name, on, sql = map(text_literal, (entry.name, entry.on, entry.sql))
    insert = f"INSERT INTO sqlite_schema(type,name,tbl_name,rootpage,sql) VALUES('{entry.kind}',{name},{on},0,{sql})"
    return ["PRAGMA writable_schema=ON", insert, "PRAGMA writable_schema=OFF"]


def bare(table: Table) -> list[str]:
    """What makes a table that takes every row: its columns in their order, and what tells how rows are stored."""
    columns = [_bare_column(table, column.name) for column in table.columns]
    if table.key:
        columns.append(f"PRIMARY KEY({','.join(table.key)})")
    return [f"CREATE TABLE {identifier(table.name)}({','.join(columns)}){' WITHOUT ROWID' if table.key else ''}"]


def _bare_column(table: Table, name: str) -> str:
    return f"{identifier(name)} INTEGER PRIMARY KEY" if name == table.alias else identifier(name)


def dressed(entry: Entry, table: Table) -> list[str]:
    """What makes of a bare table, filled, the one that it stands for; the indexes of its constraints are made first.

    They are made as indexes of their own, in which the same may stand twice, and then called after the constraints.
    """
    statements: list[str] = []
    renamed: list[str] = []
    indexes = [index for index in table.indexes if index.origin == "u" or (index.origin == "pk" and not table.key)]
    # In the order of their numbers: the last one made is listed first.
    for number, index in enumerate(reversed(indexes), 1):
        names = {column.name for column in table.columns}
        if index.terms is None or not names.issuperset(index.columns):
            raise UnwritableError("an index of a constraint has a column that is computed")
        stand_in = f"{_STAND_IN}{number}"
        statements.append(f"CREATE INDEX {stand_in} ON {identifier(table.name)}({','.join(index.terms)})")
        rename = f"UPDATE sqlite_schema SET name={literal(index.name)},sql=NULL WHERE name='{stand_in}'"  # noqa: S608
        renamed.append(rename)
    update = put_definition(entry, entry.sql, reload=True)
    return [*statements, update[0], *renamed, *update[1:]]


def without_unique(entry: Entry) -> list[str]:
    """What makes a unique index of a table in whose rows the same stands twice."""
    words = list(tokens(entry.sql))
    if len(words) < 2 or not words[1].is_word("UNIQUE"):
        raise UnwritableError("its definition does not begin with CREATE UNIQUE INDEX")
    plain = entry.sql[: words[1].start] + entry.sql[words[1].end :].lstrip()
    return [_one_line(plain), *put_definition(entry, entry.sql, reload=True)]


def computed_columns(sql: str) -> dict[str, str]:
    """The generated columns of a table by name, with the expressions that they are computed by."""
    columns: dict[str, str] = {}
    depth = start = 0
    name = ""
    previous: Token | None = None
    for token in tokens(sql):
        if token.text == "(":
            depth += 1
            if depth == 2 and previous is not None and previous.is_word("AS"):
                start = token.start
        elif token.text == ")":
            depth -= 1
            if depth == 1 and start:
                columns[name] = sql[start : token.end]
                start = 0
        elif depth == 1 and previous is not None and previous.text in ("(", ","):
            name = token.name
        previous = token
    return columns
