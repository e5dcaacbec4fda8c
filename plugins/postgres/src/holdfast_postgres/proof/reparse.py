"""What a server prints of a text that it printed before: parsed and printed once more, as a restore does.

Each text is put into an object of its kind, under a name that goes away again with the savepoint, so that it is parsed
where the restored object's was: against the same table, with its types and functions. Rows are never read: constraints
are NOT VALID, views hold no data, indexes are made of tables that are emptied for as long as the savepoint lasts.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.catalog import first_column
from holdfast_postgres.implied_operators import read_implied
from holdfast_postgres.proof.printed import Printed
from holdfast_postgres.session import quoted

_NAME = "holdfast_reparsed"
_TEMPORARY = f"pg_temp.{_NAME}"
_SMALL = 1 << 20  # bytes of a table that is not worth emptying
_NOT_VALID = " NOT VALID"
# Of SQLSTATE: what says that the text does not fit the restored objects, and not that the server cannot do it now.
_UNFIT = ("0A", "22", "23", "2B", "2F", "42", "P0")
_FORBIDDEN = "42501"


# Policies are found by the number of their table (`definition_queries`).
_TABLES_OF_POLICIES = "SELECT oid::int8, polrelid::int8 FROM pg_catalog.pg_policy"

Reparse = Callable[[Printed, str], "str | None"]


class CannotTellError(Exception):
    """The role may not do what it takes to parse a text."""


@contextmanager
def reparsing(connection: "Connection[TupleRow]") -> Iterator[Reparse]:
    """A function that parses a text in the place of another: what it prints then, or None where it does not fit.

    It raises `CannotTellError`. Event triggers are off meanwhile; nothing of it all stays.
    """
    with undoing(connection):
        paths = _paths(connection)
        # As in a restore: a body is parsed, but not planned with what its tables have now.
        connection.execute("SET LOCAL check_function_bodies TO off")
        yield lambda place, text: _reparse(connection, place, text, paths.get(place.numbers[0], ""))


def _paths(connection: "Connection[TupleRow]") -> dict[int, str]:
    """The search_path that a restore makes a definition under, where that is not empty, by the number of its place."""
    implied = read_implied(connection)
    tables: dict[int, int] = dict(connection.execute(_TABLES_OF_POLICIES).fetchall()) if implied else {}
    schemas: dict[int, set[str]] = {}
    for each in implied:
        for _, oid in each.addresses:
            schemas.setdefault(oid, set()).update(each.schemas)
            schemas.setdefault(tables.get(oid, oid), set()).update(each.schemas)
    return {oid: ", ".join(map(quoted, sorted(names))) for oid, names in schemas.items()}


@contextmanager
def undoing(connection: "Connection[TupleRow]") -> Iterator[None]:
    """Keep event triggers off for the length of a block, and then undo all that was done in it."""
    connection.execute("SAVEPOINT holdfast_reparsing")
    try:
        for name in first_column(connection, "SELECT evtname FROM pg_catalog.pg_event_trigger WHERE evtenabled <> 'D'"):
            connection.execute(f"ALTER EVENT TRIGGER {quoted(name)} DISABLE")
        yield
    finally:
        _undo(connection, "holdfast_reparsing")


def _undo(connection: "Connection[TupleRow]", savepoint: str) -> None:
    """Leave a savepoint with nothing done; kept, the next of its name would be one level deeper."""
    if not connection.closed and not connection.broken:
        connection.execute(f"ROLLBACK TO SAVEPOINT {savepoint}; RELEASE SAVEPOINT {savepoint}")


def _reparse(connection: "Connection[TupleRow]", place: Printed, text: str, path: str) -> str | None:
    connection.execute("SAVEPOINT holdfast_reparse")
    try:
        return _WAYS[place.what](_Server(connection, path), text, *place.numbers)
    except psycopg.Error as error:
        state = error.sqlstate or ""
        if state == _FORBIDDEN:
            raise CannotTellError(str(error)) from error
        if not state.startswith(_UNFIT):
            raise
        return None
    finally:
        _undo(connection, "holdfast_reparse")


class _Server:
    """A session that makes things under one search_path, and reads them with an empty one."""

    def __init__(self, connection: "Connection[TupleRow]", path: str) -> None:
        self._connection = connection
        self._path = path

    def do(self, statement: str) -> None:
        """Run one statement: the extended protocol takes no second one, which a forged text could hold."""
        self._set_path(self._path)
        self._connection.execute(statement.encode(), binary=True)
        self._set_path("")

    def _set_path(self, path: str) -> None:
        if self._path:
            self._connection.execute("SELECT pg_catalog.set_config('search_path', %s, true)", (path,))

    def rows(self, query: str, parameters: Sequence[object]) -> list[TupleRow]:
        """What a query returns."""
        return self._connection.execute(query, parameters).fetchall()

    def value(self, query: str, *parameters: object) -> str:
        """The one value that a query returns."""
        row = next(iter(self.rows(query, parameters)), None)
        return "" if row is None else str(row[0])

    def name(self, oid: int) -> str:
        """The qualified name of a relation."""
        return self.value("SELECT %s::oid::regclass::text", oid)


def _default(server: _Server, text: str, table: int, number: int) -> str:
    column = _column(server, table, number)
    server.do(f"ALTER TABLE ONLY {server.name(table)} ALTER COLUMN {column} SET DEFAULT {text}")
    return _stored_default(server, table, number)


def _generated(server: _Server, text: str, table: int, number: int) -> str:
    """In an empty table of the same columns: to give the table itself another would write all its rows anew."""
    column = _column(server, table, number)
    query = """
        SELECT concat(format_type(atttypid, atttypmod), ' COLLATE ' || nullif(attcollation, 0)::regcollation),
            CASE attgenerated WHEN 'v' THEN 'VIRTUAL' ELSE 'STORED' END
        FROM pg_catalog.pg_attribute WHERE attrelid = %s AND attnum = %s
    """
    kind, stored = next(iter(server.rows(query, (table, number))), None) or ("", "")
    server.do(f"CREATE TEMP TABLE {_NAME} (LIKE {server.name(table)})")
    server.do(
        f"ALTER TABLE {_TEMPORARY} DROP COLUMN {column}, ADD COLUMN {column} {kind} GENERATED ALWAYS "
        f"AS ({text}) {stored}",
    )
    query = "SELECT attrelid::int8, max(attnum) FROM pg_catalog.pg_attribute WHERE attrelid = %s::regclass GROUP BY 1"
    row = next(iter(server.rows(query, (_TEMPORARY,))), None)
    return "" if row is None else _stored_default(server, *row)


def _column(server: _Server, table: int, number: int) -> str:
    query = "SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = %s AND attnum = %s"
    return quoted(server.value(query, table, number))


def _stored_default(server: _Server, table: int, number: int) -> str:
    query = "SELECT pg_catalog.pg_get_expr(adbin, adrelid) FROM pg_catalog.pg_attrdef WHERE adrelid = %s AND adnum = %s"
    return server.value(query, table, number)


def _key(server: _Server, text: str, table: int) -> str:
    server.do(f"CREATE TEMP TABLE {_NAME} (LIKE {server.name(table)}) PARTITION BY {text}")
    return server.value("SELECT pg_catalog.pg_get_partkeydef(pg_catalog.to_regclass(%s))", _TEMPORARY)


def _bound(server: _Server, text: str, table: int) -> str:
    query = "SELECT inhparent::int8 FROM pg_catalog.pg_inherits WHERE inhrelid = %s"
    parent = int(server.value(query, table))
    key = server.value("SELECT pg_catalog.pg_get_partkeydef(%s)", parent)
    server.do(f"CREATE TEMP TABLE holdfast_parent (LIKE {server.name(parent)}) PARTITION BY {key}")
    server.do(f"CREATE TEMP TABLE {_NAME} PARTITION OF pg_temp.holdfast_parent {text}")
    query = "SELECT pg_catalog.pg_get_expr(relpartbound, oid) FROM pg_catalog.pg_class WHERE oid = %s::regclass"
    return server.value(query, _TEMPORARY)


def _view(server: _Server, text: str, view: int) -> str:
    query = """
        SELECT relkind::text || ' ' || relnamespace::regnamespace::text FROM pg_catalog.pg_class WHERE oid = %s
    """
    kind, schema = server.value(query, view).split(" ", 1)
    name = f"{schema}.{_NAME}"
    if kind == "m":
        server.do(f"CREATE MATERIALIZED VIEW {name} AS {text.rstrip(';')} WITH NO DATA")
    else:
        server.do(f"CREATE VIEW {name} AS {text}")
    return server.value("SELECT pg_catalog.pg_get_viewdef(%s::regclass)", name)


def _index(server: _Server, text: str, index: int) -> str:
    query = "SELECT indrelid::int8 FROM pg_catalog.pg_index WHERE indexrelid = %s"
    _empty(server, int(server.value(query, index)))
    name = server.value("SELECT quote_ident(relname) FROM pg_catalog.pg_class WHERE oid = %s", index)
    server.do(text.replace(f" INDEX {name} ON ", f" INDEX {_NAME} ON ", 1))
    query = """
        SELECT pg_catalog.pg_get_indexdef(n.oid) FROM pg_catalog.pg_class o
        JOIN pg_catalog.pg_class n ON n.relnamespace = o.relnamespace AND n.relname = %s WHERE o.oid = %s
    """
    return server.value(query, _NAME, index).replace(f" INDEX {_NAME} ON ", f" INDEX {name} ON ", 1)


def _empty(server: _Server, table: int) -> None:
    """Let a table have no rows, so that no index over them has to be built."""
    query = """
        SELECT c.relkind::text FROM pg_catalog.pg_class c
        WHERE c.oid = %s AND c.relkind IN ('r', 'm') AND pg_catalog.pg_table_size(c.oid) > %s
    """
    kind = server.value(query, table, _SMALL)
    if kind == "m":
        server.do(f"REFRESH MATERIALIZED VIEW {server.name(table)} WITH NO DATA")
    elif kind:
        name = server.name(table)
        server.do(f"ALTER TABLE ONLY {name} DISABLE TRIGGER USER")
        server.do(f"TRUNCATE ONLY {name} CASCADE")


def _constraint(server: _Server, text: str, constraint: int) -> str:
    query = """
        SELECT concat_ws(' ', CASE WHEN contypid <> 0 THEN 'DOMAIN ' || contypid::regtype
            ELSE 'TABLE ' || conrelid::regclass END) FROM pg_catalog.pg_constraint WHERE oid = %s
    """
    target = server.value(query, constraint)
    check = text.startswith("CHECK ")
    if not check:
        query = "SELECT conrelid::int8 FROM pg_catalog.pg_constraint WHERE oid = %s"
        _empty(server, int(server.value(query, constraint)))
    added = _NOT_VALID if check and not text.endswith((_NOT_VALID, " NOT ENFORCED")) else ""
    server.do(f"ALTER {target} ADD CONSTRAINT {_NAME} {text}{added}")
    query = """
        SELECT pg_catalog.pg_get_constraintdef(n.oid) FROM pg_catalog.pg_constraint o
        JOIN pg_catalog.pg_constraint n ON n.conrelid = o.conrelid AND n.contypid = o.contypid AND n.conname = %s
        WHERE o.oid = %s
    """
    return server.value(query, _NAME, constraint).removesuffix(added)


def _trigger(server: _Server, text: str, trigger: int) -> str:
    name = server.value("SELECT quote_ident(tgname) FROM pg_catalog.pg_trigger WHERE oid = %s", trigger)
    server.do(text.replace(f" TRIGGER {name} ", f" TRIGGER {_NAME} ", 1))
    query = """
        SELECT pg_catalog.pg_get_triggerdef(n.oid) FROM pg_catalog.pg_trigger o
        JOIN pg_catalog.pg_trigger n ON n.tgrelid = o.tgrelid AND n.tgname = %s WHERE o.oid = %s
    """
    return server.value(query, _NAME, trigger).replace(f" TRIGGER {_NAME} ", f" TRIGGER {name} ", 1)


def _rule(server: _Server, text: str, rule: int) -> str:
    name = server.value("SELECT quote_ident(rulename) FROM pg_catalog.pg_rewrite WHERE oid = %s", rule)
    server.do(text.replace(f"RULE {name} AS", f"RULE {_NAME} AS", 1))
    query = """
        SELECT pg_catalog.pg_get_ruledef(n.oid) FROM pg_catalog.pg_rewrite o
        JOIN pg_catalog.pg_rewrite n ON n.ev_class = o.ev_class AND n.rulename = %s WHERE o.oid = %s
    """
    return server.value(query, _NAME, rule).replace(f"RULE {_NAME} AS", f"RULE {name} AS", 1)


def _using(server: _Server, text: str, table: int) -> str:
    return _policy(server, f"USING ({text})", table)


def _check(server: _Server, text: str, table: int) -> str:
    return _policy(server, f"WITH CHECK ({text})", table)


def _policy(server: _Server, clause: str, table: int) -> str:
    server.do(f"CREATE POLICY {_NAME} ON {server.name(table)} {clause}")
    query = """
        SELECT pg_catalog.pg_get_expr(coalesce(polqual, polwithcheck), polrelid) FROM pg_catalog.pg_policy
        WHERE polrelid = %s AND polname = %s
    """
    return server.value(query, table, _NAME)


def _routine(server: _Server, text: str, routine: int) -> str:
    """Replaced: with the same name, arguments and result it keeps its OID.

    Its tables have no rules meanwhile, as when a restore makes it: the server parses no MERGE into a table with rules.
    """
    query = """
        SELECT DISTINCT pg_catalog.quote_ident(r.rulename), r.ev_class::regclass::text
        FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.ev_class = d.refobjid
        WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = %s
            AND d.refclassid = 'pg_catalog.pg_class'::regclass AND r.rulename <> '_RETURN'
    """
    for rule, table in server.rows(query, (routine,)):
        server.do(f"DROP RULE {rule} ON {table}")
    server.do(text)
    return server.value("SELECT pg_catalog.pg_get_functiondef(%s)", routine)


def _domain(server: _Server, text: str, domain: int) -> str:
    name = server.value("SELECT %s::oid::regtype", domain)
    server.do(f"ALTER DOMAIN {name} SET DEFAULT {text}")
    query = """
        SELECT pg_catalog.pg_get_expr(typdefaultbin, 'pg_catalog.pg_type'::regclass) FROM pg_catalog.pg_type
        WHERE oid = %s
    """
    return server.value(query, domain)


def _statistics(server: _Server, text: str, statistics: int) -> str:
    query = "SELECT stxnamespace::regnamespace::text, quote_ident(stxname)"
    row = next(iter(server.rows(f"{query} FROM pg_catalog.pg_statistic_ext WHERE oid = %s", (statistics,))), None)
    if row is None:
        return ""
    before, after = (f"STATISTICS {row[0]}.{name}" for name in (row[1], _NAME))
    server.do(text.replace(before, after, 1))
    query = """
        SELECT pg_catalog.pg_get_statisticsobjdef(n.oid) FROM pg_catalog.pg_statistic_ext o
        JOIN pg_catalog.pg_statistic_ext n ON n.stxnamespace = o.stxnamespace AND n.stxname = %s WHERE o.oid = %s
    """
    return server.value(query, _NAME, statistics).replace(after, before, 1)


def _filter(server: _Server, text: str, table: int) -> str:
    server.do(f"CREATE PUBLICATION {_NAME} FOR TABLE {server.name(table)} WHERE ({text})")
    query = """
        SELECT pg_catalog.pg_get_expr(r.prqual, r.prrelid) FROM pg_catalog.pg_publication_rel r
        JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid WHERE p.pubname = %s
    """
    return server.value(query, _NAME)


_WAYS: dict[str, Callable[..., str]] = {
    "default": _default,
    "generated": _generated,
    "key": _key,
    "bound": _bound,
    "view": _view,
    "index": _index,
    "constraint": _constraint,
    "trigger": _trigger,
    "rule": _rule,
    "using": _using,
    "check": _check,
    "routine": _routine,
    "domain": _domain,
    "statistics": _statistics,
    "filter": _filter,
}
