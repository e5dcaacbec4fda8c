"""What a backup needs of the server that it is restored into, found out before anything there is touched."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from holdfast.api import quote_name
from holdfast_mysql.catalog.tables import Table
from holdfast_mysql.definitions.collations import StandIns, known_collations
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.session import Server, Session

_SHOWN = 50  # names that the manifest keeps of each need; the count is kept besides
_COLLATION = re.compile(rb"\bCOLLATE[ =]([a-z0-9_]+)", re.IGNORECASE)

# Types and objects that only one of the two knows, and since when.
_MARIADB_TYPES = {"uuid": (10, 7), "inet6": (10, 5), "inet4": (10, 10), "vector": (11, 7), "xmltype": (12, 1)}
_MYSQL_TYPES = {"vector": (9, 0), "json": (5, 7)}
_MARIADB_OBJECTS = {
    "sequence": (10, 3),
    "package": (10, 3),
    "package body": (10, 3),
    "system versioning": (10, 11),
    "application period": (10, 4),
    "aggregate function": (10, 3),
}
_FEATURES = {
    "application period": re.compile(rb"\bPERIOD FOR `", re.IGNORECASE),
    "ignored index": re.compile(rb"\) IGNORED[,\n]"),
}
# What MySQL writes in comments for newer versions, and MariaDB passes over.
_MYSQL_CLAUSES = re.compile(rb"/\*!8\d{4} ([A-Z][A-Z ]*)")


def requirements_of(tables: Sequence[Table], statements: Sequence[Statement]) -> dict[str, list[Any]]:
    """Each need with the number of objects that have it and the names of the first of them."""
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
    for statement in statements:
        for need in _statement_needs(statement):
            add(need, statement.name)
    return {need: [len(names), list(names)[:_SHOWN]] for need, names in sorted(holders.items())}


def _statement_needs(statement: Statement) -> Iterator[str]:
    if statement.kind in _MARIADB_OBJECTS:
        yield f"object {statement.kind}"
    if statement.kind == "function" and re.match(rb"CREATE[^(]*\bAGGREGATE\b", statement.body, re.IGNORECASE):
        yield "object aggregate function"
    if statement.kind == "table":
        for match in _COLLATION.finditer(statement.body):
            yield f"collation {match[1].decode().lower()}"
        for match in _MYSQL_CLAUSES.finditer(statement.body):
            yield f"clause {match[1].decode().strip()}"
        for name, pattern in _FEATURES.items():
            if pattern.search(statement.body):
                yield f"object {name}"


def unmet(session: Session, needs: Mapping[str, Any], *, source: Server) -> list[str]:
    """One line for each need that the server does not meet."""
    engines = {name.lower() for name, on in session.texts("SELECT engine, support FROM information_schema.engines")
               if on in ("YES", "DEFAULT")}  # fmt: skip
    collations = StandIns(known_collations(session))
    lines = []
    for need, (count, names) in needs.items():
        kind, _, what = need.partition(" ")
        met = {
            "engine": what.lower() in engines,
            "collation": what in collations.known or collations.of(what) is not None,
            "type": _has_type(what, session.server, source),
            "object": _has_object(what, session.server),
        }
        if not met.get(kind, True):
            more = f" and {count - 5} more" if count > 5 else ""
            lines.append(f"{kind.replace('object', '').strip()} {what}".strip() + f" ({', '.join(names[:5])}{more})")
    return lines


def recomputed_warning(name: str, count: int) -> str:
    """What to know of a stored generated column, `table.column`, that a restore computes otherwise."""
    values = "1 value" if count == 1 else f"{count} values"
    return (
        f"column {quote_name(name)} is generated and stored, and a restore, which computes it in UTC, changes {values} "
        "of it: they were computed in another time zone or language"
    )


def ignored_clauses(needs: Mapping[str, Any], *, source: Server, target: Server) -> list[str]:
    """Clauses that the target passes over: MySQL's versioned comments on MariaDB."""
    if source.mariadb or not target.mariadb:
        return []
    return [f"{need.partition(' ')[2]} ({', '.join(names[:5])})" for need, (_, names) in needs.items()
            if need.startswith("clause ")]  # fmt: skip


def _has_type(kind: str, server: Server, source: Server) -> bool:
    if server.mariadb == source.mariadb and server.version >= source.version:
        return True
    if kind == "vector" and server.mariadb != source.mariadb:
        return False  # the same name, but other functions and text
    own, other = (_MARIADB_TYPES, _MYSQL_TYPES) if server.mariadb else (_MYSQL_TYPES, _MARIADB_TYPES)
    if kind in own:
        return server.version[:2] >= own[kind]
    return kind not in other or (kind == "json" and server.mariadb)


def _has_object(kind: str, server: Server) -> bool:
    return server.mariadb and server.version[:2] >= _MARIADB_OBJECTS.get(kind, (10, 6))
