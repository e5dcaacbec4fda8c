"""Views that the server does not open, or in MariaDB only in a session with the collation in which they were made."""

from collections.abc import Callable
from typing import TypeVar

import pymysql

from holdfast.api import HoldfastError
from holdfast_mysql.errors import NO_DATABASE, error_number, server_error
from holdfast_mysql.session import Session, literal, plain_literal

Result = TypeVar("Result")

_NO_DEFINER = 1449
# Illegal mix of collations, of two, three or more.
_MIXED = frozenset({1267, 1270, 1271})


def is_of_view(error: pymysql.MySQLError) -> bool:
    """Whether a view is why it cannot be opened, and not who asks, a lock or the connection.

    Such are views that name an index or a partition which is gone, a loadable function or a definer, that read
    themselves by way of others, or that MySQL has written so that it cannot read them.
    """
    number = error_number(error)
    if number in (_NO_DEFINER, NO_DATABASE):
        return True
    return number not in _MIXED and type(server_error(error, "")) is HoldfastError


def read_as_made(session: Session, database: str, name: str, read: Callable[[str], Result]) -> Result:
    """Read a view; where its texts do not fit together in the session's collation, in that of its own."""
    try:
        return read(name)
    except HoldfastError as error:
        if error.__cause__ is None or error_number(error.__cause__) not in _MIXED:
            raise
        own = session.value(
            "SELECT collation_connection FROM information_schema.views"
            f" WHERE {session.is_named('table_schema', database)} AND table_name={literal(name)}"
        )
        before = session.value("SELECT @@collation_connection")
        if own in ("", before):
            raise
        session.execute(f"SET collation_connection={plain_literal(own)}")
        try:
            return read(name)
        finally:
            session.execute(f"SET collation_connection={plain_literal(before)}")
