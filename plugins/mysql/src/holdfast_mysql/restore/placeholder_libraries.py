"""Routines of MySQL made although a library that they import is gone: it stands there for that moment.

A server makes no such routine, but keeps one whose library goes.
"""

import re
from collections.abc import Callable

import pymysql

from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.definitions.tokens import code, is_text, is_word
from holdfast_mysql.errors import error_number
from holdfast_mysql.session import Session, quoted

_NOT_THERE = 1305
_LIBRARY = re.compile(r"LIBRARY (.+) does not exist", re.DOTALL)


def imports_libraries(routine: Statement) -> bool:
    """Whether the server looks for libraries when it makes a routine."""
    tokens = code(routine.body, routine.sql_mode, charset=routine.character_set_client)
    return any(is_word(tokens, index, "USING") and is_text(tokens, index + 1, b"(") for index in range(len(tokens)))


def make_importing(session: Session, database: str, statement: Statement, create: Callable[[], None]) -> list[str]:
    """Call `create` until every library of `database` is there, and return those that were not.

    What is missing elsewhere, or besides libraries, is raised.
    """
    stand_ins: list[str] = []
    try:
        while True:
            try:
                create()
            except pymysql.MySQLError as error:
                match = _LIBRARY.search(str(error.args[-1])) if error_number(error) == _NOT_THERE else None
                name = match[1].rpartition(".")[2].strip("`") if match else ""
                if not name or name in stand_ins:
                    raise
                session.execute(f"CREATE LIBRARY {_place(database, name)} LANGUAGE {_language(statement)} AS ''")
                stand_ins.append(name)
            else:
                return stand_ins
    finally:
        for name in stand_ins:
            session.execute(f"DROP LIBRARY {_place(database, name)}")


def _place(database: str, name: str) -> str:
    return f"{quoted(database)}.{quoted(name)}"


def _language(statement: Statement) -> str:
    tokens = code(statement.body, statement.sql_mode, charset=statement.character_set_client)
    index = next(index for index in range(len(tokens)) if is_word(tokens, index, "LANGUAGE"))
    return tokens[index + 1].text.decode()
