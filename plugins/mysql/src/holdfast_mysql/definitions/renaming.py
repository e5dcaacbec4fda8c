"""References of a definition to its own database, made to follow it to another name."""

import re
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import lru_cache

from holdfast_mysql.definitions.client_bytes import in_charset
from holdfast_mysql.definitions.script import QUALIFIED, Statement
from holdfast_mysql.definitions.table_refs import OBJECT, TABLE, classify_names
from holdfast_mysql.definitions.tokens import Token, code, is_text, is_word, replaced
from holdfast_mysql.session import quoted

_PLAIN = re.compile(r"[A-Za-z0-9_]+")


def rename_database(statement: Statement, *, old: str, new: str, objects: Collection[str]) -> bytes:
    """Make references of a definition to its own database `old` point to `new`.

    They are followed where a table is named, whether or not the dump has it, and in `old.x.y`. Where a routine is
    called, `x` has to be one of `objects`: `old` could be a package. An empty `new` leaves the qualification out.
    """
    return replaced(statement.body, _changes(statement, old, new, objects))


def follow_any_name(statement: Statement, *, old: str, objects: Collection[str]) -> Statement:
    """A definition that is of whatever database it is made in, with what it takes to qualify it again as it was."""
    changes = _changes(statement, old, "", objects)
    if not changes:
        return statement
    cuts, gone = [], 0
    for start, end, _ in sorted(changes):
        cuts.append([start - gone, statement.body[start:end].decode(errors="surrogateescape")])
        gone += end - start
    return replace(statement, body=replaced(statement.body, changes), extra={**statement.extra, QUALIFIED: cuts})


def with_names_as_made(statement: Statement, tables: Collection[str]) -> bytes:
    """A definition of a server that folds names, with those of tables and views written as they are."""
    known = {name.lower(): name for name in tables}
    tokens = code(statement.body, statement.sql_mode, charset=statement.character_set_client)
    roles = classify_names(tokens)
    named = {index for index, role in enumerate(roles) if role}
    # Behind the name of the database, and before the name of a column.
    named |= {index + 2 for index in named if is_text(tokens, index + 1, b".")}
    meant = {(tokens[index].name or "").lower() for index in named if index < len(tokens)}
    named |= {index for index in range(len(tokens)) if _qualifies(tokens, index)}
    changes = []
    for index in sorted(index for index in named if index < len(tokens)):
        name = tokens[index].name or ""
        real = known.get(name.lower(), name)
        if real != name and name.lower() in meant:
            changes.append((tokens[index].start, tokens[index].end, _in_the_same_quotes(tokens[index], real)))
    return replaced(statement.body, changes)


def _changes(statement: Statement, old: str, new: str, objects: Collection[str]) -> list[tuple[int, int, bytes]]:
    if not _mentions(statement, old):
        return []
    tokens = code(statement.body, statement.sql_mode, charset=statement.character_set_client)
    changes = []
    for index in _references(statement, tokens, old, objects)[0]:
        start, end = tokens[index].start, tokens[index].end
        if not new:
            end = tokens[index + 2].start
        changes.append((start, end, _in_the_same_quotes(tokens[index], new)))
    return changes


def ambiguous_refs(statement: Statement, *, old: str, objects: Collection[str]) -> list[str]:
    """What `rename_database` takes for columns of something called like the database, and could be objects of it."""
    if not _mentions(statement, old):
        return []
    tokens = code(statement.body, statement.sql_mode, charset=statement.character_set_client)
    ambiguous = _references(statement, tokens, old, objects)[1]
    return sorted({f"{tokens[index].name}.{tokens[index + 2].name}" for index in ambiguous})


def names_in_strings(statement: Statement, *, old: str) -> bool:
    """Whether a definition runs SQL out of a string that names the database, where no reference can follow."""
    tokens = code(statement.body, statement.sql_mode, charset=statement.character_set_client)
    if not any(is_word(tokens, index, "PREPARE", "IMMEDIATE") for index in range(len(tokens))):
        return False
    named = re.compile(rb"(?<![\w$])`?" + re.escape(old.encode()) + rb"`?\s*\.", re.IGNORECASE)
    return any(token.kind == "string" and named.search(token.text) for token in tokens)


def _mentions(statement: Statement, name: str) -> bool:
    """Whether a definition can name something; a name of plain letters is seen without taking the text apart."""
    return not _PLAIN.fullmatch(name) or name.lower().encode() in statement.body.lower()


@lru_cache(maxsize=4)
def _folded(objects: frozenset[str]) -> frozenset[str]:
    """Names in one case: of thousands of definitions each is compared with all names."""
    return frozenset(name.casefold() for name in objects)


def _references(
    statement: Statement, tokens: Sequence[Token], old: str, objects: Collection[str]
) -> tuple[list[int], list[int]]:
    """Where the definition names its own database, and where something else that is called so, if it could be both."""
    name = old.casefold()
    known = _folded(frozenset(objects))
    named = [index for index, token in enumerate(tokens) if (token.name or "").casefold() == name]
    qualifying = [index for index in named if _qualifies(tokens, index)]
    if not qualifying:
        return [], []
    # Something else has that name too: a table, an alias, or the row of a trigger.
    shared = len(qualifying) < len(named)
    is_row = statement.kind == "trigger" and name in ("old", "new")
    roles = classify_names(tokens)
    followed, ambiguous = [], []
    for index in qualifying:
        other = tokens[index + 2].name if index + 2 < len(tokens) else None
        if other is None:
            continue
        if roles[index] == TABLE or _is_fully_qualified(tokens, index):
            followed.append(index)
            continue
        if other.casefold() not in known:
            continue
        called = roles[index] == OBJECT or is_text(tokens, index + 3, b"(")
        if called or not (shared or is_row):
            followed.append(index)
        elif shared:
            ambiguous.append(index)
    return followed, ambiguous


def _qualifies(tokens: Sequence[Token], index: int) -> bool:
    """Whether a name is the first one before a dot."""
    return is_text(tokens, index + 1, b".") and not is_text(tokens, index - 1, b".")


def _is_fully_qualified(tokens: Sequence[Token], index: int) -> bool:
    """Whether a column or a type follows: `database.table.column`, `database.table%ROWTYPE`."""
    return is_text(tokens, index + 3, b".") or (
        is_text(tokens, index + 3, b"%") and is_word(tokens, index + 4, "ROWTYPE")
    )


def _in_the_same_quotes(token: Token, name: str) -> bytes:
    """The name in the same quotes as the token, or in backticks where there were none."""
    if not name:
        return b""
    if token.text[:1] == b'"':
        return in_charset('"' + name.replace('"', '""') + '"', token.charset)
    return in_charset(quoted(name), token.charset)
