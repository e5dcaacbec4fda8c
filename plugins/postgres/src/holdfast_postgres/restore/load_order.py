"""The order in which rows can be loaded while foreign keys are in force: what others refer to goes first."""

from collections.abc import Mapping

from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.catalog import USER_SCHEMA

Name = tuple[str, str]

_REFERENCES = f"""
SELECT n.nspname, c.relname, m.nspname, r.relname FROM pg_catalog.pg_constraint k
JOIN pg_catalog.pg_class c ON c.oid = k.conrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
JOIN pg_catalog.pg_class r ON r.oid = k.confrelid JOIN pg_catalog.pg_namespace m ON m.oid = r.relnamespace
WHERE k.contype = 'f' AND k.conrelid <> k.confrelid AND {USER_SCHEMA}
"""
# Whatever a function says of itself; those of extensions read what was loaded before all other rows.
_CALLING = """
SELECT EXISTS (
    SELECT FROM (
        SELECT 'pg_catalog.pg_constraint'::regclass, oid FROM pg_catalog.pg_constraint WHERE contype = 'c'
        UNION ALL SELECT 'pg_catalog.pg_class'::regclass, partrelid FROM pg_catalog.pg_partitioned_table
        UNION ALL SELECT 'pg_catalog.pg_attrdef'::regclass, f.oid FROM pg_catalog.pg_attrdef f
            JOIN pg_catalog.pg_attribute a ON a.attrelid = f.adrelid AND a.attnum = f.adnum AND a.attgenerated <> ''
    ) k (class, oid) JOIN pg_catalog.pg_depend d ON d.classid = k.class AND d.objid = k.oid
    WHERE d.refobjid >= 16384
        AND d.refclassid IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass)
        AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend e
            WHERE e.classid = d.refclassid AND e.objid = d.refobjid AND e.deptype = 'e'))
"""


def rows_call_functions(connection: "Connection[TupleRow]") -> bool:
    """Whether rows that come in call a function of the user's, which may read other tables or name what is not found.

    Those are called by CHECKs of tables and domains, by generated columns, and by keys of partitioned tables.
    """
    return connection.execute(_CALLING).fetchone() == (True,)


def references(connection: "Connection[TupleRow]") -> dict[Name, set[Name]]:
    """Each table that takes part in a foreign key, with the others that it refers to."""
    tables: dict[Name, set[Name]] = {}
    for schema, name, other_schema, other in connection.execute(_REFERENCES):
        tables.setdefault((schema, name), set()).add((other_schema, other))
        tables.setdefault((other_schema, other), set())
    return tables


def levels(referring: Mapping[Name, set[Name]]) -> dict[Name, int]:
    """0 for what refers to nothing, else one more than all it refers to.

    For tables that refer to each other in a circle, and for those behind them, no order is known: they are all the
    last, and what the server says of them stands.
    """
    waiting, order = dict(referring), dict[Name, int]()
    level = 0
    while waiting:
        free = [name for name, others in waiting.items() if waiting.keys().isdisjoint(others)] or list(waiting)
        for name in free:
            order[name] = level
            del waiting[name]
        level += 1
    return order
