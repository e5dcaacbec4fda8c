"""Tables and functions of other databases that a view reads, and others in their place: what a drill has not."""

from collections.abc import Mapping, Sequence

from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.definitions.table_refs import TABLE, classify_names
from holdfast_mysql.definitions.tokens import Token, closing, code, is_text, replaced
from holdfast_mysql.session import quoted

TableName = tuple[str, str]  # of its database, and its own


def tables_elsewhere(view: Statement, database: str) -> list[TableName]:
    """The tables and views of other databases that it names, as the server writes it."""
    tokens = code(view.body, view.sql_mode, charset=view.character_set_client)
    roles = classify_names(tokens)
    named = set()
    for index, role in enumerate(roles[:-2]):
        first, second = tokens[index].name, tokens[index + 2].name
        if role == TABLE and first and second and is_text(tokens, index + 1, b"."):
            named.add((first, second))
    return sorted(table for table in named if table[0].casefold() != database.casefold())


def functions_elsewhere(view: Statement, database: str) -> dict[TableName, int]:
    """The functions of other databases that it calls, as the server writes it, each with the number of its values."""
    tokens = code(view.body, view.sql_mode, charset=view.character_set_client)
    called = {}
    for index in range(len(tokens) - 3):
        first, second = tokens[index].name, tokens[index + 2].name
        qualified = is_text(tokens, index + 1, b".") and not is_text(tokens, index - 1, b".")
        if (
            first
            and second
            and qualified
            and is_text(tokens, index + 3, b"(")
            and first.casefold() != database.casefold()
        ):
            called[first, second] = _count_values(tokens, index + 3)
    return called


def _count_values(tokens: Sequence[Token], opening: int) -> int:
    """How many values stand between parentheses."""
    end = closing(tokens, opening)
    depth, commas = 0, 0
    for token in tokens[opening:end]:
        depth += {b"(": 1, b")": -1}.get(token.text, 0)
        commas += token.text == b"," and depth == 1
    return commas + 1 if end > opening + 1 else 0


def with_tables(view: Statement, others: Mapping[TableName, TableName]) -> bytes:
    """The view with other tables and functions in the place of those, also where its columns name them."""
    tokens = code(view.body, view.sql_mode, charset=view.character_set_client)
    changes = []
    for index in range(len(tokens) - 2):
        table = (tokens[index].name or "", tokens[index + 2].name or "")
        if table in others and is_text(tokens, index + 1, b".") and not is_text(tokens, index - 1, b"."):
            changes.append((tokens[index].start, tokens[index + 2].end, ".".join(map(quoted, others[table])).encode()))
    return replaced(view.body, changes)


def as_elsewhere(view: Statement, database: str, stand_ins: Mapping[str, TableName]) -> bytes:
    """The view with the tables of other databases again for which some of its own stood in, under unique names.

    A server leaves out the name of the view's own database where all that it reads is there.
    """
    tokens = code(view.body, view.sql_mode, charset=view.character_set_client)
    changes = []
    for index, token in enumerate(tokens):
        table = stand_ins.get(token.name or "")
        if table is None:
            continue
        qualified = index > 1 and is_text(tokens, index - 1, b".") and tokens[index - 2].name == database
        start = tokens[index - 2 if qualified else index].start
        changes.append((start, token.end, ".".join(map(quoted, table)).encode()))
    return replaced(view.body, changes)
