"""What is in a database: tables with their columns and keys, and every other object with its definition."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase

import pymysql

from holdfast.api import CredentialsError, IntegrityError, UsageError, quote_name
from holdfast_mysql.definitions.create_table import with_inherited_collations
from holdfast_mysql.definitions.rewrite import follow, order_views
from holdfast_mysql.definitions.script import Statement, sequence_state
from holdfast_mysql.rows.wire import Column, Unit
from holdfast_mysql.session.connection import Session, literal, number, plain_literal, quoted, saying

# Engines whose tables take part in the snapshot.
TRANSACTIONAL = frozenset({"innodb", "rocksdb", "tokudb", "ndbcluster", "blackhole", "sequence"})
# Engines whose rows are another table's, or another server's.
ELSEWHERE = frozenset({"mrg_myisam", "mrg_isam", "federated", "connect", "spider", "oqgraph", "s3"})
_NUMBERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "double", "year"})
INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint"})
_ASCII = frozenset({"date", "datetime", "timestamp", "time"})
_CONVERTED = frozenset({"json", "inet4", "inet6", "uuid", "xmltype"})
_NOT_THERE, _RECURSION = 1356, 1462
BROKEN_VIEW = {"broken": True}  # what a statement says besides of a view that refers to what is not there
_ROUTINES = ("FUNCTION", "PROCEDURE", "PACKAGE", "PACKAGE BODY")
_UTF8 = frozenset({"utf8", "utf8mb3", "utf8mb4"})
# Character sets of one byte in which ASCII is ASCII: a script shows such values as text.
_LATIN = frozenset(
    """
    ascii armscii8 cp1250 cp1251 cp1256 cp1257 cp850 cp852 cp866 dec8 geostd8 greek hebrew keybcs2 koi8r koi8u latin1
    latin2 latin5 latin7 macce macroman tis620
    """.split()  # noqa: SIM905
)


@dataclass(frozen=True, kw_only=True)
class TableColumn:
    """A column as the server describes it."""

    name: str
    type: str
    column_type: str
    nullable: bool
    charset: str
    collation: str
    generated: bool
    auto_increment: bool


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table; `key` names the columns of its primary key, none if that holds prefixes; sizes are estimates."""

    name: str
    engine: str
    versioned: bool
    rows: int
    size: int
    columns: tuple[TableColumn, ...]
    key: tuple[str, ...]

    @property
    def transactional(self) -> bool:
        """Whether the snapshot holds for it."""
        return self.engine.lower() in TRANSACTIONAL

    @property
    def stored(self) -> bool:
        """Whether its rows are its own."""
        return self.engine.lower() not in ELSEWHERE

    @property
    def history(self) -> bool:
        """Whether its rows have a history that can be put back: not one that counts transactions of its server."""
        return self.versioned and not any(column.type == "row transaction" for column in self.columns)

    @property
    def period(self) -> bool:
        """Whether its rows have a history whose times no column shows."""
        return self.history and not any(column.type == "row time" for column in self.columns)

    def unit(self) -> Unit:
        """What its stream of rows says about itself."""
        columns = [
            Column(name=column.name, kind=_kind(column), nullable=column.nullable)
            for column in self.columns
            if not column.generated
        ]
        if self.period:
            columns += [Column(name=name, kind="ascii", nullable=False) for name in ("row_start", "row_end")]
        return Unit(table=self.name, columns=tuple(columns), versioned=self.history)

    def select(self) -> str:
        """The query of its rows, without a condition."""
        columns = {column.name: column for column in self.columns}
        expressions = []
        for column in self.unit().columns:
            name = quoted(column.name)
            if column.kind == "index":
                name += "+0"
            elif column.name in columns and columns[column.name].type == "float":
                name += "-0e0"  # FLOAT alone is sent with six digits; adding would make 0 of MySQL's -0
            expressions.append(name)
        history = " FOR SYSTEM_TIME ALL" if self.history else ""
        return f"SELECT {', '.join(expressions) or '1'} FROM {quoted(self.name)}{history}"


