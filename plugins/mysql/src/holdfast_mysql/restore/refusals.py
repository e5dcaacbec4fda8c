"""Rows that a server refuses or changes: what that says of the server, and of duplicates in the backup."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pymysql

from holdfast.api import HoldfastError
from holdfast_mysql.definitions.collations import StandIns
from holdfast_mysql.errors import error_number
from holdfast_mysql.restore.duplicates import DUPLICATE, DuplicateRowsError, duplicate_error
from holdfast_mysql.restore.load_warnings import ChangedRowsError
from holdfast_mysql.session import Server, Session


class Refusals:
    """Tells what it means that the target refuses rows, from what the manifest says of the source."""

    def __init__(self, session: Session, facts: Mapping[str, Any], stand_ins: StandIns) -> None:
        self._server = session.server
        self._source = Server.of(str(facts["server"]))
        self._same = self._source.series == self._server.series
        collations = [need.removeprefix("collation ") for need in facts["needs"] if need[:10] == "collation "]
        self._alike = self._same and not any(stand_ins.of(name) for name in collations)

    @contextmanager
    def explained(self, session: Session, table: str) -> Iterator[None]:
        """Raise what the server says of duplicates as an error that names table and key, and why they are some here.

        That another server than the source's does not take a value is no damage either.
        """
        try:
            yield
        except ChangedRowsError as error:
            if self._same:
                raise HoldfastError(
                    error.message,
                    hint="the rows are what was backed up, and this server takes them otherwise: compare its version"
                    f" and settings with the source's, restore by hand as RESTORE.md says, or use --exclude {table}",
                ) from error
            raise HoldfastError(
                f"{error.message}: {self._server.name} does not hold all that {self._source.name} does",
                hint="restore into a server like the source (a TIMESTAMP of after 2038 takes MariaDB 11.5), or use "
                f"--exclude {table}",
            ) from error
        except DuplicateRowsError as error:
            raise duplicate_error(session, table, error.message, alike=self._alike) from error
        except pymysql.MySQLError as error:
            if error_number(error) not in DUPLICATE:
                raise
            raise duplicate_error(session, table, str(error.args[-1]), alike=self._alike) from error
