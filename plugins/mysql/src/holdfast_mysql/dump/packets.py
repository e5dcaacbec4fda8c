"""How long the statements of a restore have to be, where that is more than every server takes."""

from collections.abc import Iterable, Sequence
from typing import Any

from holdfast_mysql.catalog.tables import Table, inserts_only
from holdfast_mysql.definitions.script import Statement

_LONG_PACKET = 1 << 16  # bytes from which a backup tells the longest statement that a table needs


class Packets:
    """The longest statements of a dump, noted by its readers."""

    def __init__(self) -> None:
        self._rows: dict[str, int] = {}

    def note(self, table: Table, size: int) -> None:
        """Keep how many bytes a statement has to have that inserts the longest row of a table."""
        if size >= _LONG_PACKET:
            self._rows[table.name] = max(size, self._rows.get(table.name, 0))

    def needed(self, tables: Sequence[Table], definitions: Iterable[Statement]) -> dict[str, list[Any]]:
        """By name, the bytes of the longest statements, and where they have to be such: LOAD DATA carries rows too."""
        known = {table.name: table for table in tables}
        rows = {name: [size, "in MariaDB" if inserts_only(known[name]) else ""] for name, size in self._rows.items()}
        long = {item.name: [len(item.body), "everywhere"] for item in definitions if len(item.body) >= _LONG_PACKET}
        return {**long, **rows}
