"""Stored generated columns that a restore computes otherwise: from a TIMESTAMP in another time zone, names of months.

The server has computed them in the session of whoever wrote the row, and lets nobody write them. A restore computes in
UTC and English; so does the session that reads here, so that what differs here will differ there.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping

import pymysql

from holdfast.api import quote_name
from holdfast_mysql.catalog.columns import INTEGERS, TableColumn
from holdfast_mysql.catalog.tables import Table
from holdfast_mysql.definitions.create_table import generated_expressions
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.definitions.tokens import code, replaced
from holdfast_mysql.errors import translate_errors
from holdfast_mysql.proof.rows import reprinted
from holdfast_mysql.session import Session, quoted

log = logging.getLogger("holdfast.mysql")

# What depends on the time zone or on lc_time_names, and on default_week_format, where a server allows it.
_SESSION = (b"from_unixtime(", b"unix_timestamp(", b"monthname(", b"dayname(", b"date_format(", b"week(")
_TEXT = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"})


def recomputed(session: Session, tables: Iterable[Table], definitions: Iterable[Statement]) -> dict[str, int]:
    """How many values of which columns, as `table.column`, would be others when they are computed again."""
    bodies = {statement.name: statement.body for statement in definitions if statement.kind == "table"}
    differing: dict[str, int] = {}
    for table in tables:
        if table.stored and any(column.generated for column in table.columns):
            differing |= _of_table(session, table, bodies[table.name])
    return differing


def reprinted_values(session: Session, tables: Iterable[Table]) -> dict[str, int]:
    """How many JSON values of which columns MySQL prints otherwise once they come back as text; MariaDB keeps text."""
    differing: dict[str, int] = {}
    for table in tables:
        columns = [column.name for column in table.columns if column.type == "json" and not column.generated]
        if not columns or session.server.mariadb or not table.stored:
            continue
        texts = [(f"CAST({quoted(name)} AS CHAR)", f"CAST({reprinted(quoted(name))} AS CHAR)") for name in columns]
        sums = ", ".join(f"SUM(BINARY {before} <> BINARY {after})" for before, after in texts)
        with translate_errors(f"cannot compare the JSON values of table {quote_name(table.name)}"):
            (row,) = session.texts(f"SELECT {sums} FROM {quoted(table.name)}")
        differing |= {f"{table.name}.{name}": int(count) for name, count in zip(columns, row, strict=True)
                      if int(count or 0)}  # fmt: skip
    return differing


def _of_table(session: Session, table: Table, body: bytes) -> dict[str, int]:
    timed = any(column.type == "timestamp" for column in table.columns)
    expressions = {
        name: expression
        for name, expression in generated_expressions(body).items()
        if timed or any(function in expression.lower() for function in _SESSION)
    }
    compared = dict(_comparisons(table, expressions))
    if not compared:
        return {}
    history = b" FOR SYSTEM_TIME ALL" if table.history else b""
    sums = b", ".join(b"SUM(NOT (" + comparison + b"))" for comparison in compared.values())
    try:
        (row,) = session.texts(b"SELECT " + sums + b" FROM " + quoted(table.name).encode() + history)
    except pymysql.MySQLError as error:
        log.warning(
            "whether a restore computes the stored columns of table %s as they are cannot be told: %s",
            quote_name(table.name), error.args[-1],
        )  # fmt: skip
        return {}
    return {f"{table.name}.{name}": int(count) for name, count in zip(compared, row, strict=True) if int(count or 0)}


def _comparisons(table: Table, expressions: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    """For each column whether it is what its expression says, in the column's own type."""
    forms = {column.name: _as_stored(column) for column in table.columns if column.name in expressions}

    def computed(name: str) -> bytes:
        """A column as it will be: what it is computed from may be computed anew as well."""
        expression = expressions[name]
        inner = [
            (token.start, token.end, computed(token.name or ""))
            for token in code(expression)
            if token.kind == "name" and forms.get(token.name or "") and token.name != name
        ]
        return forms[name].replace(b"{}", b"(" + replaced(expression, inner) + b")")

    for name, form in forms.items():
        if form:
            yield name, form.replace(b"{}", quoted(name).encode()) + b" <=> " + computed(name)


def _as_stored(column: TableColumn) -> bytes:
    """How a value becomes one of the column's type; empty for a type in which no time is stored."""
    if column.type == "date":
        return b"CAST({} AS DATE)"
    if column.type in ("datetime", "timestamp", "time"):
        precision = column.column_type.partition("(")[2].partition(")")[0] or "0"
        kind = "TIME" if column.type == "time" else "DATETIME"
        return f"CAST({{}} AS {kind}({precision}))".encode()
    if column.type in INTEGERS:
        return b"CAST({} AS " + (b"UNSIGNED)" if "unsigned" in column.column_type else b"SIGNED)")
    if column.type == "decimal":
        return b"CAST({} AS " + column.column_type.removesuffix(" unsigned").encode() + b")"
    if column.type in _TEXT:
        length = column.column_type.partition("(")[2].rstrip(")") if "char" in column.type else ""
        return f"CAST(RTRIM(CAST({{}} AS CHAR{f'({length})' if length else ''})) AS BINARY)".encode()
    return b"{} + 0" if column.type in ("year", "double", "float") else b""
