"""Where in its sources' binary logs a replica is, from which another replica can be set up."""

from typing import Any

import pymysql

from holdfast_mysql.errors import DENIED, error_number
from holdfast_mysql.session import Session


def replica_positions(session: Session) -> list[dict[str, Any]]:
    """Host, port, file and position of each source, as the server has applied them; while it stands still, exactly.

    None for a server that is no replica, and for an account that may not see it (REPLICATION CLIENT, in MariaDB
    REPLICA MONITOR). `channel` is the name of the connection, `gtid` all that MariaDB has applied.
    """
    try:
        rows = session.dicts(_query(session))
    except pymysql.MySQLError as error:
        if error_number(error) not in DENIED:
            raise
        return []
    applied = session.value("SELECT @@gtid_slave_pos") if session.server.mariadb and rows else ""
    positions = []
    for row in rows:
        texts = {_modern(name): (value or b"").decode(errors="replace") for name, value in row.items()}
        if not texts["relay_source_log_file"]:
            continue  # it has applied nothing yet
        position: dict[str, Any] = {
            "host": texts["source_host"],
            "port": int(texts["source_port"]),
            "file": texts["relay_source_log_file"],
            "position": int(texts["exec_source_log_pos"]),
        }
        channel = texts.get("channel_name") or texts.get("connection_name")
        positions.append(position | ({"channel": channel} if channel else {}) | ({"gtid": applied} if applied else {}))
    return positions


def _query(session: Session) -> str:
    if session.server.mariadb:
        return "SHOW ALL SLAVES STATUS"
    return "SHOW REPLICA STATUS" if session.server.mysql_since(8, 0, 22) else "SHOW SLAVE STATUS"


def _modern(name: str) -> str:
    """A column under the name that MySQL gave it in 8.0.22."""
    return name.lower().replace("master", "source")
