"""Columns as the server describes them, and what the bytes of their values are."""

from dataclasses import dataclass

from holdfast_mysql.catalog.labels import members

_NUMBERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "double", "year"})
INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
_ASCII = frozenset({"date", "datetime", "timestamp", "time"})
_CONVERTED = frozenset({"json", "inet4", "inet6", "uuid", "xmltype"})
_UTF8 = frozenset({"utf8", "utf8mb3", "utf8mb4"})
# Character sets of one byte in which ASCII is ASCII: a script shows such values as text.
_LATIN = frozenset(
    """
    ascii armscii8 cp1250 cp1251 cp1256 cp1257 cp850 cp852 cp866 dec8 geostd8 greek hebrew keybcs2 koi8r koi8u latin1
    latin2 latin5 latin7 macce macroman tis620
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True, kw_only=True)
class TableColumn:
    """A column as the server describes it; `row_end` says when a row of a history ends.

    `alike` is that of an ENUM or SET of whose members some are the same to its collation.
    """

    name: str
    type: str
    column_type: str
    nullable: bool
    charset: str
    collation: str
    generated: bool
    auto_increment: bool
    row_end: bool = False
    alike: bool = False


def column_of(row: tuple[str, ...]) -> TableColumn:
    """A column from its row of information_schema.columns, as `read_tables` asks for it."""
    name, kind, column_type, nullable, charset, collation, extra, expression, generated = row
    computed = generated == "ALWAYS" or "GENERATED" in extra.upper().replace("DEFAULT_GENERATED", "")
    if computed and expression.upper() in ("ROW START", "ROW END"):
        # The server takes times of a history from an INSERT, but no numbers of transactions (error 1906).
        kind, computed = ("row transaction", True) if kind.lower() == "bigint" else ("row time", False)
    return TableColumn(
        name=name,
        type=kind.lower(),
        column_type=column_type,
        nullable=nullable == "YES",
        charset=charset.lower(),
        collation=collation.lower(),
        generated=computed,
        auto_increment="auto_increment" in extra.lower(),
        row_end=expression.upper() == "ROW END",
    )


# In which columns members of an ENUM or SET were read as text: in all, in those of some character sets, or of these
# only where no two members are alike.
ALL_LABELS, LATIN_LABELS, UNLIKE_LABELS = "all", "latin", "unlike"


def row_kind(column: TableColumn, *, labels: str = UNLIKE_LABELS) -> str:
    """What the bytes of a column's values are: see `Column` of the rows.

    `labels` says which members of an ENUM or SET are read as text, of which older backups had more.
    """
    if column.type in _NUMBERS or column.type == "float":
        return "number"
    if column.type in ("enum", "set"):
        # An empty string stands for index 0, unless a member is empty too: then only the number tells them apart. In
        # character sets where ASCII is not ASCII, or ends a character of two bytes, a script would name other members.
        exact = labels == ALL_LABELS or column.charset in _UTF8 | _LATIN
        told_apart = not column.alike or labels != UNLIKE_LABELS
        return "label" if exact and told_apart and "" not in members(column.column_type) else "index"
    if column.type in _ASCII or column.type == "row time":
        return "ascii"
    if column.type in _CONVERTED:
        return "json"
    return "utf8" if column.charset in _UTF8 else "latin" if column.charset in _LATIN else "bytes"
