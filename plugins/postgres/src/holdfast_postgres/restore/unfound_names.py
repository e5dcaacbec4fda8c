"""Names that a restore does not find, which says nothing about the backup.

One without a schema may mean something in one of several, and which of them the session meant that made the object
nothing tells any more: with `-o search_path=…` it is restored. Rows may hold names of objects (regclass) that were not
selected, or that are made after all rows, as indexes are.
"""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast.api import Failure
from holdfast_postgres.catalog import NAMING_COLUMNS, computed_tables, first_column, schemas_with_name
from holdfast_postgres.errors import some_names, translate_errors

# Of SQLSTATE, what was not found; in the message its name stands in the quotes of some language, or before arguments.
_KINDS = {
    "42883": ("routine", "operator"),
    "42P01": ("relation",),
    "42704": ("type", "collation", "text search"),
}
_NAMED = (*_KINDS, "3F000")
_ROWS = "rows of table"
_BUILT_BY_SERVER = ("index", "constraint", "rows of view")
_BROKEN = ("23503", "23505", "23P01")  # keys, and what has to be unique
_OWN_PATH_SINCE = 17  # in which the server builds them under a path of its own
_LISTED = 10

# Of a table whose name is that of a message.
_NAMING = f"""
{NAMING_COLUMNS} SELECT k.name FROM naming k JOIN pg_catalog.pg_class c ON c.oid = k.relation
JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND %s::text IN (n.nspname || '.' || c.relname, c.relname) ORDER BY 1
"""


@dataclass(frozen=True, kw_only=True)
class NotThere:
    """Objects that rows name and that are not there: not `selected`, or made after the rows."""

    columns: tuple[str, ...]
    selected: bool

    @property
    def said(self) -> str:
        """What to add to the error."""
        why = "was not selected" if self.selected else "is not there before them"
        return f"its rows name objects ({', '.join(self.columns)}), and this one {why}"

    @property
    def hint(self) -> str:
        """What to do."""
        if self.selected:
            return "select it too, or leave the rows of this table out by -o on_error=continue"
        return (
            "indexes and what else is made after the rows cannot be named by them, in any restore: leave the rows of "
            "this table out by -o on_error=continue and put them in afterwards, or keep such names as text"
        )


@dataclass(frozen=True, kw_only=True)
class Unfound:
    """Names without a schema, and the schemas that have them: `own` is that of the object that needs them.

    `by_server` tells that the server makes the object under a path of its own, in which none of these is.
    """

    names: tuple[str, ...]
    schemas: tuple[str, ...]
    own: str
    by_server: bool = False

    @property
    def said(self) -> str:
        """What to add to the error."""
        name = " and ".join(self.names)
        if self.by_server:
            return (
                f"schema {' and '.join(self.schemas[:_LISTED])} has {name}, which this server looks for in pg_catalog "
                f"alone when it makes this: since PostgreSQL {_OWN_PATH_SINCE} no search_path is of use there"
            )
        if len(self.schemas) == 1:
            return f"schema {self.schemas[0]} has {name}, and nothing tells whether the source meant that"
        listed = ", ".join(self.schemas[:_LISTED]) + (", …" if len(self.schemas) > _LISTED else "")
        return f"the schemas {listed} have {name}, and nothing tells which of them the source meant"

    @property
    def hint(self) -> str:
        """What to do."""
        if self.by_server:
            return (
                "write its schema in the function of the source, or give that a search_path (ALTER FUNCTION … SET), "
                "and back up again; -o on_error=continue restores all else"
            )
        path = ",".join(dict.fromkeys(filter(None, (self.own, self.schemas[0]))))
        others = ", or another of them in its place" if len(self.schemas) > 1 else ""
        return f"use -o search_path={path}{others}"


@dataclass(frozen=True, kw_only=True)
class Computed:
    """Tables with columns that were computed under a path which the restore has chosen, since nothing tells it."""

    tables: tuple[str, ...]

    @property
    def said(self) -> str:
        """What to add to the error."""
        tables = some_names(self.tables)
        return (
            f"generated columns of {tables} were computed by functions that name others without their schemas, and "
            "nothing tells which of them the source meant"
        )

    @property
    def hint(self) -> str:
        """What to do."""
        return "use -o search_path=SCHEMA,… with the path of the sessions that made the table"


def read_unfound(
    connected: "Callable[[], AbstractContextManager[Connection[TupleRow]]]",
    failure: Failure,
    before: Failure | None,
    *,
    major: int,
    selected: bool,
    guessed: bool,
) -> Unfound | Computed | NotThere | None:
    """What a failure is for where it is for such a name; None where it is for anything else.

    `before` is what was refused first: a name of which the path then found a wrong one. With `selected`, rows that
    name objects most likely name some that were not; else a function is the likelier reason, which a path helps.
    `guessed` tells that rows or objects were made under a path that nobody gave.
    """
    if guessed and failure.code in _BROKEN and (tables := _computed(connected, failure)):
        return Computed(tables=tables)
    columns: list[str] = []
    if failure.code in _NAMED and failure.kind == _ROWS:
        with connected() as connection, translate_errors("cannot look for the columns of a table"):
            columns = first_column(connection, _NAMING, (failure.name,))
    not_there = NotThere(columns=tuple(columns), selected=selected) if columns else None
    if selected and not_there:
        return not_there
    for refused, least in ((failure, 1), (before, 2)):
        kinds = _KINDS.get(refused.code, ()) if refused else ()
        if refused is None or not kinds:
            continue
        with connected() as connection, translate_errors("cannot look for the schema of a name"):
            known = schemas_with_name(connection, kinds, refused.message)
        meant = {name for names in known.values() for name in names if _is_named(name, refused.message)}
        schemas = tuple(schema for schema, names in known.items() if not meant.isdisjoint(names))
        if len(schemas) >= least:
            own = refused.name.split(".")[0] if "." in refused.name else ""
            by_server = major >= _OWN_PATH_SINCE and refused.kind in _BUILT_BY_SERVER
            return Unfound(names=tuple(sorted(meant)), schemas=schemas, own=own, by_server=by_server)
    return not_there


def _computed(
    connected: "Callable[[], AbstractContextManager[Connection[TupleRow]]]", failure: Failure
) -> tuple[str, ...]:
    """The tables with computed columns that an index or constraint may be of, whose name begins with its schema."""
    with connected() as connection, translate_errors("cannot look for computed columns"):
        tables = [f"{schema}.{name}" for schema, name in sorted(computed_tables(connection))]
    if failure.kind == "index":
        schema = failure.name.partition(".")[0]
        return tuple(table for table in tables if table.partition(".")[0] == schema)
    return tuple(table for table in tables if failure.name.startswith(f"{table}."))


def _is_named(name: str, text: str) -> bool:
    """Whether a message is about this name, without a schema: one that has it was looked for there alone."""
    edge = r"[\w$.]" if re.match(r"[\w$]", name) else r"[^\w\s(),\"]"
    return bool(re.search(rf"(?<!{edge}){re.escape(name)}(?!{edge})", text))
