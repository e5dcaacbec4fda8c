"""The databases of a server, for backups of all of them."""

import logging
from dataclasses import replace

from holdfast.api import DatabaseURL, quote_name
from holdfast_mysql.catalog.replacements import is_of_replacement
from holdfast_mysql.errors import translate_errors
from holdfast_mysql.location.database_url import locate
from holdfast_mysql.names import MARKER, SYSTEM
from holdfast_mysql.session import Session, connect, literal

log = logging.getLogger("holdfast.mysql")

_NOT_ENCODED = "#mysql50#"  # before the name of a folder or a file that is not encoded as names are


def is_read_only(session: Session, database: str) -> bool:
    """Whether nothing in a database of MySQL may be changed (ALTER DATABASE … READ ONLY=1)."""
    return session.server.mysql_since(8, 0, 22) and "READ ONLY=1" in session.value(
        f"SELECT options FROM information_schema.schemata_extensions WHERE schema_name={literal(database)}"
    )


def list_databases(url: str) -> list[str]:
    """The URL of each database that the account sees, without the server's own and those of drills."""
    location = locate(url, database=False)
    session = connect(location)
    try:
        with translate_errors(f"cannot list the databases of {location.server}"):
            drills = session.texts(f"SELECT table_schema FROM information_schema.tables WHERE table_name='{MARKER}'")
            listed = session.texts("SELECT schema_name FROM information_schema.schemata ORDER BY schema_name")
            names = [name for (name,) in listed if not (_is_stray(session, name) or _is_left(session, name))]
    finally:
        session.close()
    parsed = DatabaseURL.parse(url)
    scratch = {name for (name,) in drills if name.startswith("holdfast_drill_")}
    return [
        replace(parsed, path=f"/{name}").text() for name in names if name.lower() not in SYSTEM and name not in scratch
    ]


def _is_left(session: Session, name: str) -> bool:
    """Whether it is what a replacement has beside its target, or has left: the next restore there sees to it."""
    left = is_of_replacement(session, name)
    if left:
        log.warning("database %s is of a replacement that is under way or was cut off, and left out", quote_name(name))
    return left


def _is_stray(session: Session, name: str) -> bool:
    """Whether it is a folder in the data directory that MariaDB takes for a database, such as lost+found.

    No database is made under such a name; one of before MySQL 5.1 can have it, and then it has tables.
    """
    if not name.startswith(_NOT_ENCODED):
        return False
    tables = session.rows(f"SELECT 1 FROM information_schema.tables WHERE table_schema={literal(name)} LIMIT 1")
    if not tables:
        folder = quote_name(name.removeprefix(_NOT_ENCODED))
        log.warning("folder %s in the server's data directory is no database, and left out", folder)
    return not tables
