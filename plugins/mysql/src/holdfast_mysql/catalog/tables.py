"""Tables with their columns and primary keys."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pymysql

from holdfast.api import IntegrityError, quote_name
from holdfast_mysql.catalog.columns import UNLIKE_LABELS, TableColumn, column_of, row_kind
from holdfast_mysql.catalog.labels import alike_labels
from holdfast_mysql.catalog.last_moment import exchanged, last_moment, recorded_moment
from holdfast_mysql.catalog.selection import Selection
from holdfast_mysql.errors import DENIED, error_number, server_error
from holdfast_mysql.rows.wire import Column, RowHeader
from holdfast_mysql.session import Session, literal, quoted

# Engines whose tables take part in the snapshot.
TRANSACTIONAL = frozenset({"innodb", "rocksdb", "tokudb", "ndbcluster", "blackhole", "sequence"})
# Engines whose rows are another table's, or another server's.
ELSEWHERE = frozenset({"mrg_myisam", "mrg_isam", "federated", "connect", "spider", "oqgraph", "s3"})

# What FEDERATED says of a foreign server that is gone, in MariaDB and MySQL; its engine is no longer told then.
_NO_SERVER = re.compile(
    r"server name: '.*' doesn't exist|foreign server name you are trying to reference does not exist"
)


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table; `key` names the columns of its primary key, none if that holds prefixes; sizes are estimates.

    `labels` is for proofs of older backups: see `row_kind`. `last` is the server's last moment if there is a history,
    and `shown_last` another server's that is read in its place.
    """

    name: str
    engine: str
    versioned: bool
    rows: int
    size: int
    columns: tuple[TableColumn, ...]
    key: tuple[str, ...]
    labels: str = UNLIKE_LABELS
    last: str = ""
    shown_last: str = ""

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

    def row_header(self) -> RowHeader:
        """What its stream of rows says about itself."""
        return self._header

    @cached_property
    def _header(self) -> RowHeader:
        columns = [
            Column(name=column.name, kind=row_kind(column, labels=self.labels), nullable=column.nullable)
            for column in self.columns
            if not column.generated
        ]
        if self.period:
            columns += [Column(name=name, kind="ascii", nullable=False) for name in ("row_start", "row_end")]
        ends = (self.row_end, self.last) if self.history else None
        return RowHeader(table=self.name, columns=tuple(columns), versioned=self.history, ends=ends)

    @property
    def row_end(self) -> str:
        """The column that says when a row of the history ends; empty where there is no history to put back."""
        if not self.history:
            return ""
        return next((column.name for column in self.columns if column.row_end), "row_end")

    def expression(self, name: str) -> str:
        """A column as it is read: the end of a row that is there as the other server writes it."""
        if self.shown_last and name == self.row_end:
            return exchanged(quoted(name), self.last, self.shown_last)
        return quoted(name)

    def select(self) -> str:
        """The query of its rows, without a condition."""
        columns = {column.name: column for column in self.columns}
        expressions = []
        for column in self.row_header().columns:
            name = self.expression(column.name)
            if column.kind == "index":
                name += "+0"
            elif column.name in columns and columns[column.name].type == "float":
                name += "-0e0"  # FLOAT alone is sent with six digits; adding would make 0 of MySQL's -0
            expressions.append(name)
        history = " FOR SYSTEM_TIME ALL" if self.history else ""
        return f"SELECT {', '.join(expressions) or '1'} FROM {quoted(self.name)}{history}"


def as_recorded(table: Table, facts: Mapping[str, Any]) -> Table:
    """A restored table whose rows are read as the server wrote them that was backed up."""
    moment = recorded_moment(facts) if table.last else ""
    return replace(table, shown_last=moment) if moment != table.last else table


def inserts_only(table: Table) -> bool:
    """Whether MariaDB takes its rows by INSERT alone: LOAD DATA would number them anew, or cannot write their times."""
    header = table.row_header()
    converted = any(column.kind in ("json", "index") for column in header.columns)
    return header.versioned or (converted and any(column.auto_increment for column in table.columns))


def is_own(session: Session, name: str) -> bool:
    """Whether a table of the current database can be opened and has rows of its own."""
    engine = session.value(
        "SELECT engine FROM information_schema.tables"
        f" WHERE table_schema=DATABASE() AND {session.is_named('table_name', name)}"
    )
    return engine != "" and engine.lower() not in ELSEWHERE


def list_names(session: Session, database: str) -> list[tuple[str, str]]:
    """Name and type of every table, view and sequence."""
    return [
        (name, kind)
        for name, kind in session.texts(
            "SELECT table_name, table_type FROM information_schema.tables"
            f" WHERE {session.is_named('table_schema', database)} ORDER BY table_name"
        )
        if kind != "TEMPORARY"
    ]


