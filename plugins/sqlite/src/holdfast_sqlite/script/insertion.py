"""Statements with long literals: blobs go into their rows in pieces, whatever cannot is bound as a parameter.

An INSERT of a blob that was put aside makes a row with as many zeros, and SQLite's incremental I/O puts the blob in.
That takes a table whose rows have numbers, in which nothing is computed from the column and no index holds it.
"""

from __future__ import annotations

import itertools
import mmap
import sqlite3
from collections.abc import Callable, Iterator

from holdfast_sqlite.catalog import literal
from holdfast_sqlite.script.columns import Table
from holdfast_sqlite.script.long_values import LongValue
from holdfast_sqlite.script.statements import Statement
from holdfast_sqlite.tokens import Token, tokens

_BARE = 2  # tokens of a parameter
_ROW_STATEMENTS = ("INSERT", "REPLACE", "UPDATE", "DELETE", "SELECT", "WITH")


def execute_with_values(connection: sqlite3.Connection, statement: Statement) -> None:
    """Run a statement in which parameters stand for long values."""
    words = list(tokens(statement.text))
    if words[0].text.upper() not in _ROW_STATEMENTS:  # a definition takes no parameters
        connection.execute(_replaced(statement.text, words, lambda number: _quoted(statement.values[number - 1])))
        return
    targets = _streamable(connection, words, statement.values)
    parameters: list[str | mmap.mmap] = []
    is_utf8 = connection.execute("PRAGMA encoding").fetchone() == ("UTF-8",)

    def text_of(number: int) -> str:
        value = statement.values[number - 1]
        if number in targets:
            return targets[number].zeros
        if value.is_blob and not is_utf8:  # a parameter that is cast is taken for UTF-8, a literal for what it is
            return _quoted(value)
        parameters.append(value.parameter())
        is_raw_text = not value.is_blob and not isinstance(parameters[-1], str)
        return f"CAST(?{len(parameters)} AS TEXT)" if is_raw_text else f"?{len(parameters)}"

    text = _replaced(statement.text, words, text_of)
    rowid = connection.execute(text, parameters).lastrowid
    for number, target in targets.items():
        if rowid is None:
            raise RuntimeError(text[:80])
        with connection.blobopen(target.table, target.column, rowid) as blob:
            if len(blob) != statement.values[number - 1].size:
                raise RuntimeError(f"{target.zeros} has {len(blob)} bytes")
            for piece in statement.values[number - 1].pieces():
                blob.write(piece)


class _Target:
    """A value of a new row; `zeros` is SQL that makes as many zeros, of the type that the value has."""

    def __init__(self, table: str, column: str, zeros: str) -> None:
        self.table = table
        self.column = column
        self.zeros = zeros


def _quoted(value: LongValue) -> str:
    data = b"".join(value.pieces())
    return f"X'{data.hex()}'" if value.is_blob else literal(data.decode())


def _replaced(text: str, words: list[Token], text_of: Callable[[int], str]) -> str:
    """The text with something else in the place of each parameter."""
    parts: list[str] = []
    end = 0
    for mark, number in itertools.pairwise(words):
        if mark.text == "?":
            parts += [text[end : mark.start], text_of(int(number.text))]
            end = number.end
    return "".join([*parts, text[end:]])


def _streamable(connection: sqlite3.Connection, words: list[Token], values: list[LongValue]) -> dict[int, _Target]:
    """The parameters that can be put into the new row afterwards."""
    insertion = _insertion(words)
    table = _plain_table(connection, insertion[0]) if insertion else None
    if insertion is None or table is None:
        return {}
    _, given, row = insertion
    columns = given or [column.name for column in table.columns]
    if len(columns) != len(row):
        return {}
    indexed = {column.lower() for index in table.indexes for column in index.columns}
    known = {column.name.lower() for column in table.columns} - indexed
    is_utf8 = connection.execute("PRAGMA encoding").fetchone() == ("UTF-8",)
    targets = {}
    for column, expression in zip(columns, row, strict=True):
        number = _parameter(expression)
        if number and column.lower() in known and (zeros := _zeros(values[number - 1], expression, utf8=is_utf8)):
            targets[number] = _Target(table.name, column, zeros)
    return targets


def _zeros(value: LongValue, expression: list[Token], *, utf8: bool) -> str:
    """SQL that makes as many zeros as the database will have bytes of a value; nothing where these are not known."""
    if len(expression) > _BARE:
        # Cast to text, the bytes of a blob are text in the encoding of the database; zeros are taken for UTF-8.
        return f"zeroblob({value.size if utf8 else value.size // 2})" if utf8 or not value.size % 2 else ""
    if value.is_blob:
        return f"zeroblob({value.size})"
    return f"CAST(zeroblob({value.size}) AS TEXT)" if utf8 else ""


def _plain_table(connection: sqlite3.Connection, name: str) -> Table | None:
    """The table, if its rows have numbers and nothing else takes notice of what is in them."""
    schema = "SELECT name FROM sqlite_schema WHERE lower({}) = lower(?) AND type = ?"
    listed = connection.execute(f"{schema.format('name')} AND rootpage > 0", (name, "table")).fetchone()
    if listed is None or connection.execute(schema.format("tbl_name"), (name, "trigger")).fetchone():
        return None
    table = Table(connection, listed[0])
    is_plain = not table.key and not table.is_computed and all(index.terms is not None for index in table.indexes)
    return table if is_plain else None


def _parameter(expression: list[Token]) -> int:
    """The number of the parameter that a value is, as it is or cast to text; 0 if it is anything else."""
    words = [token.text.upper() for token in expression]
    if words[:2] == ["CAST", "("] and words[-3:] == ["AS", "TEXT", ")"]:
        words = words[2:-3]
    return int(words[1]) if len(words) == _BARE and words[0] == "?" else 0


def _insertion(words: list[Token]) -> tuple[str, list[str], list[list[Token]]] | None:
    """The table, the columns if they are given, and the values of an INSERT of one row; None of anything else."""
    rest = iter(words)
    if not all((word := next(rest, None)) and word.is_word(expected) for expected in ("INSERT", "INTO")):
        return None
    name = next(rest)
    lists: list[list[list[Token]]] = []
    heads: list[str] = []
    for token in rest:
        if token.text != "(":
            heads.append(token.text.upper())
            continue
        heads.append("(")
        lists.append(_items(rest))
    if heads == ["VALUES", "(", ";"]:
        return name.name, [], lists[0]
    if heads == ["(", "VALUES", "(", ";"]:
        return name.name, [item[0].name for item in lists[0]], lists[1]
    return None


def _items(rest: Iterator[Token]) -> list[list[Token]]:
    """What stands between the commas of a list in brackets, up to the one that closes it."""
    items: list[list[Token]] = [[]]
    depth = 1
    for token in rest:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if not depth:
            break
        if token.text == "," and depth == 1:
            items.append([])
        else:
            items[-1].append(token)
    return items
