"""Parameters and variables of routines that say a character set and no collation: what that means is not in the text.

MySQL keeps the collation that `default_collation_for_utf8mb4` meant when the routine was made (MySQL 8.4 manual, that
variable); MariaDB takes what `character_set_collations` of whoever calls it says, whose own values are others since
11.5 (MariaDB 11.5.1 release notes).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

from holdfast_mysql.definitions.script import DEFAULT_COLLATION, Statement
from holdfast_mysql.definitions.tokens import Token, closing, code, is_word, replaced
from holdfast_mysql.session.server import Server

CHARSET = "utf8mb4"
#: What MySQL 8 means by utf8mb4 alone, unless the session says otherwise.
BUILT_IN = "utf8mb4_0900_ai_ci"
#: What MySQL's variable can be besides, and what older servers mean by it.
OTHER = "utf8mb4_general_ci"
#: The character sets for which MariaDB means something else since 11.5.
_UNICODE = frozenset({CHARSET, "utf8mb3", "utf8", "ucs2", "utf16", "utf32"})


def undecided_parameters(statement: Statement) -> list[tuple[int, int]]:
    """The numbers of the parameters that are of utf8mb4 without a collation, and where one would stand."""
    if statement.kind not in ("function", "procedure"):
        return []
    tokens = code(statement.body, statement.sql_mode, charset=statement.character_set_client)
    return [(number, end) for number, end, charset in _of_parameters(tokens) if charset == CHARSET]


def _undecided(statement: Statement) -> list[tuple[int, str]]:
    """Where a collation would stand in parameters and DECLAREd variables that have none, and their character sets."""
    if statement.kind not in ("function", "procedure", "trigger", "event") or b"char" not in statement.body.lower():
        return []
    tokens = code(statement.body, statement.sql_mode, charset=statement.character_set_client)
    parameters = _of_parameters(tokens) if statement.kind in ("function", "procedure") else []
    return [*((end, charset) for _, end, charset in parameters), *_of_variables(tokens)]


def _of_variables(tokens: Sequence[Token]) -> Iterator[tuple[int, str]]:
    """The same of the variables; what follows DEFAULT is an expression, and a cursor's name a query."""
    for index, token in enumerate(tokens):
        if token.text.upper() != b"DECLARE" or token.kind != "word":
            continue
        end = next(
            (
                last
                for last in range(index, len(tokens))
                if tokens[last].text == b";" or is_word(tokens, last, "DEFAULT", "CURSOR", "CONDITION", "HANDLER")
            ),
            len(tokens),
        )
        undecided = _charset_end(tokens[index:end])
        if undecided is not None:
            yield undecided


def _of_parameters(tokens: Sequence[Token]) -> list[tuple[int, int, str]]:
    opening = next((index for index, token in enumerate(tokens) if token.text == b"("), len(tokens))
    if opening == len(tokens):
        return []
    return [
        (number, *undecided)
        for number, parameter in enumerate(_parameters(tokens, opening), 1)
        if (undecided := _charset_end(parameter)) is not None
    ]


def with_default(statement: Statement, collations: Sequence[str]) -> Statement:
    """A routine with the default that its parameters were made under, where the text does not say it.

    `collations` are those of the parameters in their order.
    """
    meant = {collations[number - 1] for number, _ in undecided_parameters(statement) if number <= len(collations)}
    meant -= {"", BUILT_IN}
    if len(meant) != 1:
        return statement
    return replace(statement, extra={**statement.extra, DEFAULT_COLLATION: meant.pop()})


def fit_parameters(statement: Statement, *, source: Server, server: Server, knows: Callable[[str], bool]) -> Statement:
    """A routine whose parameters have the collation that they had, on a server that means another one by utf8mb4."""
    if not source.mariadb and server.mysql_since(8, 0, 11):
        return statement
    extra = {name: value for name, value in statement.extra.items() if name != DEFAULT_COLLATION}
    if source.mariadb == server.mariadb and source.mariadb_since(11, 5) == server.mariadb_since(11, 5):
        return replace(statement, extra=extra)
    changes = []
    for end, charset in _undecided(statement):
        # Between the products only utf8mb4 means something else, and what MySQL meant by it may be kept.
        meant = statement.extra.get(DEFAULT_COLLATION) if charset == CHARSET else ""
        meant = meant or _default_of(source, charset)
        if knows(meant) and (charset == CHARSET or source.mariadb_since(11, 5) != server.mariadb_since(11, 5)):
            changes.append((end, end, f" COLLATE {meant}".encode()))
    return replace(statement, body=replaced(statement.body, changes), extra=extra)


def _default_of(source: Server, charset: str) -> str:
    """What a character set means to callers who have not said otherwise."""
    if source.mysql_since(8, 0) and charset == CHARSET:
        return BUILT_IN
    charset = "utf8mb3" if charset == "utf8" else charset
    return f"{charset}_uca1400_ai_ci" if source.mariadb_since(11, 5) else f"{charset}_general_ci"


def _parameters(tokens: Sequence[Token], opening: int) -> Iterator[Sequence[Token]]:
    """The tokens of each parameter."""
    end, depth, start = closing(tokens, opening), 0, opening + 1
    for index in range(opening + 1, end):
        depth += {b"(": 1, b")": -1}.get(tokens[index].text, 0)
        if tokens[index].text == b"," and not depth:
            yield tokens[start:index]
            start = index + 1
    if start < end:
        yield tokens[start:end]


def _charset_end(parameter: Sequence[Token]) -> tuple[int, str] | None:
    """Where a character set's name ends in a parameter that names one of Unicode, and no collation; and the name."""
    if any(is_word(parameter, index, "COLLATE", "BINARY") for index in range(len(parameter))):
        return None
    for index in range(1, len(parameter)):
        after = is_word(parameter, index - 1, "CHARSET") or (
            is_word(parameter, index - 1, "SET") and is_word(parameter, index - 2, "CHARACTER", "CHAR")
        )
        token = parameter[index]
        name = token.text[1:-1].decode() if token.kind == "string" else token.name
        if after and name and name.lower() in _UNICODE:
            return token.end, name.lower()
    return None
