"""Tables of MyISAM and Aria whose files lie in a folder that they name: there, and under their bare name.

Two of one name, in whatever databases, cannot both have their files in one folder. So rows are loaded into a table
without the clauses, and for a replacement copied into one that has them and another name, which the RENAME TABLE takes
off: a rename gives the files their new name too. MariaDB's InnoDB is another matter: it takes such a table into
another database and leaves the link to its file behind, so that neither database can be dropped any more.
"""

import logging

from holdfast.api import IntegrityError, quote_name
from holdfast_mysql.definitions.directories import INNODB, has_directories, renamed, without_directories
from holdfast_mysql.errors import translate_errors
from holdfast_mysql.restore.load_warnings import execute_rows
from holdfast_mysql.restore.server_warnings import check_statement
from holdfast_mysql.session import Session, quoted

log = logging.getLogger("holdfast.mysql")


class PlacedTables:
    """The tables of a restore that were made without their folders, as long as they have none."""

    def __init__(self, session: Session, database: str, *, replacing: bool) -> None:
        self._session = session
        self._replacing = replacing
        self._database = database
        self._bodies: dict[str, bytes] = {}

    def strip(self, name: str, body: bytes) -> bytes:
        """The definition to make the table with."""
        plain = without_directories(body)
        if plain != body:
            self._bodies[name] = body
        if self._replacing and self._session.server.mariadb:
            linked = plain
            plain = without_directories(linked, INNODB)
            if plain != linked:
                log.warning(
                    "table %s is made without its DATA DIRECTORY: MariaDB cannot take it from there into another "
                    "database; restore under another name to keep it",
                    quote_name(name),
                )
        return plain

    def put_in_place(self, token: str) -> dict[str, str]:
        """Copy each into a table that has its folders; returns the names of these by their own."""
        made: dict[str, str] = {}
        for number, (name, body) in enumerate(self._bodies.items()):
            if self._versioned(name):
                log.warning("table %s is made without its DATA DIRECTORY: it has a history", quote_name(name))
                continue
            other = f"holdfast_new_{token}_{number}"
            with translate_errors(f"cannot put the files of table {quote_name(name)} into their folder"):
                self._copy(name, renamed(body, other), other)
            made[name] = other
        return made

    def _copy(self, name: str, body: bytes, other: str) -> None:
        self._session.execute("SET autocommit=1")  # MySQL with GTIDs asks for it where there are no transactions
        action = f"cannot put the files of table {quote_name(name)} into their folder"
        check_statement(self._session, action, self._session.execute(body))
        columns = ", ".join(quoted(column) for column in self._columns(name)) or "()"
        source, target = (f"{quoted(self._database)}.{quoted(table)}" for table in (name, other))
        execute_rows(
            self._session, other, f"INSERT INTO {target} ({columns}) SELECT {columns} FROM {source}".encode(), ()
        )
        counts = [self._session.value(f"SELECT COUNT(*) FROM {table}") for table in (source, target)]
        if counts[0] != counts[1]:
            raise IntegrityError(f"table {quote_name(name)} has {counts[0]} rows, of which {counts[1]} were copied")
        self._session.execute(f"DROP TABLE {source}")
        self._session.execute("SET autocommit=0")

    def _is(self, name: str) -> str:
        """A condition that a row of information_schema is about the table."""
        schema = self._session.is_named("table_schema", self._database)
        return f"{schema} AND {self._session.is_named('table_name', name)}"

    def _columns(self, name: str) -> list[str]:
        """The columns that are not generated."""
        rows = self._session.texts(
            "SELECT column_name FROM information_schema.columns"
            f" WHERE {self._is(name)}"
            " AND (generation_expression IS NULL OR generation_expression = '') ORDER BY ordinal_position"
        )
        return [column for (column,) in rows]

    def _versioned(self, name: str) -> bool:
        return (
            self._session.value(f"SELECT table_type FROM information_schema.tables WHERE {self._is(name)}")
            == "SYSTEM VERSIONED"
        )


def names_away(session: Session, database: str, going: list[str], token: str) -> dict[str, str]:
    """The name that each table gets when it leaves: another one, if its files would be in the way of the new ones'."""
    rows = session.texts(
        "SELECT table_name FROM information_schema.tables"
        f" WHERE {session.is_named('table_schema', database)} AND engine IN ('MyISAM', 'Aria')"
    )
    engines = {name for (name,) in rows}
    names = {name: name for name in going}
    for number, name in enumerate(name for name in going if name in engines):
        body = session.rows(f"SHOW CREATE TABLE {quoted(database)}.{quoted(name)}")[0][1] or b""
        if has_directories(bytes(body)):
            names[name] = f"holdfast_old_{token}_{number}"
    return names
