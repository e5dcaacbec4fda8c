"""What optimizers know of values: histograms, given back to MySQL when all rows are there, and what is not saved."""

from collections.abc import Iterator, Sequence

import pymysql

from holdfast.api import quote_name
from holdfast_mysql.definitions.check_head import check_head
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.session import Session, use


def make_histograms(session: Session, database: str, histograms: Sequence[Statement]) -> Iterator[str]:
    """Make them in a database and say which could not be made: queries may be slower, and no row is missing."""
    if not histograms:
        return
    if not session.server.mysql_since(8, 0):
        yield f"{len(histograms)} histograms are left out: {session.server.name} has none of MySQL's"
        return
    use(session, database)
    for statement in histograms:
        check_head(statement, statement.body, database="")
        why = _make(session, statement)
        if why:
            column = quote_name(f"{statement.table}.{statement.name}")
            yield f"the histogram of column {column} was not made: {why}"


def lost_statistics(names: Sequence[str]) -> Iterator[str]:
    """Say that MariaDB's statistics, which are rows of the server's own tables, have to be collected again."""
    if names:
        listed = ", ".join(map(quote_name, names[:10])) + (f" and {len(names) - 10} more" if len(names) > 10 else "")
        yield (
            f"statistics that ANALYZE TABLE … PERSISTENT had collected are in no backup: run it again for {listed}, "
            "or queries may be slower"
        )


def _make(session: Session, statement: Statement) -> str:
    """Run ANALYZE TABLE, which tells errors in its rows; returns why it failed."""
    try:
        rows = session.texts(statement.body)
    except pymysql.MySQLError as error:
        return str(error.args[-1])
    return "; ".join(text for _, _, kind, text in rows if kind.lower() != "status")
