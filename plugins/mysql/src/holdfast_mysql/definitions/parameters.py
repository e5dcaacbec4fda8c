"""Parameters of routines that say a character set and no collation: what that means is not in their text.

MySQL keeps the collation that `default_collation_for_utf8mb4` meant when the routine was made (MySQL 8.4 manual, that
variable); MariaDB takes what `character_set_collations` of whoever calls it says.
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


def undecided_parameters(statement: Statement) -> list[tuple[int, int]]:
    """The numbers of the parameters that are of utf8mb4 without a collation, and where one would stand."""
    if statement.kind not in ("function", "procedure"):
        return []
    tokens = code(statement.body, statement.sql_mode, charset=statement.character_set_client)
    opening = next((index for index, token in enumerate(tokens) if token.text == b"("), len(tokens))
    if opening == len(tokens):
        return []
    return [
        (number, end)
        for number, parameter in enumerate(_parameters(tokens, opening), 1)
        if (end := _charset_end(parameter)) is not None
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
    ends = [end for _, end in undecided_parameters(statement)]
    meant = statement.extra.get(DEFAULT_COLLATION) or _default_of(source)
    if not ends or (not source.mariadb and server.mysql_since(8, 0, 11)):
        return statement
    extra = {name: value for name, value in statement.extra.items() if name != DEFAULT_COLLATION}
    if source.mariadb == server.mariadb or not knows(meant):
        return replace(statement, extra=extra)
    clause = f" COLLATE {meant}".encode()
    body = replaced(statement.body, [(end, end, clause) for end in ends])
    return replace(statement, body=body, extra=extra)


def _default_of(source: Server) -> str:
    """What utf8mb4 means to callers who have not said otherwise."""
    if source.mysql_since(8, 0):
        return BUILT_IN
    return "utf8mb4_uca1400_ai_ci" if source.mariadb_since(11, 5) else OTHER


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


def _charset_end(parameter: Sequence[Token]) -> int | None:
    """Where the name of utf8mb4 ends in a parameter that names it, and no collation; None for another one."""
    if any(is_word(parameter, index, "COLLATE", "BINARY") for index in range(len(parameter))):
        return None
    for index in range(1, len(parameter)):
        after = is_word(parameter, index - 1, "CHARSET") or (
            is_word(parameter, index - 1, "SET") and is_word(parameter, index - 2, "CHARACTER", "CHAR")
        )
        token = parameter[index]
        name = token.text[1:-1].decode() if token.kind == "string" else token.name
        if after and name and name.lower() == CHARSET:
            return token.end
    return None
