"""What a backup needs of the server that it is restored into: by kind and name, with what needs it."""

import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

from holdfast.api import quote_name
from holdfast_mysql.catalog.events import SCHEDULER
from holdfast_mysql.catalog.tables import Table
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.definitions.tokens import code, upper_words
from holdfast_mysql.session import quoted

_SHOWN = 50  # names that the manifest keeps of each need; the count is kept besides
_LONG = frozenset({"tinytext", "text", "mediumtext", "longtext", "tinyblob", "blob", "mediumblob", "longblob"})
_HASHED = re.compile(rb"^  UNIQUE KEY `(?:[^`]|``)*` \((.+)\) USING HASH", re.MULTILINE)
_COLLATION = re.compile(rb"\bCOLLATE[ =]([a-z0-9_]+)", re.IGNORECASE)

# Objects of MariaDB alone.
_MARIADB_OBJECTS = frozenset({"sequence", "package", "package body"})
# Objects of MySQL alone.
_MYSQL_OBJECTS = frozenset({"library"})
# What takes SUPER under a binary log, unless the server trusts those who make functions.
_CREATED = frozenset({"function", "trigger"})
_FEATURES = {
    "application period": re.compile(rb"\bPERIOD FOR `", re.IGNORECASE),
    "functional key": re.compile(
        rb"^  (?:UNIQUE )?KEY `(?:[^`]|``)*` \((?:`(?:[^`]|``)*`(?:\(\d+\))?(?: DESC)?,)*\(", re.MULTILINE
    ),
    "ignored index": re.compile(rb"\) IGNORED[,\n]"),
}
_SPECIAL_VIEWS, _VIEW_HEAD = frozenset({"MATERIALIZED", "DUALITY"}), 24
# What each of the products writes in comments that the other one passes over, MySQL in those for newer versions, or
# that are left out for it.
_OWN_CLAUSES = re.compile(rb"/\*(?:!8\d{4}|!9\d{4}|!50606|!50100(?= STORAGE)|M!\d{5,6}) ([A-Z][A-Z_ ]*)")


def requirements_of(
    tables: Sequence[Table], statements: Sequence[Statement], others: Iterable[tuple[str, str]] = ()
) -> dict[str, list[Any]]:
    """Each need with the number of objects that have it and the names of the first of them.

    `others` are those that no definition says: see `leniency` and `surroundings`.
    """
    holders: dict[str, dict[str, None]] = {}

    def add(need: str, name: str) -> None:
        holders.setdefault(need, {})[name] = None

    for table in tables:
        add(f"engine {table.engine}", table.name)
        if table.versioned:
            add("object system versioning", table.name)
        for column in table.columns:
            add(f"type {column.type}", f"{table.name}.{column.name}")
            if column.collation:
                add(f"collation {column.collation}", f"{table.name}.{column.name}")
    texts = {table.name: {column.name for column in table.columns if column.type in _LONG} for table in tables}
    for statement in statements:
        for need in _statement_needs(statement):
            add(need, statement.table or statement.name)
        if statement.kind == "table" and _has_long_key(statement, texts.get(statement.name, ())):
            add("object unique key over whole texts", statement.name)
    for need, name in others:
        add(need, name)
    return {need: [len(names), list(names)[:_SHOWN]] for need, names in sorted(holders.items())}


def _has_long_key(table: Statement, texts: Collection[str]) -> bool:
    """Whether a unique key is over a whole TEXT or BLOB, which MariaDB keeps by the hashes of values."""
    keys = b"\n".join(_HASHED.findall(table.body)) if texts else b""
    return any(re.search(re.escape(quoted(name).encode()) + rb"(?:,|$)", keys, re.MULTILINE) for name in texts)


def _statement_needs(statement: Statement) -> Iterator[str]:
    if statement.kind in _MARIADB_OBJECTS | _MYSQL_OBJECTS:
        yield f"object {statement.kind}"
    if statement.kind in _CREATED:
        yield f"creator {statement.kind}"
    if statement.kind == "event":
        yield SCHEDULER
    if statement.kind == "function" and re.match(rb"CREATE[^(]*\bAGGREGATE\b", statement.body, re.IGNORECASE):
        yield "object aggregate function"
    if statement.kind == "view":
        words = upper_words(
            code(statement.body, statement.sql_mode, charset=statement.character_set_client)[:_VIEW_HEAD]
        )
        yield from (f"object {word.lower()} view" for word in _SPECIAL_VIEWS & set(words[: words.index("VIEW")]))
    if statement.kind == "table":
        for match in _COLLATION.finditer(statement.body):
            yield f"collation {match[1].decode().lower()}"
        for match in _OWN_CLAUSES.finditer(statement.body):
            yield f"clause {match[1].decode().strip()}"
        for name, pattern in _FEATURES.items():
            if pattern.search(statement.body):
                yield f"object {name}"


def recomputed_warning(name: str, count: int) -> str:
    """What to know of a stored generated column, `table.column`, that a restore computes otherwise."""
    values = "1 value" if count == 1 else f"{count} values"
    return (
        f"column {quote_name(name)} is generated and stored, and a restore, which computes it anew, changes {values} "
        "of it: they were computed under other settings of a session, and not all under the same"
    )
