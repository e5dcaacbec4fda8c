"""Client programs that wait for a server which waits for them: an answer or a statement was lost on the way.

The address answers, so that asking it is no help, and a program of PostgreSQL waits without an end. The server says of
each of its sessions whether it waits for the client; a program that has nothing else to do, and does nothing, will then
never do anything again.
"""

import logging
import secrets
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

import psycopg

from holdfast.api import HoldfastError
from holdfast_postgres.location import Location
from holdfast_postgres.watched import WatchedConnection

log = logging.getLogger("holdfast.postgres.stalls")

_TIMES = 3  # in a row that all is as it was, each after a longer pause than the one before
_WAITS = "Client"
# Moments as numbers, which every DateStyle writes alike.
_SESSIONS = """
SELECT pid, coalesce(wait_event_type, ''), coalesce((extract(epoch FROM state_change) * 1000000)::int8, 0)
FROM pg_catalog.pg_stat_activity WHERE pg_catalog.right(application_name, %s) = %s ORDER BY pid
"""

Connect = Callable[[], AbstractContextManager[WatchedConnection]]


class Stalls:
    """Tells which programs of a session wait in vain; `connect` opens a session to ask the server in."""

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self._known: dict[str, tuple[object, int]] = {}

    def marked(self, location: Location) -> tuple[Location, str]:
        """The same location for one program, and the mark by which its sessions are known."""
        mark = f" {secrets.token_hex(4)}"
        return location.with_mark(mark), mark

    def is_stalled(self, mark: str, group: int) -> bool:
        """Whether the program in this process group, which waits for nothing but its server, waits in vain."""
        try:
            with self._connect() as connection:
                sessions = connection.execute(_SESSIONS, (len(mark), mark)).fetchall()
        except (psycopg.Error, HoldfastError) as error:
            log.info("cannot ask about the sessions of a client program: %s", error)  # a pool may have none to give
            return False
        used = _processor_time(group)
        if used is None or any(waits != _WAITS for _, waits, _ in sessions) or not (sessions or mark in self._known):
            self._known.pop(mark, None)
            return False
        before, times = self._known.get(mark, (None, 0))
        state = (sessions, used)
        self._known[mark] = state, times + 1 if before == state else 0
        return self._known[mark][1] >= _TIMES


def _processor_time(group: int) -> Sequence[tuple[int, str]] | None:
    """What the processes of a group have used so far; None where one waits for a disk, or the system does not tell."""
    used = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        except OSError:  # it has ended
            continue
        if int(fields[2]) == group:
            if fields[0] == "D":
                return None
            used.append((int(folder.name), f"{fields[11]} {fields[12]}"))
    return sorted(used) or None
