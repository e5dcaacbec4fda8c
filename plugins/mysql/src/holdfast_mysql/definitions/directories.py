"""The clauses DATA DIRECTORY and INDEX DIRECTORY of a table whose files lie there under the table's bare name."""

from dataclasses import dataclass

from holdfast_mysql.definitions.tokens import Token, code, is_text, is_word, replaced
from holdfast_mysql.session import quoted

# InnoDB makes a folder for each database there, so that two tables of one name do not meet.
BARE, INNODB = frozenset({b"MYISAM", b"ARIA"}), frozenset({b"INNODB"})


@dataclass(frozen=True, kw_only=True)
class _Clause:
    start: int
    end: int


def without_directories(body: bytes, engines: frozenset[bytes] = BARE) -> bytes:
    """A table's definition without these clauses, its partitions' ones too; that of another engine stays as it is."""
    return replaced(body, [(clause.start, clause.end, b"") for clause in _clauses(body, engines)])


def has_directories(body: bytes) -> bool:
    """Whether files of the table lie in folders that it names."""
    return bool(_clauses(body, BARE))


def renamed(body: bytes, name: str) -> bytes:
    """A definition as the server shows it, of a table with another name."""
    token = code(body)[2]
    return replaced(body, [(token.start, token.end, quoted(name).encode())])


def _clauses(body: bytes, expected: frozenset[bytes]) -> list[_Clause]:
    if b" DIRECTORY" not in body:
        return []
    tokens = code(body)
    engines = {
        tokens[index + 2].text.upper()
        for index in range(len(tokens) - 2)
        if is_word(tokens, index, "ENGINE") and is_text(tokens, index + 1, b"=")
    }
    if not engines <= expected:
        return []
    return [
        _Clause(start=_start(tokens, index), end=tokens[index + 3].end)
        for index in range(len(tokens) - 3)
        if is_word(tokens, index, "DATA", "INDEX")
        and is_word(tokens, index + 1, "DIRECTORY")
        and is_text(tokens, index + 2, b"=")
        and tokens[index + 3].kind == "string"
    ]


def _start(tokens: list[Token], index: int) -> int:
    """Where a clause begins, with the space before it."""
    return tokens[index - 1].end
