"""Sequences that nobody named, but from which a chosen table takes numbers: they come where the target has none."""

import logging

from holdfast.api import RestoreRequest, quote_name
from holdfast_mysql.catalog.selection import Selection
from holdfast_mysql.catalog.tables import list_names
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.definitions.uses import sequences_of
from holdfast_mysql.restore.tables import TableMaker
from holdfast_mysql.session import Session, quoted

log = logging.getLogger("holdfast.mysql")


class NeededSequences:
    """Keeps the statements of such sequences until a table needs one.

    The target's own stays what it is: a selection touches nothing that it does not name. Beside a target that is
    replaced, a table is made with one that is dropped again before the tables change places.
    """

    def __init__(self, session: Session, request: RestoreRequest, tables: TableMaker, *, target: str) -> None:
        self._session = session
        self._tables = tables
        self._target = target
        self._source = str(request.facts["database"])
        self._selection = Selection.of(request)
        self._brought = frozenset(request.facts.get("brought", ()))
        self._kept: dict[str, list[Statement]] = {}
        self._passing: list[str] = []

    def keep(self, statement: Statement) -> bool:
        """Whether the statement waits here, as it makes a sequence, or sets one, that is not chosen by its name."""
        if statement.kind not in ("sequence", "sequence state"):
            return False
        if statement.name in self._selection and statement.name not in self._brought:
            return False
        self._kept.setdefault(statement.name, []).append(statement)
        return True

    def make_for(self, table: Statement) -> None:
        """Make those that the table needs and the target has not."""
        for name in sequences_of(table, list(self._kept), self._source):
            statements = self._kept.pop(name)
            there = any(name == other for other, _ in list_names(self._session, self._target))
            if there:
                log.warning("table %s takes numbers from the target's own sequence %s", *self._names(table, name))
                if not self._tables.replacing:
                    continue
                self._passing.append(name)
            else:
                log.warning("table %s needs sequence %s, which comes too", *self._names(table, name))
            for statement in statements:
                self._tables.make(statement)

    def _names(self, table: Statement, sequence: str) -> tuple[str, str]:
        return quote_name(table.name), quote_name(sequence)

    def drop_passing(self, building: str) -> None:
        """Drop those in the database beside the target that the target has itself."""
        for name in self._passing:
            self._session.execute(f"DROP SEQUENCE {quoted(building)}.{quoted(name)}")
