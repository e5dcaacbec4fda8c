"""The events of a database, also where MariaDB was started with event_scheduler=DISABLED and tells of none."""

import pymysql

from holdfast_mysql.errors import DENIED, error_number, is_without_events
from holdfast_mysql.session import Session

SCHEDULER = "event scheduler"  # what events need of a server


def event_names(session: Session, database: str) -> list[str]:
    """The names of all that the account sees; the server's error where it tells nothing and there could be some."""
    try:
        rows = session.texts(
            "SELECT event_name FROM information_schema.events"
            f" WHERE {session.is_named('event_schema', database)} ORDER BY event_name"
        )
    except pymysql.MySQLError as error:
        if not is_without_events(error):
            raise
        try:
            rows = session.texts(f"SELECT name FROM mysql.event WHERE {session.is_named('db', database)} ORDER BY name")
        except pymysql.MySQLError as other:
            raise (error if error_number(other) in DENIED else other) from None
    return [name for (name,) in rows]


def keeps_events(session: Session) -> bool:
    """Whether events can be made: MySQL makes them whatever its scheduler does."""
    return not session.server.mariadb or session.value("SELECT @@event_scheduler") != "DISABLED"
