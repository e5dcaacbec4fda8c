"""What a selection needs to work where it is restored: brought along where that is small, and told of otherwise."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace

from holdfast.api import quote_name
from holdfast_mysql.catalog.selection import Selection
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.definitions.uses import named_by, sequences_of


def with_sequences(
    tables: Sequence[Statement], selection: Selection, sequences: Collection[str], database: str
) -> tuple[Selection, tuple[str, ...]]:
    """A selection with the sequences that defaults of its tables need; those that a pattern excludes stay out."""
    needed = {name for table in tables for name in sequences_of(table, sequences, database)}
    brought = sorted(
        name for name in needed
        if name not in selection and name not in selection.without and not selection.excludes(name)
    )  # fmt: skip
    return replace(selection, brought=frozenset(brought)), tuple(brought)


def missing_needs(statements: Sequence[Statement], database: str, known: Collection[str]) -> Iterator[str]:
    """What of the names in `known` a backup has not, although a table, a view or a trigger of it uses it."""
    there = {_key(statement) for statement in statements}
    absent = {name.casefold(): name for name in known if name.casefold() not in there}
    for statement in statements if absent else ():
        if statement.kind in ("table", "view", "trigger"):
            used = {absent[name.casefold()] for name in named_by(statement, database) if name.casefold() in absent}
            if used:
                names = ", ".join(map(quote_name, sorted(used)))
                yield f"{statement.kind} {quote_name(statement.name)} uses {names}"


def _key(statement: Statement) -> str:
    name = statement.name.casefold()
    return name if statement.kind in ("table", "sequence", "view") else f"{name}()"
