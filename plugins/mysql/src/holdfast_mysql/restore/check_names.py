"""Names of CHECKs from MariaDB, where each table has its own, in MySQL, which takes each once in a database."""

import logging
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from holdfast.api import quote_name
from holdfast_mysql.definitions.create_table import check_names, without_check_names
from holdfast_mysql.session import Server, Session, literal

log = logging.getLogger("holdfast.mysql")


class CheckNames:
    """The names that are taken in the database of a restore; MySQL compares them without case."""

    def __init__(self, session: Session, database: str, facts: Mapping[str, Any]) -> None:
        self._session = session
        self._database = database
        self._needed = Server.of(str(facts["server"])).mariadb and not session.server.mariadb

    @cached_property
    def _taken(self) -> set[str]:
        """Those of tables that are there already, to begin with."""
        rows = self._session.texts(
            "SELECT constraint_name FROM information_schema.table_constraints WHERE constraint_type='CHECK'"
            f" AND constraint_schema={literal(self._database)}"
        )
        return {name.casefold() for (name,) in rows}

    def fit(self, table: str, body: bytes) -> bytes:
        """A table whose CHECKs that are called like another one get names from the server, which is told of."""
        names = check_names(body) if self._needed else []
        again = [name for name in names if name.casefold() in self._taken]
        if names:
            self._taken.update(name.casefold() for name in names)
        for name in again:
            log.warning(
                "CHECK %s of table %s gets another name: MySQL takes each once in a database",
                quote_name(name), quote_name(table),
            )  # fmt: skip
        return without_check_names(body, again) if again else body
