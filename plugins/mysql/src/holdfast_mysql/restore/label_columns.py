"""Labels of an ENUM or SET that the collation of their column takes for the same: the server finds the first one alone.

A backup holds numbers for such members. Earlier versions held their labels, and a collation that stands in for one that
is not there may be less exact than that.
"""

import logging
import threading

from holdfast.api import quote_name
from holdfast_mysql.catalog.labels import alike_labels
from holdfast_mysql.rows.wire import RowHeader
from holdfast_mysql.session import Session, literal

log = logging.getLogger("holdfast.mysql")


class LabelColumns:
    """Tells of columns whose labels do not say which member a row has; of each table once, whatever thread asks."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._lock = threading.Lock()

    def check(self, session: Session, header: RowHeader) -> None:
        """Warn of columns of the table, which is in the session's database, if the rows name members that are alike."""
        names = [column.name for column in header.columns if column.kind == "label"]
        with self._lock:
            if not names or header.table in self._seen:
                return
            self._seen.add(header.table)
        rows = session.texts(
            "SELECT column_name, character_set_name, collation_name, column_type FROM information_schema.columns"
            f" WHERE table_schema=DATABASE() AND {session.is_named('table_name', header.table)}"
            f" AND column_name IN ({', '.join(map(literal, names))}) ORDER BY ordinal_position"
        )
        alike = alike_labels(session, [row[1:] for row in rows])  # type: ignore[misc]
        for name, _, collation, kind in rows:
            if (collation, kind) in alike:
                log.warning(
                    "column %s has members that %s takes for the same, and the rows of this backup name their members: "
                    "rows with a later one of them come back with the first, which a drill calls a difference; back "
                    "the source up again, because earlier versions did not keep the numbers of such members",
                    quote_name(f"{header.table}.{name}"), collation,
                )  # fmt: skip
