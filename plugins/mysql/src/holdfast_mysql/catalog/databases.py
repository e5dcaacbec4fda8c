"""The databases of a server, for backups of all of them."""

from dataclasses import replace

from holdfast.api import DatabaseURL
from holdfast_mysql.errors import translate_errors
from holdfast_mysql.location.database_url import locate
from holdfast_mysql.names import MARKER, SYSTEM
from holdfast_mysql.session import connect


def list_databases(url: str) -> list[str]:
    """The URL of each database that the account sees, without the server's own and those of drills."""
    location = locate(url, database=False)
    session = connect(location)
    try:
        with translate_errors(f"cannot list the databases of {location.server}"):
            drills = session.texts(f"SELECT table_schema FROM information_schema.tables WHERE table_name='{MARKER}'")
            names = session.texts("SELECT schema_name FROM information_schema.schemata ORDER BY schema_name")
    finally:
        session.close()
    parsed = DatabaseURL.parse(url)
    scratch = {name for (name,) in drills if name.startswith("holdfast_drill_")}
    return [
        replace(parsed, path=f"/{name}").text()
        for (name,) in names
        if name.lower() not in SYSTEM and name not in scratch
    ]
