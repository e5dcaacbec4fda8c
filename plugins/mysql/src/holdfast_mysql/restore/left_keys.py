"""Keys and foreign keys that are left out of new tables and built once the rows are there."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import Protocol

import pymysql

from holdfast.api import HoldfastError, quote_name
from holdfast_mysql.definitions.create_table import (
    SplitDefinition,
    name_of,
    references_of,
    split_keys,
    without_references,
)
from holdfast_mysql.errors import translate_errors
from holdfast_mysql.restore.computed import ComputedValues
from holdfast_mysql.restore.failures import Failures
from holdfast_mysql.restore.foreign_keys import refuse_unlike_keys
from holdfast_mysql.restore.server_warnings import judge, read_warnings
from holdfast_mysql.restore.unlike_references import Unlike, add_unlike, take_out
from holdfast_mysql.session import Session, quoted


class _Tables(Protocol):
    """What is known of the tables that were made."""

    relaxed: set[str]
    accepted: dict[str, set[int]]
    computed: ComputedValues
    missing: set[str]
    stored: frozenset[str]
    warnings: list[str]

    @property
    def replacing(self) -> bool: ...

    def naming_duplicates(self, session: Session, table: str) -> AbstractContextManager[None]: ...


class LeftKeys:
    """The keys of a restore's tables that are still to be built."""

    def __init__(self, session: Session, failures: Failures, tables: _Tables) -> None:
        self._session = session
        self._failures = failures
        self._tables = tables
        self._split: dict[str, SplitDefinition] = {}

    def leave(self, table: str, body: bytes) -> None:
        """Make an empty table again without the keys that are built when its rows are there.

        It was made with them first, so that what the server does not take is known before any row is loaded.
        """
        split = split_keys(body)
        if split.keys and table not in self._split:
            self._split[table] = split
            self._session.execute(f"DROP TABLE {quoted(table)}")
            with relaxed(self._session) if table in self._tables.relaxed else nullcontext():
                self._session.execute(split.create)

    def leave_unlike(self, table: str, body: bytes, error: pymysql.MySQLError) -> bytes | None:
        """What makes a table that was refused for a foreign key whose columns are not alike: that is added later.

        None where that is not why.
        """
        key = Unlike.of(error)
        if key is None:
            return None
        references = references_of(body)
        if key.name in references:
            self._split[table] = SplitDefinition(create=body, references=tuple(references.values()))
            return without_references(body)
        if (taken := take_out(self._session, key)) is None:
            return None
        child, clause = taken
        split = self._split.get(child) or SplitDefinition(create=b"")
        self._split[child] = replace(split, references=(*split.references, clause))
        return body

    def build(self, session: Session, table: str) -> None:
        """Finish a table whose rows are there: compute what it stores, and build its keys in one pass over them."""
        if why := self._tables.computed.compute_again(session, table):
            self._tables.warnings.append(why)
        if table in self._split and self._split[table].keys:
            action = f"cannot build the keys of table {quote_name(table)}"
            keys = self._split[table].keys
            # MySQL builds one full-text key at a time (error 1795).
            texts = [key for key in keys if key.upper().startswith(b"FULLTEXT")]
            for clauses in (tuple(key for key in keys if key not in texts), *((key,) for key in texts)):
                if clauses:
                    self._add(session, table, clauses, kind="key", action=action)

    def build_all(self) -> None:
        """The same of all tables, where none has a stream of its own."""
        for table in sorted(self._tables.stored - self._tables.missing):
            self.build(self._session, table)

    def add_references(self) -> None:
        """Add the foreign keys."""
        for table, split in self._split.items():
            if split.references:
                action = f"cannot add the foreign keys of table {quote_name(table)}"
                self._add(self._session, table, split.references, kind="foreign key", action=action)

    def _add(self, session: Session, table: str, clauses: tuple[bytes, ...], *, kind: str, action: str) -> None:
        try:
            self._alter(session, table, clauses, action)
        except HoldfastError:
            if not self._failures.going_on:
                raise
            for clause in clauses:
                alter = partial(self._alter, session, table, (clause,), action)
                self._failures.attempt(kind, f"{table}.{name_of(clause)}", alter)

    def _alter(self, session: Session, table: str, clauses: tuple[bytes, ...], action: str) -> None:
        added = b", ".join(b"ADD " + clause for clause in clauses)
        strictness = relaxed(session) if table in self._tables.relaxed else nullcontext()
        with translate_errors(action), self._tables.naming_duplicates(session, table), strictness:
            try:
                count = self._tables.computed.run(
                    session, table, lambda: session.execute(b"ALTER TABLE " + quoted(table).encode() + b" " + added)
                )
            except pymysql.MySQLError as error:
                if (key := Unlike.of(error)) is None:
                    raise
                if self._tables.replacing:
                    refuse_unlike_keys([key.name])
                self._alter_unlike(session, table, clauses)
                return
            warnings = read_warnings(session) if count else []
            told = [warning for warning in warnings if warning.code not in self._tables.accepted[table]]
            judge(session, "table", table, told, unchanged=lambda: False)

    @staticmethod
    def _alter_unlike(session: Session, table: str, clauses: tuple[bytes, ...]) -> None:
        for clause in clauses:
            try:
                session.execute(b"ALTER TABLE " + quoted(table).encode() + b" ADD " + clause)
            except pymysql.MySQLError as error:
                add_unlike(session, table, clause, error)


@contextmanager
def relaxed(session: Session, because: pymysql.MySQLError | None = None) -> Iterator[None]:
    """Without InnoDB's strict mode; where the account may not change it, `because` is the error to raise."""
    before = session.value("SELECT @@innodb_strict_mode")
    try:
        session.execute("SET innodb_strict_mode=0")
    except pymysql.MySQLError as error:
        raise because or error from error
    try:
        yield
    finally:
        session.execute(f"SET innodb_strict_mode={before}")
