"""Keys longer than InnoDB takes in its older row formats, which a table without ROW_FORMAT has from the server."""

import re
from collections.abc import Iterator, Sequence

from holdfast_mysql.catalog.columns import TableColumn
from holdfast_mysql.catalog.tables import Table
from holdfast_mysql.session import Session

ROW_FORMAT = "innodb_default_row_format=dynamic"
_SHORT = 767  # bytes of a column in a key, in REDUNDANT and COMPACT
_LENGTH = re.compile(r"(?:var)?(?:char|binary)\((\d+)\)")


def tables_with_long_keys(session: Session, where: str, tables: Sequence[Table]) -> Iterator[str]:
    """The names of the tables that only ROW_FORMAT=DYNAMIC or COMPRESSED takes, and that say neither."""
    widths = {charset: int(width) for charset, width in session.texts(
        "SELECT character_set_name, maxlen FROM information_schema.character_sets"
    )}  # fmt: skip
    unsaid = {name for (name,) in session.texts(
        f"SELECT table_name FROM information_schema.tables WHERE {where} AND create_options NOT LIKE '%row_format=%'"
    )}  # fmt: skip
    columns = {(table.name, column.name): column for table in tables if table.name in unsaid
               and table.engine.lower() == "innodb" for column in table.columns}  # fmt: skip
    long = {
        table
        for table, name, prefix in session.texts(
            "SELECT table_name, column_name, sub_part FROM information_schema.statistics"
            f" WHERE {where} AND index_type='BTREE'"
        )
        if (column := columns.get((table, name))) and _bytes(column, prefix, widths) > _SHORT
    }
    yield from sorted(long)


def _bytes(column: TableColumn, prefix: str, widths: dict[str, int]) -> int:
    """How many bytes of a column a key has at most; 0 for types that are never long."""
    length = _LENGTH.match(column.column_type)
    return int(prefix or (length[1] if length else 0)) * widths.get(column.charset, 1)
