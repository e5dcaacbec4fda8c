"""What the server says of a definition that it took: each warning is judged, and one that nobody knows is no success.

A server in a lenient mode takes a key and shortens it, a storage engine and puts another one in its place, a default
and cuts it, and says so in a warning only (MySQL 8.4 "Server SQL Modes", MariaDB "SHOW WARNINGS"). Rows have their own
judge in `load_warnings`.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass

import pymysql

from holdfast.api import HoldfastError, quote_name
from holdfast_mysql.session import Session, quoted

log = logging.getLogger("holdfast.mysql")

NO_DEFINER = 1449
# They speak of how a definition is written or logged, and change nothing of it: words, aliases, widths, character sets
# and collations that are deprecated (1287, 1681, 3719, 3778, 4166), a second key over the same columns (1831), a
# foreign key to columns that are not unique (6124), logging by statement (1592), a language that is not installed
# (6001), tables of several engines in one transaction (6414).
HARMLESS = frozenset({1287, 1592, 1681, 1831, 3719, 3778, 4166, 6001, 6124, 6414})
_HINTS = {
    1071: "the server allows shorter keys only: set innodb_default_row_format=DYNAMIC there, or alter the table",
    1266: "unset enforce_storage_engine on the server, or use -o strip=engine",
    1286: "install the storage engine, or use -o strip=engine",
    1478: "set innodb_file_per_table=ON on the server, or use -o strip=row_format",
    1618: "use -o strip=data_directory",
}
_COLUMNS = {"view": "Create View", "trigger": "SQL Original Statement", "sequence": "Create Table"}


@dataclass(frozen=True, kw_only=True)
class ServerWarning:
    """One line of SHOW WARNINGS; notes count, for some of them tell that another thing was made."""

    code: int
    text: str

    def __str__(self) -> str:
        """The text and the number, for messages."""
        return f"{' '.join(self.text.split())} ({self.code})"


def read_warnings(session: Session) -> list[ServerWarning]:
    """The warnings of the last statement that mean something."""
    return [
        ServerWarning(code=int(code), text=text)
        for _, code, text in session.texts("SHOW WARNINGS")
        if int(code) not in HARMLESS
    ]


def judge(
    session: Session, kind: str, name: str, warnings: Collection[ServerWarning], *, unchanged: Callable[[], bool]
) -> None:
    """Pass warnings on where `unchanged` finds what was made to be what it was; else they are an error.

    Not an `IntegrityError`: it is the server that does not take it, and the backup is sound.
    """
    if not warnings:
        return
    if not unchanged():
        worst = next(iter(warnings))
        raise HoldfastError(
            f"{session.server.name} does not make {kind} {quote_name(name)} as it was: {worst}",
            hint=next((_HINTS[warning.code] for warning in warnings if warning.code in _HINTS), None),
        )
    for warning in warnings:
        log.warning("the server says of %s %s: %s", kind, quote_name(name), warning)


def check_statement(session: Session, action: str, count: int) -> None:
    """Raise any warning that is not harmless, of a statement that had `count` of them."""
    for warning in read_warnings(session) if count else ():
        raise HoldfastError(f"{action}: the server says {warning}")


def definition_in(session: Session, kind: str, name: str) -> bytes:
    """The definition of an object of the current database, as the server shows it; empty if it does not.

    As a dump reads it, in no mode: in that of the statement that has just made it, names may have other quotes.
    """
    session.execute("SET NAMES utf8mb4, character_set_results=binary, @holdfast_mode=@@sql_mode, sql_mode=''")
    try:
        rows = session.dicts(f"SHOW CREATE {kind.upper()} {quoted(name)}")
    except pymysql.MySQLError as error:
        log.debug("cannot read %s %s back: %s", kind, name, error)
        return b""
    finally:
        session.execute("SET sql_mode=@holdfast_mode, @holdfast_mode=NULL")
    return (rows[0].get(_COLUMNS.get(kind, f"Create {kind.title()}")) or b"") if rows else b""
