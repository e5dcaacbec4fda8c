"""Options of tables that a storage engine of MariaDB does not know, or not with that value.

It takes them where the sql_mode has IGNORE_BAD_TABLE_OPTIONS, and keeps them, as ALTER TABLE keeps those of an engine
that a table had before.
"""

from holdfast_mysql.restore.server_warnings import ServerWarning, read_warnings
from holdfast_mysql.session import Session

BAD_OPTIONS = frozenset({1911, 1912})


def make_with_bad_options(session: Session, body: bytes) -> list[ServerWarning]:
    """Make a table as it was made once; returns what the server says of it."""
    session.execute("SET @holdfast_mode=@@sql_mode, sql_mode=CONCAT(@@sql_mode, ',IGNORE_BAD_TABLE_OPTIONS')")
    try:
        return read_warnings(session) if session.execute(body) else []
    finally:
        session.execute("SET sql_mode=@holdfast_mode, @holdfast_mode=NULL")
