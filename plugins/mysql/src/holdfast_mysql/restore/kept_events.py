"""Events that a server drops as soon as they are made."""

import logging

from holdfast.api import quote_name
from holdfast_mysql.names import OBJECTS
from holdfast_mysql.session import Session, literal

log = logging.getLogger("holdfast.mysql")


def why_not_there(session: Session, database: str, event: str) -> str:
    """Why the server has not kept an event, empty if it has: it drops one whose time has passed, and only says so."""
    if session.rows(f"SHOW EVENTS WHERE name={literal(event)} AND db={literal(database)}"):
        return ""
    why = "its time has passed, and the server makes no such event"
    log.warning(
        "event %s is not made: %s; its definition is in the stream %s of the backup",
        quote_name(event), why, OBJECTS,
    )  # fmt: skip
    return why
