"""Which server a database was read from, and how far its history had come: two may answer at one address in turn.

Each server has an id of its own: MySQL's is in its data folder and goes where that goes, MariaDB's is made of the
hardware. A replica, and a server after a failover, have gone through all that the one before had, and count as many
transactions; a server of another history counts as it likes.
"""

import re
from collections.abc import Iterator

from holdfast.api import Source
from holdfast_mysql.location import Location
from holdfast_mysql.session import Session

# Not the position of the snapshot, which takes privileges; and of a replica of MariaDB that logs nothing of its
# source's, only `gtid_current_pos` tells what it has gone through.
_VARIABLES = (
    "SHOW GLOBAL VARIABLES WHERE variable_name IN "
    "('server_uuid', 'server_uid', 'wsrep_on', 'gtid_executed', 'gtid_current_pos')"
)
_INTERVAL = re.compile(r"(\d+)(?:-(\d+))?")


def source_of(location: Location, session: Session) -> Source:
    """Which database a dump reads: known by host, port and name, whatever answers there."""
    port = session.value("SELECT @@port") if location.socket else str(location.port)
    host = "localhost" if location.local else location.host.lower()
    address, position = history_of(session)
    return Source(
        name=location.database,
        identity=f"{host}:{port}/{location.database}",
        local=location.local,
        address=address,
        position=position,
    )


def history_of(session: Session) -> tuple[str, tuple[int, ...]]:
    """The address and position of a `Source`; both are empty where the server tells no id or no GTIDs.

    So they are in a Galera cluster, whose nodes count each by itself and are one database.
    """
    values = {name.lower(): value for name, value in session.texts(_VARIABLES)}
    number = values.get("server_uuid") or values.get("server_uid") or ""
    mariadb = session.server.mariadb
    count = count_transactions(values.get("gtid_current_pos" if mariadb else "gtid_executed", ""), mariadb=mariadb)
    if not number or not count or values.get("wsrep_on", "OFF").upper() in ("ON", "1"):
        return "", ()
    return f"server {number}", (count,)


def count_transactions(gtid: str, *, mariadb: bool) -> int:
    """How many transactions a GTID position stands for, 0 for what is none.

    `0-1-1535,2-7-12` counts in each domain; `3E11FA47-…:1-5:7,4E11FA47-…:tag:1-9` names all of them.
    """
    if mariadb:
        parts = [part.split("-") for part in gtid.split(",") if part]
        return sum(int(part[2]) for part in parts if len(part) == 3 and part[2].isdecimal())
    return sum(_lengths(gtid))


def _lengths(gtid: str) -> Iterator[int]:
    for part in "".join(gtid.split()).split(","):
        for interval in part.split(":")[1:]:
            if match := _INTERVAL.fullmatch(interval):
                yield int(match[2] or match[1]) - int(match[1]) + 1
