"""The definition of a table in two parts: what rows need, and keys that are built quicker when all rows are there."""

import re
from collections.abc import Collection
from dataclasses import dataclass

from holdfast_mysql.definitions.table_text import Clause, table_text
from holdfast_mysql.definitions.tokens import Token, code, replaced, upper_words

_MADE_NAME = re.compile(r"CONSTRAINT_\d+")  # what MariaDB calls a CHECK of a table
# What is not in a text needs no look at its clauses.
_REFERENCES, _COLLATE = re.compile(rb"\bREFERENCES\b", re.IGNORECASE), re.compile(rb"\bCOLLATE\b", re.IGNORECASE)
_TEXT_NUMBER = b"FTS_DOC_ID"
_FIXED = ("UNIQUE", "SPATIAL", "VECTOR", "PERIOD")  # constraints that sort among the keys


@dataclass(frozen=True, kw_only=True)
class SplitDefinition:
    """`create` without the keys and references that ADD clauses make later."""

    create: bytes
    keys: tuple[bytes, ...] = ()
    references: tuple[bytes, ...] = ()


def split_keys(body: bytes) -> SplitDefinition:
    """Take the secondary keys and foreign keys of an InnoDB table out of its definition.

    Keys come back in their order: the server sorts them by class and keeps the order within one, so that only those
    behind the last key that has to stay can be taken out. Full-text keys sort behind all others; they stay, unless the
    table numbers its texts itself.
    """
    table = table_text(body)
    clauses = table.clauses
    if "INNODB" not in upper_words(table.options) or not clauses:
        return SplitDefinition(create=body)
    movable = clauses[_last_fixed(clauses) + 1 :]
    keys = [clause for clause in movable if clause.kind in ("key", "unique")]
    keys += [clause for clause in clauses if clause.kind == "fulltext" and numbers_texts(body)]
    references = [clause for clause in clauses if clause.kind == "reference"]
    out = [clause for clause in clauses if clause in keys or clause in references]
    if not out or len(out) == len(clauses):
        return SplitDefinition(create=body)
    return SplitDefinition(
        create=_without(body, clauses, out),
        keys=tuple(clause.text for clause in keys),
        references=tuple(clause.text for clause in references),
    )


def numbers_texts(body: bytes) -> bool:
    """Whether a table has a column for the numbers of the texts that InnoDB indexes (MySQL 8.4 manual §17.6.2.4).

    With a full-text key MySQL takes no number that is lower, or much larger, than the one before (error 182).
    """
    return _TEXT_NUMBER in body and _TEXT_NUMBER.decode() in column_clauses(body)


def full_text_keys(body: bytes) -> dict[str, bytes]:
    """The clauses of a table's full-text keys by their names."""
    clauses = [clause for clause in table_text(body).clauses if clause.kind == "fulltext"]
    return {name_of(clause.text): clause.text for clause in clauses}


def without_references(body: bytes) -> bytes:
    """A definition without foreign keys."""
    if not _REFERENCES.search(body):
        return body
    clauses = table_text(body).clauses
    out = [clause for clause in clauses if clause.kind == "reference"]
    return _without(body, clauses, out) if out and len(out) < len(clauses) else body


def references_of(body: bytes) -> dict[str, bytes]:
    """The clauses of a table's foreign keys by their names."""
    clauses = [clause for clause in table_text(body).clauses if clause.kind == "reference"]
    return {clause.tokens[1].name or "": clause.text for clause in clauses}


def column_clauses(body: bytes) -> dict[str, bytes]:
    """The clauses of a table's columns by their names."""
    return {clause.tokens[0].name or "": clause.text for clause in table_text(body).clauses if clause.kind == "column"}


def generated_expressions(body: bytes) -> dict[str, bytes]:
    """The expressions of the stored generated columns of a table, by the names of these."""
    expressions = {}
    for clause in table_text(body).clauses:
        words = clause.words
        if clause.kind == "column" and {"GENERATED", "AS"} <= set(words) and {"STORED", "PERSISTENT"} & set(words):
            opening = words.index("AS", words.index("GENERATED")) + 1
            depth, end = 0, opening
            for end in range(opening, len(words)):
                depth += {"(": 1, ")": -1}.get(words[end], 0)
                if not depth:
                    break
            name = clause.tokens[0].name or ""
            expressions[name] = body[clause.tokens[opening].end : clause.tokens[end].start]
    return expressions


