"""What a definition names that must be there for it to work: tables, views, sequences and routines of its database.

By the text, as the server writes it: names count where a table, a sequence or a routine can stand, and nowhere else.
"""

from collections.abc import Collection, Iterator, Sequence

from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.definitions.table_refs import OBJECT, TABLE, classify_names
from holdfast_mysql.definitions.tokens import Token, closing, code, is_text, is_word, replaced

_SEQUENCE_FUNCTIONS = ("NEXTVAL", "LASTVAL", "SETVAL")


def named_by(statement: Statement, database: str) -> frozenset[str]:
    """The names of what a definition uses of its own database, the one of a routine with `()` behind it."""
    tokens = code(statement.body, statement.sql_mode, charset=statement.character_set_client)
    uses = _of_table(tokens, database) if statement.kind == "table" else _of_code(tokens, database)
    return frozenset(uses)


def sequences_of(statement: Statement, sequences: Collection[str], database: str) -> list[str]:
    """The sequences, of those, that the defaults of a table take numbers from."""
    if statement.kind != "table" or not _takes_numbers(statement.body):
        return []
    return sorted(named_by(statement, database) & set(sequences))


def _takes_numbers(body: bytes) -> bool:
    """Whether a table can take numbers from a sequence, which is seen without taking its text apart."""
    text = body.lower()
    return any(f"{name.lower()}(".encode() in text for name in _SEQUENCE_FUNCTIONS)


def sequences_elsewhere(body: bytes) -> list[str]:
    """The sequences of other databases, as `database.name`, that the defaults of a table take numbers from."""
    if not _takes_numbers(body):
        return []
    tokens = code(body)
    return sorted({f"{tokens[place].name}.{tokens[place + 2].name}" for place in _qualified_sequences(tokens)})


def without_sequences_elsewhere(body: bytes) -> bytes:
    """A table without the defaults that take numbers from sequences of other databases."""
    tokens = code(body)
    changes = []
    for place in _qualified_sequences(tokens):
        start = next(index for index in range(place, 0, -1) if is_word(tokens, index, "DEFAULT"))
        end = closing(tokens, start + 1 if is_text(tokens, start + 1, b"(") else start + 2)
        changes.append((tokens[start - 1].end, tokens[end].end, b""))
    return replaced(body, sorted(set(changes)))


def _qualified_sequences(tokens: Sequence[Token]) -> Iterator[int]:
    """Where in a table's defaults a sequence is named with its database."""
    for index in range(len(tokens)):
        called = is_word(tokens, index, *_SEQUENCE_FUNCTIONS) and is_text(tokens, index + 1, b"(")
        if called and is_text(tokens, index + 3, b"."):
            yield index + 2


def _of_table(tokens: Sequence[Token], database: str) -> Iterator[str]:
    """Parents of foreign keys, sequences of defaults, and the tables of a MERGE table."""
    for index, token in enumerate(tokens):
        if token.kind != "word":
            continue
        if is_word(tokens, index, "REFERENCES"):
            yield from _name_at(tokens, index + 1, database)
        elif is_word(tokens, index, *_SEQUENCE_FUNCTIONS) and is_text(tokens, index + 1, b"("):
            yield from _name_at(tokens, index + 2, database)
        elif is_word(tokens, index, "UNION") and is_text(tokens, index + 1, b"="):
            place = index + 3
            while place < len(tokens) and not is_text(tokens, place, b")"):
                yield from _name_at(tokens, place, database)
                place += 1


def _of_code(tokens: Sequence[Token], database: str) -> Iterator[str]:
    """Tables where one can be named, and whatever is called."""
    roles = classify_names(tokens)
    for index, token in enumerate(tokens):
        if token.name is None or is_text(tokens, index - 1, b"."):
            continue
        last = index + 2 if is_text(tokens, index + 1, b".") else index
        called = is_text(tokens, last + 1, b"(")
        if called or is_word(tokens, index - 1, "CALL"):
            yield from (f"{name}()" for name in _name_at(tokens, index, database))
        if roles[index] in (TABLE, OBJECT) and not called:
            yield from _name_at(tokens, index, database)


def _name_at(tokens: Sequence[Token], index: int, database: str) -> Iterator[str]:
    """The name that stands there, unless it is qualified by another database."""
    if index >= len(tokens) or tokens[index].name is None:
        return
    if not is_text(tokens, index + 1, b"."):
        yield tokens[index].name or ""
    elif (tokens[index].name or "").casefold() == database.casefold() and index + 2 < len(tokens):
        yield tokens[index + 2].name or ""
