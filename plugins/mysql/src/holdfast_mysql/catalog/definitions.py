"""The definitions of a database's objects, read as they were written, byte for byte."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any

import pymysql

from holdfast.api import CredentialsError, ObjectKind, quote_name
from holdfast_mysql.catalog.client_charset import in_client_charset
from holdfast_mysql.catalog.events import event_names
from holdfast_mysql.catalog.hidden_characters import with_all_characters
from holdfast_mysql.catalog.parameters import parameter_collations
from holdfast_mysql.catalog.selection import Selection
from holdfast_mysql.catalog.tables import list_names
from holdfast_mysql.catalog.view_collations import is_of_view, read_as_made
from holdfast_mysql.definitions.create_table import without_inherited_collations
from holdfast_mysql.definitions.parameters import with_default
from holdfast_mysql.definitions.renaming import rename_database
from holdfast_mysql.definitions.script import Statement, histogram, sequence_state
from holdfast_mysql.definitions.view_order import order_views
from holdfast_mysql.errors import error_number, translate_errors
from holdfast_mysql.session import Session, literal, plain_literal, quoted

BROKEN_VIEW = {"broken": True}  # what a statement says besides of a view that refers to what is not there
# That a definer is not there any more, its own or that of something below it: nobody can make a view above it.
ORPHANED_VIEW = {"orphaned": True}
_NOT_THERE, _NO_DEFINER = 1356, 1449
_ROUTINES = ("FUNCTION", "PROCEDURE", "PACKAGE", "PACKAGE BODY")


class DefinitionReader:
    """Reads the definitions of a database's objects as they were written, byte for byte.

    With a list `denied`, views, triggers, routines and events that the account may not read are left out, and added to
    it by kind and name; without, they are errors.
    """

    def __init__(self, session: Session, database: str, *, denied: list[tuple[str, str]] | None = None) -> None:
        self._session = session
        self._database = database
        self._denied = denied
        self.unread: dict[str, list[str]] = {}  #: columns by their tables: see `with_all_characters`
        self.sequence_names = frozenset(name for name, kind in list_names(session, database) if kind == "SEQUENCE")

    def _show(self, what: str, name: str, key: str) -> tuple[bytes, dict[str, str]]:
        with translate_errors(f"cannot read the definition of {what.lower()} {quote_name(name)}"):
            rows = self._session.dicts(f"SHOW CREATE {what} {quoted(name)}")
        body = rows[0].get(key) if rows else None
        if body is None:
            raise CredentialsError(f"the account may not read the definition of {what.lower()} {quote_name(name)}")
        texts = {name: (value or b"").decode(errors="surrogateescape") for name, value in rows[0].items()}
        return body, texts

    def _stored(self, what: str, name: str, key: str, *, kind: str = "", table: str = "") -> Statement:
        body, texts = self._show(what, name, key)
        statement = Statement(
            kind=kind or what.lower(), name=name, body=body, table=table, sql_mode=texts.get("sql_mode"),
            character_set_client=texts.get("character_set_client", ""),
            collation_connection=texts.get("collation_connection", ""),
            time_zone=texts.get("time_zone", ""),
            collation=texts.get("Database Collation", ""),
        )  # fmt: skip
        return in_client_charset(self._session, self._database, statement)

    def database(self) -> Statement:
        """The database's own settings, as a statement that needs no name."""
        comment = ", schema_comment" if self._session.server.mariadb_since(10, 5) else ", ''"
        encryption = ", default_encryption" if self._session.server.mysql_since(8, 0, 16) else ", ''"
        charset, collation, text, encrypted = self._session.texts(
            f"SELECT default_character_set_name, default_collation_name{comment}{encryption}"
            f" FROM information_schema.schemata WHERE {self._session.is_named('schema_name', self._database)}"
        )[0]
        said = f" COMMENT {plain_literal(text)}" if text else ""
        said += " DEFAULT ENCRYPTION='Y'" if encrypted == "YES" else ""
        return Statement(
            kind="database",
            name=self._database,
            body=f"ALTER DATABASE CHARACTER SET {charset} COLLATE {collation}{said}".encode(errors="surrogateescape"),
            collation=collation,
            extra={"charset": charset, "comment": text, "encryption": encrypted},
        )

    def table(self, name: str) -> Statement:
        """A table's definition."""
        body = self._show("TABLE", name, "Create Table")[0]
        if self._session.server.mysql_since(8, 0):
            body = without_inherited_collations(body)
        body, unread = with_all_characters(self._session, self._database, name, body)
        if unread:
            self.unread[name] = unread
        definition = Statement(kind="table", name=name, body=body)
        if not any(each in body for each in (b"nextval(", b"lastval(", b"setval(")):
            return definition
        # A default names its sequence together with the database; without it, it follows to any name.
        body = rename_database(definition, old=self._database, new="", objects=self.sequence_names)
        return replace(definition, body=body)

    def _allowed(self, kind: str, names: Iterable[str], read: Callable[[str], Statement]) -> Iterator[Statement]:
        """The definitions of those names, as far as the account may read them."""
        for name in names:
            try:
                yield read(name)
            except CredentialsError:
                if self._denied is None:
                    raise
                self._denied.append((kind.lower(), name))

    def sequences(self, selection: Selection) -> list[Statement]:
        """MariaDB's sequences, each with the statement that sets its state."""
        statements = []
        for name in sorted(self.sequence_names):
            if name in selection:
                body = self._show("SEQUENCE", name, "Create Table")[0]
                with translate_errors(f"cannot read sequence {quote_name(name)}"):
                    state = self._session.texts(f"SELECT * FROM {quoted(name)}")[0]
                statements.append(Statement(kind="sequence", name=name, body=body))
                statements.append(Statement(kind="sequence state", name=name, body=sequence_state(name, state)))
        return statements

    def views(self, selection: Selection) -> list[Statement]:
        """Views, each behind those that it reads; broken ones last, with BROKEN_VIEW as their `extra`."""
        if not selection.has(ObjectKind.VIEW):
            return []
        listed = list_names(self._session, self._database)
        names = [name for name, kind in listed if kind == "VIEW" and name in selection]
        read = partial(read_as_made, self._session, self._database, read=self._view)
        views = list(self._allowed("view", names, read))
        return order_views(views, [view.name for view in views if view.extra == BROKEN_VIEW])

    def _view(self, name: str) -> Statement:
        with translate_errors(f"cannot read the definition of view {quote_name(name)}"):
            try:
                told = self._session.execute(f"SHOW CREATE VIEW {quoted(name)}")
            except pymysql.MySQLError as error:
                if not is_of_view(error):
                    raise
                extra = ORPHANED_VIEW if error_number(error) == _NO_DEFINER else BROKEN_VIEW
                return self._view_by_text(name, error, extra)
        codes = _codes(self._session, name) if told else frozenset()
        view = self._stored("VIEW", name, "Create View")
        if _NOT_THERE in codes:
            return replace(view, extra=BROKEN_VIEW)
        return replace(view, extra=ORPHANED_VIEW) if _NO_DEFINER in codes else view

    def _view_by_text(self, name: str, error: pymysql.MySQLError, extra: dict[str, Any]) -> Statement:
        """A view that cannot be opened: the server may still show what it is made of, but not how it is made."""
        algorithm = "algorithm" if self._session.server.mariadb else "'UNDEFINED'"
        rows = self._session.texts(
            "SELECT view_definition, check_option, definer, security_type, character_set_client, collation_connection,"
            f" {algorithm} FROM information_schema.views"
            f" WHERE {self._session.is_named('table_schema', self._database)} AND table_name={literal(name)}"
        )
        if not rows:
            raise error
        text, check, definer, security, charset, collation, chosen = rows[0]
        charset = charset if text.isascii() or charset.startswith("utf8") else "utf8mb4"  # as it is shown here
        user, _, host = definer.rpartition("@")
        end = "" if check == "NONE" else f" WITH {check} CHECK OPTION"
        body = (
            f"CREATE ALGORITHM={chosen} DEFINER={quoted(user)}@{quoted(host)} SQL SECURITY {security}"
            f" VIEW {quoted(name)} AS {text}{end}"
        )
        return Statement(
            kind="view", name=name, body=body.encode(errors="surrogateescape"), extra=extra,
            character_set_client=charset, collation_connection=collation,
        )  # fmt: skip

    def triggers(self, selection: Selection) -> list[Statement]:
        """Triggers in the order in which they fire."""
        if not selection.has(ObjectKind.TRIGGER):
            return []
        rows = self._session.texts(
            "SELECT trigger_name, event_object_table FROM information_schema.triggers"
            f" WHERE {self._session.is_named('trigger_schema', self._database)}"
            " ORDER BY event_object_table, event_manipulation, action_timing, action_order"
        )
        tables = {name: table for name, table in rows if table in selection}
        return list(self._allowed("trigger", tables, lambda name: self._stored(
            "TRIGGER", name, "SQL Original Statement", table=tables[name])))  # fmt: skip

    def routine_names(self) -> list[tuple[str, str]]:
        """Type and name of each function, procedure and package of MariaDB that the account sees."""
        rows = self._session.texts(
            "SELECT routine_type, routine_name FROM information_schema.routines"
            f" WHERE {self._session.is_named('routine_schema', self._database)} ORDER BY routine_type, routine_name"
        )
        return [(kind, name) for kind, name in sorted(rows, key=lambda row: _ROUTINES.index(row[0]))]

    def routines(self) -> list[Statement]:
        """Libraries of MySQL, functions, procedures and packages of MariaDB."""
        collations = parameter_collations(self._session, self._database)
        return [
            with_default(statement, collations.get((statement.kind, statement.name), ()))
            for kind, name in [*self._libraries(), *self.routine_names()]
            for statement in self._allowed(kind, [name], lambda name, kind=kind: self._stored(  # type: ignore[misc]
                kind, name, f"Create {kind.title()}"))
        ]  # fmt: skip

    def _libraries(self) -> list[tuple[str, str]]:
        """What functions in other languages import."""
        if not self._session.server.mysql_since(9, 2):
            return []
        rows = self._session.texts(
            "SELECT library_name FROM information_schema.libraries"
            f" WHERE library_schema={literal(self._database)} ORDER BY library_name"
        )
        return [("LIBRARY", name) for (name,) in rows]

    def histograms(self, selection: Selection) -> list[Statement]:
        """What MySQL's optimizer was told of the values of columns, exactly where the server takes it back so."""
        if not self._session.server.mysql_since(8, 0):
            return []
        rows = self._session.texts(
            "SELECT table_name, column_name, histogram, histogram->>'$.\"number-of-buckets-specified\"'"
            f" FROM information_schema.column_statistics WHERE schema_name={literal(self._database)}"
            " ORDER BY table_name, column_name"
        )
        exact = self._session.server.mysql_since(8, 0, 31)
        return [
            histogram(table, column, data if exact else "", int(buckets))
            for table, column, data, buckets in rows
            if table in selection
        ]

    def events(self) -> list[Statement]:
        """Events with their time zones."""
        names = event_names(self._session, self._database)
        return list(self._allowed("event", names, lambda name: self._stored("EVENT", name, "Create Event")))


def _codes(session: Session, view: str) -> frozenset[int]:
    """The numbers of what the server has just told of a view, also where it keeps no warnings: max_error_count=0."""
    codes = frozenset(int(code) for _, code, _ in session.texts("SHOW WARNINGS"))
    if not codes:
        try:
            session.rows(f"SELECT 1 FROM {quoted(view)} LIMIT 0")
        except pymysql.MySQLError as error:
            return frozenset({error_number(error)})
    return codes