def without_elsewhere(session: Session, database: str | None, *, alias: str = "") -> str:
    """A condition that leaves out the tables of a database whose rows are elsewhere, of all databases for None.

    MariaDB asks the other server for sizes and keys, and if that does not answer, whoever asks for any gets its error.
    """
    there = "TRUE" if database is None else session.is_named("table_schema", database)
    conditions = [
        f"NOT ({alias}table_schema={literal(schema)} AND {alias}table_name={literal(name)})"
        for schema, name, engine in session.texts(
            f"SELECT table_schema, table_name, engine FROM information_schema.tables WHERE {there}"
        )
        if engine.lower() in ELSEWHERE
    ]
    return " AND ".join(conditions) or "TRUE"


def read_tables(
    session: Session, database: str, selection: Selection, *, unopened: dict[str, str] | None = None
) -> list[Table]:
    """Every chosen table, by name; one that the server cannot open is an `IntegrityError`.

    With `unopened` it is left out, and added there with what the server says of it.
    """
    where = session.is_named("table_schema", database)
    own = f"{where} AND {without_elsewhere(session, database)}"
    columns: dict[str, list[TableColumn]] = {}
    generated = "is_generated" if session.server.mariadb else "extra"
    for row in session.texts(
        "SELECT table_name, column_name, data_type, column_type, is_nullable, character_set_name, collation_name,"
        f" extra, generation_expression, {generated} FROM information_schema.columns WHERE {where}"
        " ORDER BY table_name, ordinal_position"
    ):
        columns.setdefault(row[0], []).append(column_of(row[1:]))
    columns = {name: _told_apart(session, listed) if name in selection else listed for name, listed in columns.items()}
    keys: dict[str, list[tuple[str, str]]] = {}
    for table, column, prefix in session.texts(
        f"SELECT table_name, column_name, sub_part FROM information_schema.statistics WHERE {own}"
        " AND index_name='PRIMARY' ORDER BY table_name, seq_in_index"
    ):
        keys.setdefault(table, []).append((column, prefix))
    sizes = {name: (rows, size) for name, rows, size in session.texts(
        f"SELECT table_name, table_rows, data_length FROM information_schema.tables WHERE {own}"
    )}  # fmt: skip
    tables: list[Table] = []
    last = ""
    for name, kind, engine, comment in session.texts(
        "SELECT table_name, table_type, engine, table_comment FROM information_schema.tables"
        f" WHERE {where} AND table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') ORDER BY table_name"
    ):
        if name not in selection:
            continue
        why = _unopened(session, f"{quoted(database)}.{quoted(name)}", engine, comment) if name in columns else comment
        if why is not None:
            if unopened is None:
                raise unopened_error(name, why)
            unopened[name] = why
            continue
        key = keys.get(name, [])
        if kind == "SYSTEM VERSIONED":
            last = last or last_moment(session)
        rows, size = sizes.get(name, ("", ""))
        tables.append(
            Table(
                name=name,
                engine=engine,
                versioned=kind == "SYSTEM VERSIONED",
                rows=int(rows or 0),
                size=int(size or 0),
                columns=tuple(columns[name]),
                key=() if any(prefix for _, prefix in key) else tuple(column for column, _ in key),
                last=last if kind == "SYSTEM VERSIONED" else "",
            )
        )
    return tables


def _told_apart(session: Session, columns: list[TableColumn]) -> list[TableColumn]:
    """Columns that know whether members of theirs are alike."""
    kinds = [(each.charset, each.collation, each.column_type) for each in columns if each.type in ("enum", "set")]
    alike = alike_labels(session, kinds)
    return [replace(each, alike=True) if (each.collation, each.column_type) in alike else each for each in columns]


def unopened_error(name: str, why: str) -> IntegrityError:
    """What a table that the server cannot open is to a backup."""
    return IntegrityError(
        f"table {quote_name(name)} cannot be opened by the server: {why[:300]}",
        hint=f"use --exclude {name} to back up the rest",
    )


def lost_its_server(why: str) -> bool:
    """Whether a table cannot be opened because what CREATE SERVER had made is gone: it never had rows of its own."""
    return _NO_SERVER.search(why) is not None


def _unopened(session: Session, place: str, engine: str, comment: str) -> str | None:
    """Why the server cannot open a table; None where it can.

    MySQL lists one whose rows are elsewhere as if it could.
    """
    if not engine:
        return comment
    if engine.lower() in ELSEWHERE:
        try:
            session.execute(f"SHOW CREATE TABLE {place}")
        except pymysql.MySQLError as error:
            if error_number(error) in DENIED:
                raise server_error(error, f"cannot read table {place}") from error
            return str(error.args[-1])
    return None