def column_tokens(body: bytes) -> list[list[Token]]:
    """The tokens of each column of a table, its name and its type first."""
    return [clause.tokens for clause in table_text(body).clauses if clause.kind == "column"]


def without_made_names(body: bytes) -> bytes:
    """A table of MariaDB without the names that the server gave its CHECKs: they are the same in each table."""
    return without_check_names(body, [name for name in check_names(body) if _MADE_NAME.fullmatch(name)])


def check_names(body: bytes) -> list[str]:
    """The names of a table's CHECKs that have one."""
    return [clause.tokens[1].name or "" for clause in _named_checks(body)]


def without_check_names(body: bytes, names: Collection[str]) -> bytes:
    """A table without some names of its CHECKs, for the server to give them others."""
    return replaced(body, [
        (clause.tokens[0].start, clause.tokens[2].start, b"") for clause in _named_checks(body)
        if clause.tokens[1].name in names
    ])  # fmt: skip


def _named_checks(body: bytes) -> list[Clause]:
    return [clause for clause in table_text(body).clauses
            if clause.words[0] == "CONSTRAINT" and clause.words[2:3] == ["CHECK"]]  # fmt: skip


def name_of(clause: bytes) -> str:
    """The name of a key or constraint in its clause, as the server writes it: the first one that is quoted."""
    return next((token.name or "" for token in code(clause) if token.kind == "name"), "")


def _last_fixed(clauses: list[Clause]) -> int:
    """Where the last key is that has to stay, -1 for none."""
    primary = next((clause for clause in clauses if clause.kind == "primary"), None)
    counter = next((clause.tokens[0].name for clause in clauses if clause.kind == "column"
                    and "AUTO_INCREMENT" in clause.words), None)  # fmt: skip
    # A column that counts has to be the first one of some key.
    needed = counter is not None and (primary is None or primary.first_column != counter)
    last = -1
    for index, clause in enumerate(clauses):
        if clause.kind == "constraint" and clause.words[0] in _FIXED:
            last = index
        elif clause.kind in ("key", "unique"):
            if needed and clause.first_column == counter:
                last, needed = index, False
            elif clause.kind == "unique" and primary is None:
                last = index  # it may be what the table is sorted by
    return last


def _without(body: bytes, clauses: list[Clause], out: list[Clause]) -> bytes:
    changes = []
    first = True
    for clause in clauses:
        start, end = clause.start, clause.end
        if clause in out:
            # With the comma before it; where everything before it is taken out too, with the one behind it.
            if first:
                comma = body.index(b",", end)
                changes.append((start, comma + 1, b""))
            else:
                changes.append((body.rindex(b",", 0, start), end, b""))
        else:
            first = False
    return replaced(body, changes)


def without_inherited_collations(body: bytes) -> bytes:
    """A definition of MySQL 8 without the collations that columns take from their table.

    The server writes COLLATE for a column that inherits one which is not the default of its character set; but read
    back, the clause is one of the column's own, and from then on the server writes CHARACTER SET before it.
    """
    if len(_COLLATE.findall(body)) < 2:
        return body
    table = table_text(body)
    tail = [token.text.lower() for token in table.options]
    own = tail[tail.index(b"collate") + 2] if b"collate" in tail else b""
    changes = []
    for clause in table.clauses:
        words = [token.text.lower() for token in clause.tokens]
        for index, word in enumerate(words[:-1]):
            inherited = clause.kind == "column" and word == b"collate" and words[index + 1] == own
            if inherited and words[index - 3 : index - 1] != [b"character", b"set"]:
                start = clause.tokens[index - 1].end
                changes.append((start, clause.tokens[index + 1].end, b""))
                break
    return replaced(body, changes)
