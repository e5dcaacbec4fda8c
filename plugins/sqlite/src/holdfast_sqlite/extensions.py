"""Extensions of SQLite that the user names (`--load-extension`): functions, collations, modules and tokenizers.

An extension is code: only what the user names is ever loaded, never what a database, a script or a manifest says.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from holdfast_sqlite.child.channel import TaskError


def load_extensions(connection: sqlite3.Connection, paths: Sequence[str]) -> None:
    """Load extensions into a connection, which can load no more afterwards; a `TaskError` says what is wrong."""
    if not paths:
        return
    if not hasattr(connection, "enable_load_extension"):
        raise TaskError(
            "usage",
            "this Python's sqlite3 module cannot load extensions: it was built without",
            hint="use a Python whose sqlite3 module has enable_load_extension, or omit --load-extension",
        )
    connection.enable_load_extension(True)
    try:
        for path in paths:
            _load(connection, path)
    finally:
        connection.enable_load_extension(False)


def _load(connection: sqlite3.Connection, path: str) -> None:
    try:
        connection.load_extension(path)
    except sqlite3.Error as error:
        raise TaskError("usage", f"cannot load the extension {path!r}: {error}") from error
