"""Stored generated columns, compared with what their expressions come to in the session that asks."""

import re
from collections.abc import Iterator, Mapping, Sequence

from holdfast_mysql.catalog.columns import INTEGERS, TableColumn
from holdfast_mysql.catalog.tables import Table
from holdfast_mysql.definitions.tokens import Token, code, replaced, upper_words
from holdfast_mysql.session import Server, quoted

_TEXT = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext", "enum", "set"})
_PADDED = frozenset({"char", "enum", "set"})  # whose spaces at the end count for nothing
_BYTES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
_TIMES = frozenset({"date", "datetime", "timestamp", "time", "year"})
_BITS = {"tinyint": 8, "smallint": 16, "mediumint": 24, "int": 32, "bigint": 64}
# What comes to the same in every session, of values that are no times; not these operators, which do not.
_OPERATORS = frozenset({b"/", b"-", b"%"})
_SAME = frozenset(
    """
    ABS AND AS BETWEEN BIN_TO_UUID CASE CEILING CHAR_LENGTH CHARACTER_LENGTH COALESCE CONCAT CONCAT_WS CRC32 ELSE FLOOR
    GREATEST HEX IF IFNULL IN INSTR INTERVAL ISNULL JSON_CONTAINS JSON_EXTRACT JSON_LENGTH JSON_UNQUOTE JSON_VALID
    JSON_VALUE LCASE LEAST LEFT LENGTH LIKE LOCATE LOWER LTRIM MD5 NOT NULLIF OCTET_LENGTH OR POINT REPLACE REVERSE
    RIGHT RTRIM SHA SHA1 SHA2 ST_X ST_Y SUBSTR SUBSTRING SUBSTRING_INDEX THEN TRIM UCASE UNHEX UPPER UUID_TO_BIN WHEN
    XOR
    """.split()  # noqa: SIM905
)


def comparisons(table: Table, expressions: Mapping[str, bytes], server: Server) -> dict[str, bytes]:
    """For each column that a session can have an influence on whether it is what its expression says, in its type."""
    columns = {column.name: column for column in table.columns}
    forms = {name: _as_stored(columns[name], server) for name in expressions if name in columns}

    def computed(name: str) -> bytes:
        """A column as it would be: what it is computed from may be computed anew as well."""
        inner = [
            (token.start, token.end, computed(token.name or ""))
            for token in code(expressions[name])
            if token.kind == "name" and forms.get(token.name or "") and token.name != name
        ]
        return forms[name].replace(b"{}", b"(" + replaced(expressions[name], inner) + b")")

    asked = set(_dependent(columns, expressions))
    compared = {
        name: form.replace(b"{}", quoted(name).encode()) + b" <=> " + computed(name)
        for name, form in forms.items()
        if form and name in asked
    }
    for name in compared if server.mariadb else ():
        if any(token.text == b"/" for token in code(expressions[name])):
            compared[name] += b" OR " + _is_quotient(columns[name], b"(" + expressions[name] + b")")
    return compared


def _is_quotient(column: TableColumn, expression: bytes) -> bytes:
    """Whether a text or number is the quotient that MariaDB stores: with all digits that it has, in groups of nine."""
    name = quoted(column.name).encode()
    exact = b"CAST(%b AS DECIMAL(65,30))"
    if column.type not in _TEXT:
        return name + b" <=> " + exact % expression + b" + 0e0"
    digits = b"LENGTH(SUBSTRING_INDEX(%b, '.', -1))"
    groups = b" = 9 * CEILING(" + digits % (b"CAST(" + expression + b" AS CHAR)") + b" / 9)"
    return (
        name + b" REGEXP '^-?[0-9]+[.][0-9]+$' AND " + exact % name + b" = " + exact % expression
        + b" AND " + digits % name + groups
    )  # fmt: skip


def _dependent(columns: Mapping[str, TableColumn], expressions: Mapping[str, bytes]) -> Iterator[str]:
    """The columns whose values a session can have an influence on, or on what they are computed from."""
    dependent: dict[str, bool] = {}

    def depends(name: str) -> bool:
        if name not in dependent:
            dependent[name] = False  # for as long as it is looked at: none is computed from itself
            tokens = code(expressions[name])
            used = [columns[token.name or ""] for token in tokens if token.kind == "name" and token.name in columns]
            dependent[name] = (
                _is_session_bound(tokens)
                or any(column.type in _TIMES or column.type == "char" for column in (*used, columns[name]))
                or any(depends(column.name) for column in used if column.name in expressions)
            )
        return dependent[name]

    for name in expressions:
        if name in columns and depends(name):
            yield name


def _is_session_bound(tokens: Sequence[Token]) -> bool:
    words = upper_words(tokens)
    opened = [index - 1 for index in range(1, len(tokens)) if words[index] == "("]
    called = {words[index] for index in opened if tokens[index].kind == "word"}
    return bool(called - _SAME or {"DIV", "MOD"} & set(words) or _OPERATORS & {token.text for token in tokens})


def _as_stored(column: TableColumn, server: Server) -> bytes:
    """How a value becomes one of the column's type; empty for a type of which that is not known."""
    precision = re.search(r"\((\d+)\)", column.column_type)
    if column.type in _TIMES:
        return _as_time(column, precision[1] if precision else "0")
    if column.type in INTEGERS:
        return _as_integer(column)
    if column.type == "decimal":
        return b"CAST({} AS " + column.column_type.split()[0].encode() + b")"
    if column.type in _TEXT:
        length = f"({precision[1]})" if precision and "char" in column.type else ""
        text = f"CAST({{}} AS CHAR{length})"
        return f"CAST({f'RTRIM({text})' if column.type in _PADDED else text} AS BINARY)".encode()
    if column.type in _BYTES:
        return f"CAST({{}} AS BINARY{f'({precision[1]})' if column.type == 'binary' and precision else ''})".encode()
    if column.type == "json" and not server.mariadb:
        return b"CAST({} AS JSON)"
    if column.type == "float":
        return b"CAST({} AS FLOAT)" if server.mysql_since(8, 0, 17) or server.mariadb_since(10, 5) else b""
    return b"{} + 0" if column.type in ("double", "bit") else b""


def _as_time(column: TableColumn, precision: str) -> bytes:
    if column.type == "date":
        return b"CAST({} AS DATE)"
    if column.type == "year":  # numbers of two digits are years of a century
        return b"{} + 0 + IF({} + 0 BETWEEN 1 AND 69, 2000, IF({} + 0 BETWEEN 70 AND 99, 1900, 0))"
    return f"CAST({{}} AS {'TIME' if column.type == 'time' else 'DATETIME'}({precision}))".encode()


def _as_integer(column: TableColumn) -> bytes:
    """Values that are too large are the largest, where no strict mode refuses them."""
    signed = "unsigned" not in column.column_type
    number = f"CAST({{}} AS {'SIGNED' if signed else 'UNSIGNED'})"
    bits = _BITS[column.type]
    low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if signed else (0, (1 << bits) - 1)
    return f"LEAST(GREATEST({number}, {low}), {high})".encode()