def _kind(column: TableColumn) -> str:
    if column.type in _NUMBERS or column.type == "float":
        return "number"
    if column.type in ("enum", "set"):
        # An empty string stands for index 0, unless a member is empty too: then only the number tells them apart.
        return "index" if "''" in _members(column.column_type) else "label"
    if column.type in _ASCII or column.type == "row time":
        return "ascii"
    if column.type in _CONVERTED:
        return "json"
    return "utf8" if column.charset in _UTF8 else "latin" if column.charset in _LATIN else "bytes"


def _members(column_type: str) -> list[str]:
    """The members of an ENUM or SET, each in its quotes."""
    members, start, place = [], 0, column_type.index("(") + 1
    start = place
    quoted_now = False
    while place < len(column_type):
        char = column_type[place]
        if char == "'":
            if quoted_now and column_type[place + 1 : place + 2] == "'":
                place += 1
            else:
                quoted_now = not quoted_now
        elif char in ",)" and not quoted_now:
            members.append(column_type[start:place])
            start = place + 1
        place += 1
    return members


@dataclass(frozen=True, kw_only=True)
class Selection:
    """What `--select` and `--exclude` leave: shell patterns on the names of tables, views and sequences."""

    select: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    @property
    def everything(self) -> bool:
        """Whether routines and events belong to it too."""
        return not self.select

    def __contains__(self, name: object) -> bool:
        text = str(name)
        chosen = not self.select or any(fnmatchcase(text, pattern) for pattern in self.select)
        return chosen and not any(fnmatchcase(text, pattern) for pattern in self.exclude)

    def check(self, names: Sequence[str]) -> None:
        """Refuse a pattern that chooses nothing: it was meant to choose something."""
        for pattern in (*self.select, *self.exclude):
            if not any(fnmatchcase(name, pattern) for name in names):
                raise UsageError(f"no table, view or sequence is called {quote_name(pattern)}")


def names_of(session: Session, database: str) -> list[tuple[str, str]]:
    """Name and type of every table, view and sequence."""
    return [
        (name, kind)
        for name, kind in session.texts(
            "SELECT table_name, table_type FROM information_schema.tables"
            f" WHERE table_schema={literal(database)} ORDER BY table_name"
        )
        if kind != "TEMPORARY"
    ]


def read_tables(session: Session, database: str, selection: Selection) -> list[Table]:
    """Every chosen table, by name."""
    where = f"table_schema={literal(database)}"
    columns: dict[str, list[TableColumn]] = {}
    generated = "is_generated" if session.server.mariadb else "extra"
    for row in session.texts(
        "SELECT table_name, column_name, data_type, column_type, is_nullable, character_set_name, collation_name,"
        f" extra, generation_expression, {generated} FROM information_schema.columns WHERE {where}"
        " ORDER BY table_name, ordinal_position"
    ):
        columns.setdefault(row[0], []).append(_column(row[1:]))
    keys: dict[str, list[tuple[str, str]]] = {}
    for table, column, prefix in session.texts(
        f"SELECT table_name, column_name, sub_part FROM information_schema.statistics WHERE {where}"
        " AND index_name='PRIMARY' ORDER BY table_name, seq_in_index"
    ):
        keys.setdefault(table, []).append((column, prefix))
    found = []
    for name, kind, engine, rows, size, comment in session.texts(
        "SELECT table_name, table_type, engine, table_rows, data_length, table_comment FROM information_schema.tables"
        f" WHERE {where} AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY table_name"
    ):
        if name not in selection:
            continue
        if not engine or name not in columns:
            raise IntegrityError(f"table {quote_name(name)} cannot be opened by the server: {comment[:300]}")
        key = keys.get(name, [])
        found.append(
            Table(
                name=name,
                engine=engine,
                versioned=kind == "SYSTEM VERSIONED",
                rows=int(rows or 0),
                size=int(size or 0),
                columns=tuple(columns[name]),
                key=() if any(prefix for _, prefix in key) else tuple(column for column, _ in key),
            )
        )
    return found


