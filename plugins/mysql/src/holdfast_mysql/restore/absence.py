"""What is missing when a view cannot be made: something of another database, or of the backup's own."""

from collections.abc import Collection

import pymysql

from holdfast.api import RestoreRequest
from holdfast_mysql.errors import error_number

_MISSING = frozenset({1049, 1146, 1168, 1305, 1449, 1584, 1630})
_INVALID = 1356  # a view that reads a view which misses something


def leaves_out(request: RestoreRequest, missing: Collection[str]) -> bool:
    """Whether something that others may read was left out: of the backup, or here, where tables are `missing`."""
    return bool(request.partial or request.exclude_kinds or request.facts.get("lacks") or missing)


def is_elsewhere(error: pymysql.MySQLError, database: str, *, partial: bool, above: bool) -> bool:
    """Whether the place is why a view cannot be made, and not the backup.

    `partial` says that the backup was made of a selection, so that it may lack what its views read, `above` that the
    view can read one that could not be made.
    """
    code = error_number(error)
    if code == _INVALID:
        return partial or above
    text = str(error.args[-1])
    own = any(mark in text for mark in (f"Table '{database}.", f"FUNCTION {database}.", f"PROCEDURE {database}."))
    return code in _MISSING and (partial or not own)
