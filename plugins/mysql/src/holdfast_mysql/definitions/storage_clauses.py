"""The clauses of a table that say how and where it is kept, which another server may not be able to do.

Without them a table holds the same rows. Sources: MySQL 8.4 manual §15.1.20, MariaDB "CREATE TABLE".
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

from holdfast_mysql.definitions.storage_kinds import OPTIONS
from holdfast_mysql.definitions.table_text import table_text
from holdfast_mysql.definitions.tokens import Token, is_text, is_word, replaced

#: Kind of clause by the name of an option, in lower case.
KIND_OF = {name: kind for kind, names in OPTIONS.items() for name in names}


@dataclass(frozen=True, kw_only=True)
class StorageClause:
    """One clause: its kind, its name in lower case, its value without quotes, and where it is."""

    kind: str
    name: str
    value: str
    start: int
    end: int


def storage_clauses(body: bytes) -> Iterator[StorageClause]:
    """The clauses of a table as SHOW CREATE TABLE writes them, those of its partitions too."""
    table = table_text(body)
    tail, tokens = table.options_start, table.tokens
    for index, token in enumerate(tokens):
        if token.start >= tail:
            yield from _option(tokens, index)
        elif token.kind == "word" and token.text == b"COMPRESSED":
            yield StorageClause(kind="compression", name="column", value="", start=token.start, end=token.end)


def without_storage(body: bytes, kinds: Collection[str]) -> bytes:
    """A table without the clauses of some kinds; InnoDB is no engine to take away."""
    clauses = [clause for clause in storage_clauses(body) if clause.kind in kinds and clause.value.lower() != "innodb"]
    if not any(clause.name == "engine" for clause in clauses):
        clauses = [clause for clause in clauses if clause.kind != "engine"]
    return replaced(body, [(clause.start, clause.end, b"") for clause in clauses])


def without_column_storage(body: bytes) -> bytes:
    """A table of MySQL without what its columns say of how NDB or a secondary engine keeps them.

    MySQL writes it, for InnoDB too where it means nothing, in comments that MariaDB reads and does not understand.
    """
    table = table_text(body)
    tail, tokens = table.options_start, table.tokens
    changes = []
    for index in range(len(tokens) - 1):
        first, second = tokens[index], tokens[index + 1]
        kept = is_word(tokens, index, "COLUMN_FORMAT", "STORAGE") and second.kind == "word"
        if first.start < tail and (kept or (is_word(tokens, index, "NOT") and is_word(tokens, index + 1, "SECONDARY"))):
            changes.append((first.start, second.end, b""))
    return replaced(body, changes)


def _option(tokens: Sequence[Token], index: int) -> Iterator[StorageClause]:
    token = tokens[index]
    name, after = (token.name or "").lower(), index + 1
    if name in ("data", "index") and after < len(tokens) and tokens[after].text.upper() == b"DIRECTORY":
        name, after = f"{name} directory", after + 1
    kind = KIND_OF.get(name)
    equals = is_text(tokens, after, b"=")
    if kind is None or (not equals and name != "tablespace"):
        return
    value = tokens[after + 1] if equals else tokens[after]
    text = value.name if value.name is not None else value.text.strip(b"'\"").decode(errors="replace")
    yield StorageClause(kind=kind, name=name, value=text, start=token.start, end=value.end)
