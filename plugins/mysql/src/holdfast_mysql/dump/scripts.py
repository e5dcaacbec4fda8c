"""The scripts of a dump, which Holdfast reads exactly, and which a client runs in a database of any name."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from holdfast_mysql.catalog.definitions import BROKEN_VIEW, ORPHANED_VIEW
from holdfast_mysql.definitions.create_table import full_text_keys, numbers_texts
from holdfast_mysql.definitions.renaming import follow_any_name
from holdfast_mysql.definitions.rewrite import dropped, stripped
from holdfast_mysql.definitions.script import BY_HAND, Statement
from holdfast_mysql.definitions.view_order import named_in
from holdfast_mysql.session import quoted


def portable(statements: Iterable[Statement], database: str, names: Sequence[str]) -> list[Statement]:
    """Definitions that lead to no database by the name of their own; `names` are those of all objects."""
    statements = list(statements)
    objects = frozenset((*names, *(statement.table for statement in statements)))
    return [
        statement
        if statement.kind in ("database", "table", "rows", "sequence", "sequence state", "account", "grant")
        else follow_any_name(statement, old=database, objects=objects)
        for statement in statements
    ]


def in_order_for_clients(statements: Sequence[Statement]) -> Iterator[Statement]:
    """The definitions in an order in which a client can make them, with what it needs besides.

    No view can be made above what has a definer that is gone, or that has no rights in this database, as under another
    name. Such views, and all functions, which they may call, come first without their definers, and then again with
    them, those above before those that they read.
    """
    # Broken ones, which no client makes, are in an order of their own.
    views = [each for each in statements if each.kind == "view" and not each.extra.items() >= BROKEN_VIEW.items()]
    orphans = [view for view in views if view.extra.items() >= ORPHANED_VIEW.items()]
    if _reads_others(statements, views):
        orphans = views
    if not orphans:
        yield from statements
        return
    functions = [statement for statement in statements if statement.kind == "function"]
    for statement in statements:
        if statement in orphans or statement in functions:
            yield _by_hand(stripped(statement))
        elif statement.kind not in ("trigger", "event"):
            yield statement
    for statement in [*reversed(orphans), *functions]:
        yield _by_hand(dropped(statement))
        yield statement
    yield from (statement for statement in statements if statement.kind in ("trigger", "event"))


def without_text_keys(tables: Iterable[Statement]) -> Iterator[Statement]:
    """Definitions before rows: a client takes the full-text keys away that would not take the numbers of texts."""
    for table in tables:
        yield table
        if names := _text_keys(table):
            dropped_keys = ", ".join(f"DROP KEY {quoted(name)}" for name in names)
            yield _of_client(table, f"ALTER TABLE {quoted(table.name)} {dropped_keys}".encode())


def text_keys_again(tables: Iterable[Statement]) -> Iterator[Statement]:
    """What a client does when the rows are there: one key at a time, for MySQL builds no two at once."""
    for table in tables:
        for clause in _text_keys(table).values():
            yield _of_client(table, b"ALTER TABLE " + quoted(table.name).encode() + b" ADD " + clause)


def _text_keys(table: Statement) -> dict[str, bytes]:
    return full_text_keys(table.body) if table.kind == "table" and numbers_texts(table.body) else {}


def _of_client(table: Statement, body: bytes) -> Statement:
    return Statement(kind=BY_HAND, name=table.name, body=body)


def _reads_others(statements: Sequence[Statement], views: Sequence[Statement]) -> bool:
    """Whether a view reads or calls what has a definer of its own."""
    functions = {each.name.casefold() for each in statements if each.kind == "function"}
    names = {view.name.casefold() for view in views} | functions
    return any((named_in(view) - {view.name.casefold()}) & names for view in views)


def _by_hand(statement: Statement) -> Statement:
    return replace(statement, kind=BY_HAND, extra={})
