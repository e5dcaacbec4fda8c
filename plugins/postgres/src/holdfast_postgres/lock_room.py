"""How many locks a server has room for, and what it takes where that is too few.

Its table of locks is made when it starts, for max_locks_per_transaction of each session and prepared transaction that
it allows; what one session does not use serves the others. It holds up to twice as many, which nobody can count on.
Manual: chapter "Lock Management".
"""

from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import HoldfastError
from holdfast_postgres.errors import OutOfLocksError

_AT_MOST = 2  # times the room that is planned: measured as 1.6 to 2.3 with 15 to 18
_STEP = 64
# Version 18 has slots for workers of autovacuum, of which it runs so many at most.
_ROOM = """
SELECT current_setting('max_locks_per_transaction')::int, (
    SELECT sum(setting::int) + 1 FROM pg_catalog.pg_settings WHERE name IN ('max_connections',
        'max_prepared_transactions', 'max_worker_processes', 'max_wal_senders', CASE
            WHEN current_setting('autovacuum_worker_slots', true) IS NULL THEN 'autovacuum_max_workers'
            ELSE 'autovacuum_worker_slots' END))
"""


@dataclass(frozen=True, kw_only=True)
class LockRoom:
    """What a server has room for: `each` is max_locks_per_transaction, `owners` the sessions and transactions."""

    each: int
    owners: int

    @property
    def locks(self) -> int:
        """The locks that there is room for in any case."""
        return self.each * self.owners

    def surely_too_small(self, needed: int) -> bool:
        """Whether that many locks at once cannot succeed."""
        return needed > _AT_MOST * self.locks

    def error(self, needed: int, what: str) -> HoldfastError:
        """The error of something that needs so many locks at once; `what` begins its message."""
        setting = max(self.each + 1, -(-needed // self.owners))
        setting += -setting % _STEP
        return OutOfLocksError(
            f"{what} locks about {needed} objects at once, and the server has room for {self.locks} locks",
            hint=f"set max_locks_per_transaction to {setting} on the server, where it is {self.each}, and start it "
            "anew; or use --select for less at once",
        )


def read_lock_room(connection: "Connection[TupleRow]") -> LockRoom:
    """Ask a server for it."""
    row = connection.execute(_ROOM).fetchone()
    assert row is not None  # noqa: S101 (a SELECT without FROM has one row)
    return LockRoom(each=row[0], owners=int(row[1]))
