"""Tables in files of their own that have lost rows: a server reads a file that ends behind a row without an error."""

from holdfast.api import IntegrityError, quote_name
from holdfast_mysql.catalog.tables import Table
from holdfast_mysql.session import Session, quoted

_COUNTED = frozenset({"myisam", "aria"})  # they keep the number of their rows apart from these


def check_whole(session: Session, table: Table, read: int) -> None:
    """Raise `IntegrityError` if a table has fewer rows in its file than it counts; `read` is what was read of it.

    CHECK TABLE would tell too, but writes to the table what it finds.
    """
    if table.engine.lower() not in _COUNTED:
        return
    place = quoted(table.name)
    if int(session.value(f"SELECT COUNT(*) FROM {place}")) == read:
        return
    # Somebody may have written to it; one statement sees one moment. Only without a key are rows read from their file.
    counted, there = session.texts(f"SELECT (SELECT COUNT(*) FROM {place}), SUM(1) FROM {place} USE INDEX ()")[0]
    if int(counted) > int(there or 0):
        raise IntegrityError(
            f"table {quote_name(table.name)} counts {counted} rows and has {there or 0}: its file is cut off",
            hint=f"REPAIR TABLE makes it readable, or use --exclude {table.name} to back up the rest",
        )
