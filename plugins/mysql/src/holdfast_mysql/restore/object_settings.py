"""The settings that a view, routine, trigger or event was made under, for the moment in which it is made again."""

from collections.abc import Iterator
from contextlib import contextmanager

from holdfast_mysql.definitions.parameters import BUILT_IN
from holdfast_mysql.definitions.script import DEFAULT_COLLATION, OF_SESSION, Statement
from holdfast_mysql.session import Session


@contextmanager
def made_under(session: Session, statement: Statement) -> Iterator[None]:
    """Set what a statement says of its settings, until the next one that is made; one that fails ends there too."""
    session.execute(OF_SESSION)
    if settings := statement.settings():
        session.execute("SET " + ", ".join(settings))
    try:
        yield
    finally:
        if DEFAULT_COLLATION in statement.extra:  # which no other one says
            session.execute(f"SET {DEFAULT_COLLATION}={BUILT_IN}")
