"""Numbers of rows for messages, as far as counting them is quick."""

from __future__ import annotations

import sqlite3
import time

from holdfast_sqlite.catalog import Entry, identifier

_SECONDS = 1.0  # for all tables of a database
_STEPS = 100_000  # of SQLite's machine between two looks at the clock


class Counter:
    """Counts the rows of tables until its time is over."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._end = time.monotonic() + _SECONDS

    def rows(self, entry: Entry) -> int | None:
        """The rows of a table, None for a view, a virtual table, and where there is no time left."""
        if entry.kind != "table" or entry.module:
            return None
        self._connection.set_progress_handler(self._is_over, _STEPS)
        try:
            return int(self._connection.execute(f"SELECT count(*) FROM {identifier(entry.name)}").fetchone()[0])  # noqa: S608
        except (sqlite3.Error, UnicodeEncodeError):
            # It takes too long, what only the application has, or a name that is not UTF-8: the number is only told.
            return None
        finally:
            self._connection.set_progress_handler(None, 0)

    def _is_over(self) -> bool:
        return time.monotonic() > self._end
