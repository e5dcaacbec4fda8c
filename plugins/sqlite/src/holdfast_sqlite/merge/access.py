"""How a merge comes to its files: who else may use the target, and connections that take names of any bytes."""

from __future__ import annotations

import sqlite3

from holdfast_sqlite.child.users import refuse_left_elsewhere, refuse_open, refuse_other_name
from holdfast_sqlite.tokens import surrogates

TYPE_CHECKING = False  # see `holdfast_sqlite.tokens`
if TYPE_CHECKING:
    from typing import Any


def refuse_users(task: dict[str, Any]) -> None:
    """Refuse a target that others have open: without `live` at all, with it under another name; or have left so."""
    refuse = refuse_other_name if task["live"] else refuse_open
    refuse(task["path"], task["lock_timeout"])
    refuse_left_elsewhere(task["path"], task["lock_timeout"])


def open_uri(uri: str, lock_timeout: float) -> sqlite3.Connection:
    """Open a database; its transactions are begun and ended by statements, and it waits for locks as many seconds."""
    connection = sqlite3.connect(uri, uri=True, timeout=lock_timeout, isolation_level=None)
    connection.text_factory = surrogates
    return connection
