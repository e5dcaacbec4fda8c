"""The table of a scratch database that tells it from everything else, and what cannot be as it was in that place."""

import json
from hashlib import sha256

from holdfast_mysql.definitions.elsewhere import TableName
from holdfast_mysql.names import MARKER
from holdfast_mysql.session import Session, literal, quoted

STAND_IN = "stand-in"  # for a table of another database


def stand_in(table: TableName) -> str:
    """The name of what stands in for a table of another database, in the scratch database."""
    return f"holdfast_stand_in_{sha256(json.dumps(table).encode()).hexdigest()[:20]}"


def make_marker(session: Session, database: str, backup: str) -> None:
    """Mark a database as a scratch database for a backup."""
    place = _place(database)
    # Names are bytes: those that differ by case, or by spaces at their ends, are several.
    session.execute(
        f"CREATE TABLE {place} (backup VARCHAR(64) NOT NULL, kind VARBINARY(20) NOT NULL, name VARBINARY(256) NOT NULL,"
        " why BLOB NOT NULL, PRIMARY KEY (backup, kind, name)) ENGINE=InnoDB"
    )
    session.execute(f"INSERT INTO {place} VALUES ({literal(backup)}, '', '', '')")


def note(session: Session, database: str, kind: str, name: str, why: str) -> None:
    """Write down that an object cannot be there as it was, for a reason that is no fault of the backup."""
    session.execute(
        f"REPLACE INTO {_place(database)} SELECT backup, {literal(kind)}, {literal(name)}, {literal(why)}"
        f" FROM {_place(database)} WHERE kind=''"
    )
    session.execute("COMMIT")


def noted(session: Session, database: str) -> dict[tuple[str, str], str]:
    """The reasons by kind and name."""
    rows = session.texts(f"SELECT kind, name, why FROM {_place(database)} WHERE kind NOT IN ('', {literal(STAND_IN)})")
    return {(kind, name): why for kind, name, why in rows}


def stand_ins(session: Session, database: str) -> dict[str, TableName]:
    """What stood in for tables of other databases when views were made, with what it stood for."""
    rows = session.texts(f"SELECT name, why FROM {_place(database)} WHERE kind={literal(STAND_IN)}")
    return {name: tuple(json.loads(table)) for name, table in rows}


def _place(database: str) -> str:
    return f"{quoted(database)}.{quoted(MARKER)}"
