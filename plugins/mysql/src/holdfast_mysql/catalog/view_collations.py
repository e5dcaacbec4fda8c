"""Views of MariaDB that only a session with the collation can open in which they were made."""

from collections.abc import Callable
from typing import TypeVar

from holdfast.api import HoldfastError
from holdfast_mysql.errors import error_number
from holdfast_mysql.session import Session, literal, plain_literal

Result = TypeVar("Result")

# Illegal mix of collations, of two, three or more.
_MIXED = frozenset({1267, 1270, 1271})


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
