"""What a server prints of a text that it printed before: parsed and printed once more, as a restore does.

Each text is put into an object of its kind, under a name that goes away again with the savepoint, so that it is parsed
where the restored object's was: against the same table, with its types and functions. Rows are never read: constraints
are NOT VALID, views hold no data, indexes are made of tables that are emptied for as long as the savepoint lasts.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import psycopg
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.catalog import first_column
from holdfast_postgres.proof.printed import Printed
from holdfast_postgres.session import quoted

_NAME = "holdfast_reparsed"
_TEMPORARY = f"pg_temp.{_NAME}"
_SMALL = 1 << 20  # bytes of a table that is not worth emptying
_NOT_VALID = " NOT VALID"
# Of SQLSTATE: what says that the text does not fit the restored objects, and not that the server cannot do it now.
_UNFIT = ("0A", "22", "23", "2B", "2F", "42", "P0")
_FORBIDDEN = "42501"


Reparse = Callable[[Printed, str], "str | None"]


class CannotTellError(Exception):
    """The role may not do what it takes to parse a text."""


@contextmanager
def reparsing(connection: "Connection[TupleRow]") -> Iterator[Reparse]:
    """A function that parses a text in the place of another: what it prints then, or None where it does not fit.

    It raises `CannotTellError`. Event triggers are off meanwhile; nothing of it all stays.
    """
    with undoing(connection):
        # As in a restore: a body is parsed, but not planned with what its tables have now.
        connection.execute("SET LOCAL check_function_bodies TO off")
        yield lambda place, text: _reparse(connection, place, text)


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


def _reparse(connection: "Connection[TupleRow]", place: Printed, text: str) -> str | None:
    connection.execute("SAVEPOINT holdfast_reparse")
    try:
        return _WAYS[place.what](connection, text, *place.numbers)
    except psycopg.Error as error:
        state = error.sqlstate or ""
        if state == _FORBIDDEN:
            raise CannotTellError(str(error)) from error
        if not state.startswith(_UNFIT):
            raise
        return None
    finally:
        _undo(connection, "holdfast_reparse")


def _value(connection: "Connection[TupleRow]", query: str, *parameters: object) -> str:
    """The one value that a query returns."""
    row = connection.execute(query, parameters or None).fetchone()
    return "" if row is None else str(row[0])


def _name(connection: "Connection[TupleRow]", oid: int) -> str:
    """The qualified name of a relation."""
    return _value(connection, "SELECT %s::oid::regclass::text", oid)


def _do(connection: "Connection[TupleRow]", statement: str) -> None:
    """Run one statement: the extended protocol takes no second one, which a forged text could hold."""
    connection.execute(statement.encode(), binary=True)


def _default(connection: "Connection[TupleRow]", text: str, table: int, number: int) -> str:
    column = _column(connection, table, number)
    _do(connection, f"ALTER TABLE ONLY {_name(connection, table)} ALTER COLUMN {column} SET DEFAULT {text}")
    return _stored_default(connection, table, number)


def _generated(connection: "Connection[TupleRow]", text: str, table: int, number: int) -> str:
    """In an empty table of the same columns: to give the table itself another would write all its rows anew."""
    column = _column(connection, table, number)
    query = """
        SELECT concat(format_type(atttypid, atttypmod), ' COLLATE ' || nullif(attcollation, 0)::regcollation),
            CASE attgenerated WHEN 'v' THEN 'VIRTUAL' ELSE 'STORED' END
        FROM pg_catalog.pg_attribute WHERE attrelid = %s AND attnum = %s
    """
    kind, stored = connection.execute(query, (table, number)).fetchone() or ("", "")
    _do(connection, f"CREATE TEMP TABLE {_NAME} (LIKE {_name(connection, table)})")
    _do(
        connection,
        f"ALTER TABLE {_TEMPORARY} DROP COLUMN {column}, ADD COLUMN {column} {kind} GENERATED ALWAYS "
        f"AS ({text}) {stored}",
    )
    query = "SELECT attrelid::int8, max(attnum) FROM pg_catalog.pg_attribute WHERE attrelid = %s::regclass GROUP BY 1"
    row = connection.execute(query, (_TEMPORARY,)).fetchone()
    return "" if row is None else _stored_default(connection, *row)


def _column(connection: "Connection[TupleRow]", table: int, number: int) -> str:
    query = "SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = %s AND attnum = %s"
    return quoted(_value(connection, query, table, number))


def _stored_default(connection: "Connection[TupleRow]", table: int, number: int) -> str:
    query = "SELECT pg_catalog.pg_get_expr(adbin, adrelid) FROM pg_catalog.pg_attrdef WHERE adrelid = %s AND adnum = %s"
    return _value(connection, query, table, number)


def _key(connection: "Connection[TupleRow]", text: str, table: int) -> str:
    _do(connection, f"CREATE TEMP TABLE {_NAME} (LIKE {_name(connection, table)}) PARTITION BY {text}")
    return _value(connection, "SELECT pg_catalog.pg_get_partkeydef(pg_catalog.to_regclass(%s))", _TEMPORARY)


def _bound(connection: "Connection[TupleRow]", text: str, table: int) -> str:
    query = "SELECT inhparent::int8 FROM pg_catalog.pg_inherits WHERE inhrelid = %s"
    parent = int(_value(connection, query, table))
    key = _value(connection, "SELECT pg_catalog.pg_get_partkeydef(%s)", parent)
    _do(connection, f"CREATE TEMP TABLE holdfast_parent (LIKE {_name(connection, parent)}) PARTITION BY {key}")
    _do(connection, f"CREATE TEMP TABLE {_NAME} PARTITION OF pg_temp.holdfast_parent {text}")
    query = "SELECT pg_catalog.pg_get_expr(relpartbound, oid) FROM pg_catalog.pg_class WHERE oid = %s::regclass"
    return _value(connection, query, _TEMPORARY)


def _view(connection: "Connection[TupleRow]", text: str, view: int) -> str:
    query = """
        SELECT relkind::text || ' ' || relnamespace::regnamespace::text FROM pg_catalog.pg_class WHERE oid = %s
    """
    kind, schema = _value(connection, query, view).split(" ", 1)
    name = f"{schema}.{_NAME}"
    if kind == "m":
        _do(connection, f"CREATE MATERIALIZED VIEW {name} AS {text.rstrip(';')} WITH NO DATA")
    else:
        _do(connection, f"CREATE VIEW {name} AS {text}")
    return _value(connection, "SELECT pg_catalog.pg_get_viewdef(%s::regclass)", name)


def _index(connection: "Connection[TupleRow]", text: str, index: int) -> str:
    query = "SELECT indrelid::int8 FROM pg_catalog.pg_index WHERE indexrelid = %s"
    _empty(connection, int(_value(connection, query, index)))
    name = _value(connection, "SELECT quote_ident(relname) FROM pg_catalog.pg_class WHERE oid = %s", index)
    _do(connection, text.replace(f" INDEX {name} ON ", f" INDEX {_NAME} ON ", 1))
    query = """
        SELECT pg_catalog.pg_get_indexdef(n.oid) FROM pg_catalog.pg_class o
        JOIN pg_catalog.pg_class n ON n.relnamespace = o.relnamespace AND n.relname = %s WHERE o.oid = %s
    """
    return _value(connection, query, _NAME, index).replace(f" INDEX {_NAME} ON ", f" INDEX {name} ON ", 1)


def _empty(connection: "Connection[TupleRow]", table: int) -> None:
    """Let a table have no rows, so that no index over them has to be built."""
    query = """
        SELECT c.relkind::text FROM pg_catalog.pg_class c
        WHERE c.oid = %s AND c.relkind IN ('r', 'm') AND pg_catalog.pg_table_size(c.oid) > %s
    """
    kind = _value(connection, query, table, _SMALL)
    if kind == "m":
        _do(connection, f"REFRESH MATERIALIZED VIEW {_name(connection, table)} WITH NO DATA")
    elif kind:
        name = _name(connection, table)
        _do(connection, f"ALTER TABLE ONLY {name} DISABLE TRIGGER USER")
        _do(connection, f"TRUNCATE ONLY {name} CASCADE")


def _constraint(connection: "Connection[TupleRow]", text: str, constraint: int) -> str:
    query = """
        SELECT concat_ws(' ', CASE WHEN contypid <> 0 THEN 'DOMAIN ' || contypid::regtype
            ELSE 'TABLE ' || conrelid::regclass END) FROM pg_catalog.pg_constraint WHERE oid = %s
    """
    target = _value(connection, query, constraint)
    check = text.startswith("CHECK ")
    if not check:
        query = "SELECT conrelid::int8 FROM pg_catalog.pg_constraint WHERE oid = %s"
        _empty(connection, int(_value(connection, query, constraint)))
    added = _NOT_VALID if check and not text.endswith((_NOT_VALID, " NOT ENFORCED")) else ""
    _do(connection, f"ALTER {target} ADD CONSTRAINT {_NAME} {text}{added}")
    query = """
        SELECT pg_catalog.pg_get_constraintdef(n.oid) FROM pg_catalog.pg_constraint o
        JOIN pg_catalog.pg_constraint n ON n.conrelid = o.conrelid AND n.contypid = o.contypid AND n.conname = %s
        WHERE o.oid = %s
    """
    return _value(connection, query, _NAME, constraint).removesuffix(added)


def _trigger(connection: "Connection[TupleRow]", text: str, trigger: int) -> str:
    name = _value(connection, "SELECT quote_ident(tgname) FROM pg_catalog.pg_trigger WHERE oid = %s", trigger)
    _do(connection, text.replace(f" TRIGGER {name} ", f" TRIGGER {_NAME} ", 1))
    query = """
        SELECT pg_catalog.pg_get_triggerdef(n.oid) FROM pg_catalog.pg_trigger o
        JOIN pg_catalog.pg_trigger n ON n.tgrelid = o.tgrelid AND n.tgname = %s WHERE o.oid = %s
    """
    return _value(connection, query, _NAME, trigger).replace(f" TRIGGER {_NAME} ", f" TRIGGER {name} ", 1)


def _rule(connection: "Connection[TupleRow]", text: str, rule: int) -> str:
    name = _value(connection, "SELECT quote_ident(rulename) FROM pg_catalog.pg_rewrite WHERE oid = %s", rule)
    _do(connection, text.replace(f"RULE {name} AS", f"RULE {_NAME} AS", 1))
    query = """
        SELECT pg_catalog.pg_get_ruledef(n.oid) FROM pg_catalog.pg_rewrite o
        JOIN pg_catalog.pg_rewrite n ON n.ev_class = o.ev_class AND n.rulename = %s WHERE o.oid = %s
    """
    return _value(connection, query, _NAME, rule).replace(f"RULE {_NAME} AS", f"RULE {name} AS", 1)


def _using(connection: "Connection[TupleRow]", text: str, table: int) -> str:
    return _policy(connection, f"USING ({text})", table)


def _check(connection: "Connection[TupleRow]", text: str, table: int) -> str:
    return _policy(connection, f"WITH CHECK ({text})", table)


def _policy(connection: "Connection[TupleRow]", clause: str, table: int) -> str:
    _do(connection, f"CREATE POLICY {_NAME} ON {_name(connection, table)} {clause}")
    query = """
        SELECT pg_catalog.pg_get_expr(coalesce(polqual, polwithcheck), polrelid) FROM pg_catalog.pg_policy
        WHERE polrelid = %s AND polname = %s
    """
    return _value(connection, query, table, _NAME)


def _routine(connection: "Connection[TupleRow]", text: str, routine: int) -> str:
    """Replaced: with the same name, arguments and result it keeps its OID.

    Its tables have no rules meanwhile, as when a restore makes it: the server parses no MERGE into a table with rules.
    """
    query = """
        SELECT DISTINCT pg_catalog.quote_ident(r.rulename), r.ev_class::regclass::text
        FROM pg_catalog.pg_depend d JOIN pg_catalog.pg_rewrite r ON r.ev_class = d.refobjid
        WHERE d.classid = 'pg_catalog.pg_proc'::regclass AND d.objid = %s
            AND d.refclassid = 'pg_catalog.pg_class'::regclass AND r.rulename <> '_RETURN'
    """
    for rule, table in connection.execute(query, (routine,)).fetchall():
        _do(connection, f"DROP RULE {rule} ON {table}")
    _do(connection, text)
    return _value(connection, "SELECT pg_catalog.pg_get_functiondef(%s)", routine)


def _domain(connection: "Connection[TupleRow]", text: str, domain: int) -> str:
    name = _value(connection, "SELECT %s::oid::regtype", domain)
    _do(connection, f"ALTER DOMAIN {name} SET DEFAULT {text}")
    query = """
        SELECT pg_catalog.pg_get_expr(typdefaultbin, 'pg_catalog.pg_type'::regclass) FROM pg_catalog.pg_type
        WHERE oid = %s
    """
    return _value(connection, query, domain)


def _statistics(connection: "Connection[TupleRow]", text: str, statistics: int) -> str:
    query = "SELECT stxnamespace::regnamespace::text, quote_ident(stxname)"
    row = connection.execute(f"{query} FROM pg_catalog.pg_statistic_ext WHERE oid = %s", (statistics,)).fetchone()
    if row is None:
        return ""
    before, after = (f"STATISTICS {row[0]}.{name}" for name in (row[1], _NAME))
    _do(connection, text.replace(before, after, 1))
    query = """
        SELECT pg_catalog.pg_get_statisticsobjdef(n.oid) FROM pg_catalog.pg_statistic_ext o
        JOIN pg_catalog.pg_statistic_ext n ON n.stxnamespace = o.stxnamespace AND n.stxname = %s WHERE o.oid = %s
    """
    return _value(connection, query, _NAME, statistics).replace(after, before, 1)


def _filter(connection: "Connection[TupleRow]", text: str, table: int) -> str:
    _do(connection, f"CREATE PUBLICATION {_NAME} FOR TABLE {_name(connection, table)} WHERE ({text})")
    query = """
        SELECT pg_catalog.pg_get_expr(r.prqual, r.prrelid) FROM pg_catalog.pg_publication_rel r
        JOIN pg_catalog.pg_publication p ON p.oid = r.prpubid WHERE p.pubname = %s
    """
    return _value(connection, query, _NAME)


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
