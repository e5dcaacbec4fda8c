"""Which query reads one unit of rows, at dump and when a proof is repeated."""

from dataclasses import dataclass

from holdfast_mysql.catalog import Table
from holdfast_mysql.session import quoted
from holdfast_mysql.units import Range


@dataclass(frozen=True, kw_only=True)
class RowUnit:
    """One stream of rows: a table and the part of it."""

    table: Table
    part: Range

    def sql(self) -> str:
        """The query of these rows, in the order of the key, in which a restored table gives the same bytes."""
        table = self.table
        if not ordered(table):
            return table.select()
        condition = self.part.condition(table.key[0])
        # Without the hint a secondary index that covers the query could be read instead, in its own order.
        where = f" WHERE {condition}" if condition else ""
        return f"{table.select()} FORCE INDEX (PRIMARY){where} ORDER BY {', '.join(quoted(name) for name in table.key)}"


def ordered(table: Table) -> bool:
    """Whether rows come in the order of a key that makes it complete, at no cost."""
    return bool(table.key) and not table.versioned and table.engine.lower() == "innodb"
