"""Settings under which a server reads what is damaged as if it were not, without an error.

Forums advise `zero_damaged_pages` to get on with a damaged table, and it is forgotten: a backup then lacks the rows of
such pages, ends well, and its proof knows no better. Manual: chapter "Developer Options".
"""

from collections.abc import Sequence

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.location import Location
from holdfast_postgres.session import Server

_NAMES = ["zero_damaged_pages", "ignore_checksum_failure"]
_QUERY = "SELECT name, source FROM pg_catalog.pg_settings WHERE name = ANY (%s) AND setting = 'on' ORDER BY name"


def without_leniency(
    connection: "Connection[TupleRow]", location: Location, server: Server, *, pooled: bool
) -> tuple[Location, tuple[str, ...]]:
    """The location whose sessions have none of these settings, as far as the role may, and those that are on.

    What its URL asks for stays; `connection` is changed alike.
    """
    rows = connection.execute(_QUERY, (_NAMES,)).fetchall()
    names = [name for name, source in rows if source != "client"]
    if names and server.superuser and not pooled:
        for name in names:
            connection.execute(f"SET {name} TO off")
        location = location.with_options(dict.fromkeys(names, "off"))
    return location, tuple(name for name, _ in rows)


def leniency_warnings(names: Sequence[str]) -> list[str]:
    """What these settings mean for a backup, also where its own sessions have them no more."""
    return [
        f"{name} is on: the server reads what is damaged as if it were not, so that rows may be missing without an "
        "error; what others have read so stays in its memory. Switch it off, restart the server, and back up again"
        for name in names
    ]
