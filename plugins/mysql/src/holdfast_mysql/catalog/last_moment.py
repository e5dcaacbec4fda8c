"""The last moment that a server knows: in MariaDB what ROW END says of the rows of a history that are there.

It was in 2038, and is in 2106 since MariaDB 11.5: under the other one rows are not there, or none can be.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from holdfast_mysql.session import Server, Session, literal

_LATE, _EARLY = "2106-02-07 06:28:15.999999", "2038-01-19 03:14:07.999999"  # in UTC


def last_moment(session: Session) -> str:
    """That of this server, as it writes it in UTC: servers whose system has fewer bits keep the earlier one."""
    return _EARLY if session.value("SELECT FROM_UNIXTIME(4294967295.999999) IS NULL") == "1" else _LATE


def recorded_moment(facts: Mapping[str, Any]) -> str:
    """That of the server that was backed up; older backups do not say it."""
    since = Server.of(str(facts.get("server", ""))).mariadb_since(11, 5)
    return str(facts.get("last_moment") or (_LATE if since else _EARLY))


def exchanged(time: str, before: str, now: str) -> str:
    """A time as an expression: another one in the place of one; in a character set that mixes with all others."""
    return f"REPLACE(CONVERT({time} USING ascii), {literal(before)}, {literal(now)})"


@dataclass(frozen=True, kw_only=True)
class Ends:
    """What rows of a history end at that are there: where they come from, and where they are put."""

    before: str
    now: str

    @classmethod
    def of(cls, session: Session, facts: Mapping[str, Any]) -> "Ends | None":
        """Those of a restore; None where it is the same, or there is no history."""
        if not session.server.mariadb:
            return None
        ends = cls(before=recorded_moment(facts), now=last_moment(session))
        return ends if ends.before != ends.now else None

    def parameter(self, session: Session, table: str, column: str) -> str:
        """A parameter of an INSERT into a table of the current database."""
        if column != row_end_of(session, table):
            return "?"
        return exchanged("?", self.before, self.now)

    def script(self, statement: bytes) -> bytes:
        """An INSERT of a script: inside of longer strings the quotes are escaped, so that none is touched."""
        return statement.replace(f"'{self.before}'".encode(), f"'{self.now}'".encode())


def row_end_of(session: Session, table: str) -> str:
    """The column of a table of the current database that says when a row ends; it is hidden if none was named."""
    return (
        session.value(
            "SELECT column_name FROM information_schema.columns WHERE table_schema=DATABASE()"
            f" AND {session.is_named('table_name', table)} AND generation_expression={literal('ROW END')}"
        )
        or "row_end"
    )
