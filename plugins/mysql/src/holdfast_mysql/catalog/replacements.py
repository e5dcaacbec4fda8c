"""Databases that a replacement has beside its target while it is under way, or that one which was cut off has left."""

import json
import re
from collections.abc import Iterator

import pymysql

from holdfast.api import LockedError, quote_name
from holdfast_mysql.session import Session, literal, quoted

BUILDING, SWAPPING, FINISHING, UNDOING, DONE = "building", "swapping", "finishing", "undoing", "done"
_LONGEST = 64  # characters of a name
_TOKEN = re.compile(r"[0-9a-f]{8}")
_TABLE = "holdfast_restore_"


def building_name(database: str, token: str) -> str:
    """The database that is built in."""
    end = f"_holdfast_{token}"
    return database[: _LONGEST - len(end)] + end


def away_name(database: str, token: str) -> str:
    """The database that the old tables go into."""
    return building_name(database, f"old_{token}")


def kept_name(database: str, token: str) -> str:
    """The database that keeps what programs wrote into new tables which had to go again."""
    return building_name(database, f"kept_{token}")


def table_name(token: str) -> str:
    """The table that the journal is."""
    return f"{_TABLE}{token}"


def lock_name(token: str) -> str:
    """The advisory lock that whoever works on a replacement holds."""
    return f"holdfast_restore_{token}"


def find_tokens(session: Session, target: str) -> Iterator[str]:
    """The tokens of replacements of that target whose databases are there."""
    folded = session.value("SELECT @@lower_case_table_names") != "0"
    for (name,) in session.texts("SELECT schema_name FROM information_schema.schemata"):
        token = name[-8:]
        expected = building_name(target, token)
        same = name.casefold() == expected.casefold() if folded else name == expected
        if same and _TOKEN.fullmatch(token):
            yield token


def is_of_replacement(session: Session, name: str) -> bool:
    """Whether a database is of a replacement: it bears the name, and holds the journal or what marks the other one."""
    token = name[-8:]
    if not (_TOKEN.fullmatch(token) and name[:-8].endswith(("_holdfast_", "_holdfast_old_"))):
        return False
    table = literal(table_name(token))
    where = f"{session.is_named('table_schema', name)} AND table_name={table}"
    return bool(session.rows(f"SELECT 1 FROM information_schema.tables WHERE {where}"))


def unsettled(session: Session, database: str) -> str:
    """What to know of a database whose tables, views, routines, triggers and events a replacement was changing.

    One that is under way is a `LockedError`: what is missing at this moment would be missing in a backup.
    """
    for token in list(find_tokens(session, database)):
        if _state(session, database, token) not in (SWAPPING, FINISHING, UNDOING):
            continue
        if session.value(f"SELECT IS_FREE_LOCK({literal(lock_name(token))})") != "1":
            raise LockedError(f"a restore is replacing database {quote_name(database)} at this moment")
        return (
            f"a replacement of {quote_name(database)} was cut off while it changed it, and the backup may be without "
            "views, routines, triggers, events and tables that it had: the next restore into it puts it right first, "
            f"from the journal in {quote_name(building_name(database, token))}"
        )
    return ""


def _state(session: Session, database: str, token: str) -> str:
    place = f"{quoted(building_name(database, token))}.{quoted(table_name(token))}"
    try:
        rows = session.rows(f"SELECT script FROM {place} WHERE number=0")
        return str(json.loads(bytes(rows[0][0] or b""))["state"]) if rows else ""
    except (pymysql.MySQLError, ValueError, KeyError, TypeError):
        return ""