def _column(row: tuple[str, ...]) -> TableColumn:
    name, kind, column_type, nullable, charset, collation, extra, expression, generated = row
    computed = generated == "ALWAYS" or "GENERATED" in extra.upper().replace("DEFAULT_GENERATED", "")
    if computed and expression.upper() in ("ROW START", "ROW END"):
        # The server takes times of a history from an INSERT, but no numbers of transactions (error 1906).
        kind, computed = ("row transaction", True) if kind.lower() == "bigint" else ("row time", False)
    return TableColumn(
        name=name,
        type=kind.lower(),
        column_type=column_type,
        nullable=nullable == "YES",
        charset=charset.lower(),
        collation=collation.lower(),
        generated=computed,
        auto_increment="auto_increment" in extra.lower(),
    )


class Definitions:
    """Reads the definitions of a database's objects as they were written, byte for byte."""

    def __init__(self, session: Session, database: str) -> None:
        self._session = session
        self._database = database
        self.sequence_names = frozenset(name for name, kind in names_of(session, database) if kind == "SEQUENCE")

    def _show(self, what: str, name: str, key: str) -> tuple[bytes, dict[str, str]]:
        with saying(f"cannot read the definition of {what.lower()} {quote_name(name)}"):
            rows = self._session.dicts(f"SHOW CREATE {what} {quoted(name)}")
        body = rows[0].get(key) if rows else None
        if body is None:
            raise CredentialsError(
                f"the account may not read the definition of {what.lower()} {quote_name(name)}",
                hint="grant SHOW VIEW, TRIGGER, EVENT, and SHOW_ROUTINE or SELECT on mysql.proc",
            )
        texts = {name: (value or b"").decode(errors="surrogateescape") for name, value in rows[0].items()}
        return body, texts

    def _stored(self, what: str, name: str, key: str, *, kind: str = "", table: str = "") -> Statement:
        body, texts = self._show(what, name, key)
        return Statement(
            kind=kind or what.lower(),
            name=name,
            body=body,
            table=table,
            sql_mode=texts.get("sql_mode"),
            character_set_client=texts.get("character_set_client", ""),
            collation_connection=texts.get("collation_connection", ""),
            time_zone=texts.get("time_zone", ""),
            collation=texts.get("Database Collation", ""),
        )

    def database(self) -> Statement:
        """The database's own settings, as a statement that needs no name."""
        comment = ", schema_comment" if self._session.server.mariadb_since(10, 5) else ", ''"
        charset, collation, text = self._session.texts(
            f"SELECT default_character_set_name, default_collation_name{comment} FROM information_schema.schemata"
            f" WHERE schema_name={literal(self._database)}"
        )[0]
        said = f" COMMENT {plain_literal(text)}" if text else ""
        return Statement(
            kind="database",
            name=self._database,
            body=f"ALTER DATABASE CHARACTER SET {charset} COLLATE {collation}{said}".encode(errors="surrogateescape"),
            collation=collation,
            extra={"charset": charset, "comment": text},
        )

    def table(self, name: str) -> Statement:
        """A table's definition."""
        body = self._show("TABLE", name, "Create Table")[0]
        if self._session.server.mysql_since(8, 0):
            body = with_inherited_collations(body)
        found = Statement(kind="table", name=name, body=body)
        if b"nextval(" not in found.body and b"lastval(" not in found.body:
            return found
        # A default names its sequence together with the database; without it, it follows to any name.
        body = follow(found, old=self._database, new="", objects=self.sequence_names)
        return replace(found, body=body)

    def sequences(self, selection: Selection) -> list[Statement]:
        """MariaDB's sequences, each with the statement that sets its state."""
        found = []
        for name, kind in names_of(self._session, self._database):
            if kind == "SEQUENCE" and name in selection:
                body = self._show("SEQUENCE", name, "Create Table")[0]
                with saying(f"cannot read sequence {quote_name(name)}"):
                    state = self._session.texts(f"SELECT * FROM {quoted(name)}")[0]
                found.append(Statement(kind="sequence", name=name, body=body))
                found.append(Statement(kind="sequence state", name=name, body=sequence_state(name, state)))
        return found

    def views(self, selection: Selection) -> list[Statement]:
        """Views, each behind those that it reads; broken ones last, with BROKEN_VIEW as their `extra`."""
        names = [name for name, kind in names_of(self._session, self._database) if kind == "VIEW" and name in selection]
        found = [self._view(name) for name in names]
        return order_views(found, [view.name for view in found if view.extra == BROKEN_VIEW])

    def _view(self, name: str) -> Statement:
        with saying(f"cannot read the definition of view {quote_name(name)}"):
            try:
                self._session.execute(f"SHOW CREATE VIEW {quoted(name)}")
            except pymysql.MySQLError as error:
                if number(error) != _RECURSION:
                    raise
                return self._recursive_view(name)
        broken = any(int(code) == _NOT_THERE for _, code, _ in self._session.texts("SHOW WARNINGS"))
        view = self._stored("VIEW", name, "Create View")
        return replace(view, extra=BROKEN_VIEW) if broken else view

    def _recursive_view(self, name: str) -> Statement:
        """A view that reads itself, by way of others: the server shows what it is made of, and not how it is made."""
        algorithm = "algorithm" if self._session.server.mariadb else "'UNDEFINED'"
        text, check, definer, security, charset, collation, chosen = self._session.texts(
            "SELECT view_definition, check_option, definer, security_type, character_set_client, collation_connection,"
            f" {algorithm} FROM information_schema.views"
            f" WHERE table_schema={literal(self._database)} AND table_name={literal(name)}"
        )[0]
        user, _, host = definer.rpartition("@")
        end = "" if check == "NONE" else f" WITH {check} CHECK OPTION"
        body = (
            f"CREATE ALGORITHM={chosen} DEFINER={quoted(user)}@{quoted(host)} SQL SECURITY {security}"
            f" VIEW {quoted(name)} AS {text}{end}"
        )
        return Statement(
            kind="view", name=name, body=body.encode(errors="surrogateescape"), extra=BROKEN_VIEW,
            character_set_client=charset, collation_connection=collation,
        )  # fmt: skip

    def triggers(self, selection: Selection) -> list[Statement]:
        """Triggers in the order in which they fire."""
        rows = self._session.texts(
            "SELECT trigger_name, event_object_table FROM information_schema.triggers"
            f" WHERE trigger_schema={literal(self._database)}"
            " ORDER BY event_object_table, event_manipulation, action_timing, action_order"
        )
        return [
            self._stored("TRIGGER", name, "SQL Original Statement", table=table)
            for name, table in rows
            if table in selection
        ]

    def routines(self) -> list[Statement]:
        """Functions, procedures and MariaDB's packages."""
        rows = self._session.texts(
            "SELECT routine_type, routine_name FROM information_schema.routines"
            f" WHERE routine_schema={literal(self._database)} ORDER BY routine_type, routine_name"
        )
        ordered = sorted(rows, key=lambda row: _ROUTINES.index(row[0]))
        return [self._stored(kind, name, f"Create {kind.title()}") for kind, name in ordered]

    def events(self) -> list[Statement]:
        """Events with their time zones."""
        rows = self._session.texts(
            "SELECT event_name FROM information_schema.events"
            f" WHERE event_schema={literal(self._database)} ORDER BY event_name"
        )
        return [self._stored("EVENT", name, "Create Event") for (name,) in rows]
