"""What there is in a database: tables, relations, schemas and sequences."""

from collections.abc import Iterator, Sequence
from sys import intern

import msgspec
from psycopg import Connection
from psycopg.rows import TupleRow

from holdfast_postgres.session import literal, quoted

# Types whose binary form is the same in every version and on every machine: no OIDs of types inside that differ between
# databases, no locale (money), no other representation than their text (xml, tsvector). An enum is sent as its label.
_STABLE = frozenset(
    """
    bool bytea char int8 int2 int4 text oid float4 float8 bpchar varchar date time timestamp timestamptz interval
    timetz numeric uuid json jsonb inet cidr macaddr macaddr8 bit varbit name point lseg box path polygon circle line
    int4range int8range numrange daterange tsrange tstzrange enum
    """.split()  # noqa: SIM905 (twenty quoted names in a column say no more)
)
_BYTEA = "bytea"

USER_SCHEMA = "n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'"


class InSchema(msgspec.Struct, frozen=True, kw_only=True):
    """What has a name in a schema."""

    oid: int
    schema: str
    name: str

    @property
    def quoted(self) -> str:
        """The name for SQL, in any session."""
        return quoted(self.schema, self.name)

    @property
    def label(self) -> str:
        """Schema and name for messages."""
        return f"{self.schema}.{self.name}"


class ListedTable(InSchema, frozen=True, kw_only=True):
    """What is to be known of a table before it is locked.

    `config` tells a table of an extension of which pg_dump writes a part of the rows.
    """

    kind: str
    persistence: str
    member: bool
    config: bool

    @property
    def identity(self) -> tuple[object, ...]:
        """What must not change between listing a table and locking it; its columns are read under the lock."""
        return (self.oid, self.schema, self.name, self.kind, self.persistence)


class Table(ListedTable, frozen=True, kw_only=True):
    """One table: `size` bytes with its TOAST table, `blocks` of the heap alone, `columns` that COPY takes.

    `checked` tells one whose constraints call functions that may read other tables.
    """

    heap: bool
    columns: tuple[str, ...]
    types: tuple[str, ...]
    size: int = 0
    blocks: int = 0
    checked: bool = False

    @property
    def binary(self) -> bool:
        """Whether COPY's binary format is both safe and smaller: bytea as text takes two characters a byte."""
        return _BYTEA in self.types and all(_is_stable(kind) for kind in self.types)


def _is_stable(kind: str) -> bool:
    """Whether the binary form of a type is; that of an array holds the OID of its element, fixed for built-in types."""
    return kind in _STABLE or (kind.startswith("_") and kind[1:] in _STABLE and kind != "_enum")


_TABLE = f"c.relkind IN ('r', 'p') AND c.relpersistence <> 't' AND {USER_SCHEMA}"
_OF_EXTENSION = """c.oid IN (SELECT d.objid FROM pg_catalog.pg_depend d
        WHERE d.classid = 'pg_catalog.pg_class'::regclass AND d.deptype = 'e'),
    c.oid IN (SELECT unnest(e.extconfig) FROM pg_catalog.pg_extension e)"""
_LISTED = f"""
SELECT c.oid::int8, n.nspname, c.relname, c.relkind::text, c.relpersistence::text,
    {_OF_EXTENSION}
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE {_TABLE}
ORDER BY n.nspname, c.relname
"""


def listed_tables(connection: "Connection[TupleRow]") -> list[ListedTable]:
    """Every table and partition root, by schema and name, without what takes the server longer to find."""
    return [
        ListedTable(oid=oid, schema=schema, name=name, kind=kind, persistence=persistence, member=member, config=config)
        for oid, schema, name, kind, persistence, member, config in connection.execute(_LISTED)
    ]


# Columns are put together once and joined, not looked up for each table: that grew with the square of their number. A
# domain counts as its base type, at whatever depth.
_TABLES = f"""
WITH RECURSIVE domain(oid, final) AS (
    SELECT oid, typbasetype FROM pg_catalog.pg_type WHERE typtype = 'd'
    UNION ALL
    SELECT d.oid, t.typbasetype FROM domain d JOIN pg_catalog.pg_type t ON t.oid = d.final WHERE t.typtype = 'd'
), base AS MATERIALIZED (
    SELECT d.oid, d.final FROM domain d JOIN pg_catalog.pg_type t ON t.oid = d.final WHERE t.typtype <> 'd'
), listed AS MATERIALIZED (
    SELECT c.oid, n.nspname, c.relname, c.relkind, c.relpersistence, c.relam
    FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
    WHERE {_TABLE}
), columns AS MATERIALIZED (
    SELECT a.attrelid, array_agg(a.attname::text ORDER BY a.attnum) AS names,
        array_agg(CASE WHEN u.typnamespace = 'pg_catalog'::regnamespace THEN u.typname::text
                WHEN u.typtype = 'e' THEN 'enum' ELSE '' END
            ORDER BY a.attnum) AS types
    FROM listed JOIN pg_catalog.pg_attribute a ON a.attrelid = listed.oid LEFT JOIN base b ON b.oid = a.atttypid
    JOIN pg_catalog.pg_type u ON u.oid = coalesce(b.final, a.atttypid)
    WHERE a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
    GROUP BY a.attrelid
), checking AS MATERIALIZED (
    SELECT k.conrelid, k.contypid FROM pg_catalog.pg_constraint k
    JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_constraint'::regclass AND d.objid = k.oid
        AND d.refclassid = 'pg_catalog.pg_proc'::regclass
    JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid
    WHERE k.contype = 'c' AND p.provolatile <> 'i' AND p.oid >= 16384
), checking_domain(oid) AS (
    SELECT contypid FROM checking WHERE contypid <> 0
    UNION
    SELECT t.oid FROM checking_domain d JOIN pg_catalog.pg_type t ON t.typbasetype = d.oid AND t.typtype = 'd'
), checked AS MATERIALIZED (
    SELECT conrelid AS oid FROM checking
    UNION
    SELECT a.attrelid FROM pg_catalog.pg_attribute a JOIN checking_domain d ON d.oid = a.atttypid
    WHERE a.attnum > 0 AND NOT a.attisdropped
)
SELECT c.oid::int8, c.nspname, c.relname, c.relkind::text, c.relpersistence::text,
    coalesce(am.amname = 'heap', false),
    {_OF_EXTENSION},
    coalesce(k.names, ARRAY[]::text[]), coalesce(k.types, ARRAY[]::text[]),
    c.oid IN (SELECT oid FROM checked)
FROM listed c LEFT JOIN pg_catalog.pg_am am ON am.oid = c.relam LEFT JOIN columns k ON k.attrelid = c.oid
ORDER BY c.nspname, c.relname
"""


def tables(connection: "Connection[TupleRow]") -> list[Table]:
    """Every table and partition root, by schema and name; as the connection's snapshot sees them."""
    alike: dict[tuple[str, ...], tuple[str, ...]] = {}  # tables of tenants have the same columns: kept once
    return [
        Table(
            oid=oid,
            schema=intern(schema),
            name=name,
            kind=intern(kind),
            persistence=intern(persistence),
            heap=heap,
            member=member,
            config=config,
            columns=alike.setdefault(tuple(columns), tuple(columns)),
            types=alike.setdefault(tuple(types), tuple(types)),
            checked=checked,
        )
        for oid, schema, name, kind, persistence, heap, member, config, columns, types, checked in connection.execute(
            _TABLES
        )
    ]


# The first fork of a table and of its TOAST table: pg_table_size looks for a dozen files, in a fifth of a millisecond.
_SIZES = """
SELECT c.oid::int8, pg_catalog.pg_relation_size(c.oid) + CASE WHEN c.reltoastrelid = 0 THEN 0
        ELSE coalesce(pg_catalog.pg_relation_size(c.reltoastrelid), 0) END,
    pg_catalog.pg_relation_size(c.oid) / pg_catalog.current_setting('block_size')::int
FROM pg_catalog.pg_class c WHERE c.oid = ANY (%s) AND c.relkind = 'r'
"""


def with_sizes(connection: "Connection[TupleRow]", listed: Sequence[Table]) -> list[Table]:
    """The same tables with their sizes: to ask for one takes a lock on it, which has to be held already."""
    oids = [table.oid for table in listed]
    sizes = {oid: (size or 0, int(blocks or 0)) for oid, size, blocks in connection.execute(_SIZES, (oids,))}
    return [
        msgspec.structs.replace(table, size=sizes[table.oid][0], blocks=sizes[table.oid][1])
        if table.oid in sizes
        else table
        for table in listed
    ]


class Relation(msgspec.Struct, frozen=True, kw_only=True):
    """A name in a schema that --select and --exclude can mean; `owner_table` is the OID of the table of its column."""

    schema: str
    name: str
    kind: str
    owner_table: int | None
    oid: int


_RELATIONS = f"""
SELECT c.oid::int8, n.nspname, c.relname, c.relkind::text,
    (SELECT d.refobjid::int8 FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass
        AND d.objid = c.oid AND d.refclassid = 'pg_catalog.pg_class'::regclass AND d.deptype IN ('a', 'i')
        AND c.relkind = 'S' LIMIT 1)
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND c.relpersistence <> 't' AND {USER_SCHEMA}
ORDER BY n.nspname, c.relname
"""


def relations(connection: "Connection[TupleRow]") -> list[Relation]:
    """Tables, views, materialized views, foreign tables and sequences; a column's sequence names its table."""
    return [
        Relation(oid=oid, schema=intern(schema), name=name, kind=intern(kind), owner_table=owner)
        for oid, schema, name, kind, owner in connection.execute(_RELATIONS)
    ]


def schemas(connection: "Connection[TupleRow]") -> list[str]:
    """The schemas that are not the system's."""
    query = f"SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE {USER_SCHEMA} ORDER BY 1"
    return [row[0] for row in connection.execute(query)]


class SequenceState(InSchema, frozen=True, kw_only=True):
    """One reading of a sequence."""

    last_value: int
    is_called: bool

    @property
    def statement(self) -> str:
        """What gives a sequence this reading again."""
        called = "true" if self.is_called else "false"
        return f"SELECT pg_catalog.setval({literal(self.quoted)}, {self.last_value}, {called});\n"


# Sequences of an extension are pg_dump's affair: only the extension knows which of them are its configuration.
_SEQUENCES = f"""
SELECT c.oid::int8, n.nspname, c.relname, c.relpersistence::text
FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'S' AND c.relpersistence <> 't' AND {USER_SCHEMA}
    AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d WHERE d.classid = 'pg_catalog.pg_class'::regclass
        AND d.objid = c.oid AND d.deptype = 'e')
ORDER BY n.nspname, c.relname
"""
_BATCH = 50  # of one query: its planning grows with the square of their number


def listed_sequences(connection: "Connection[TupleRow]", *, unlogged: bool = True) -> list[tuple[int, str, str]]:
    """OID, schema and name of every sequence that a dump reads."""
    return [
        (oid, schema, name)
        for oid, schema, name, persistence in connection.execute(_SEQUENCES)
        if unlogged or persistence != "u"
    ]


def sequences(
    connection: "Connection[TupleRow]", *, skip: frozenset[int] = frozenset(), unlogged: bool = True
) -> list[SequenceState]:
    """Read every sequence once; they follow no snapshot, so that a second reading could differ."""
    listed = [row for row in listed_sequences(connection, unlogged=unlogged) if row[0] not in skip]
    values = sequence_values(connection, [(schema, name) for _, schema, name in listed])
    states = [
        SequenceState(oid=oid, schema=intern(schema), name=name, last_value=last_value, is_called=is_called)
        for (oid, schema, name), (last_value, is_called) in zip(listed, values, strict=True)
    ]
    return sorted(states, key=lambda state: (state.schema, state.name))


def sequence_values(connection: "Connection[TupleRow]", names: Sequence[tuple[str, str]]) -> Iterator[tuple[int, bool]]:
    """Last value and whether it was called, of each of these sequences, in their order."""
    for start in range(0, len(names), _BATCH):
        query = " UNION ALL ".join(
            f"SELECT {number}, last_value, is_called FROM {quoted(*name)}"
            for number, name in enumerate(names[start : start + _BATCH])
        )
        for _, last_value, is_called in sorted(connection.execute(query).fetchall()):
            yield last_value, is_called


def first_column(connection: "Connection[TupleRow]", query: str, parameters: Sequence[object] = ()) -> list[str]:
    """The first column of the rows that a query returns."""
    return [row[0] for row in connection.execute(query, parameters or None)]


# Routines that are alike in all that they do are one: a body finds its names by the path of the session.
_NAMES = f"""
WITH name AS MATERIALIZED (
    SELECT x.schema, x.kind, x.name, x.meaning FROM pg_catalog.pg_namespace n JOIN (
        SELECT pronamespace AS schema, 'routine' AS kind, proname AS name, concat_ws(' ', prokind, proargtypes::text,
            prorettype, proretset, prolang, provolatile, proisstrict, prosecdef, proconfig::text, probin, prosrc,
            to_jsonb(p) ->> 'prosqlbody', proargdefaults) AS meaning
        FROM pg_catalog.pg_proc p WHERE prokind <> 'a'
        UNION ALL SELECT pronamespace, 'routine', proname, oid::text FROM pg_catalog.pg_proc WHERE prokind = 'a'
        UNION ALL SELECT relnamespace, 'relation', relname, oid::text FROM pg_catalog.pg_class
            WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
        UNION ALL SELECT typnamespace, 'type', typname, oid::text FROM pg_catalog.pg_type
            WHERE typtype IN ('e', 'd', 'r')
        UNION ALL SELECT oprnamespace, 'operator', oprname, oid::text FROM pg_catalog.pg_operator
        UNION ALL SELECT collnamespace, 'collation', collname, oid::text FROM pg_catalog.pg_collation
        UNION ALL SELECT cfgnamespace, 'text search', cfgname, oid::text FROM pg_catalog.pg_ts_config
        UNION ALL SELECT dictnamespace, 'text search', dictname, oid::text FROM pg_catalog.pg_ts_dict
    ) x ON x.schema = n.oid WHERE {USER_SCHEMA}
)
"""
_UNAMBIGUOUS = f"""
{_NAMES}, shared AS MATERIALIZED (
    SELECT kind, name FROM (
        SELECT kind, name, array_agg(meaning ORDER BY meaning COLLATE "C") AS meanings FROM name
        GROUP BY kind, name, schema) alike
    GROUP BY kind, name HAVING count(DISTINCT meanings) > 1
)
SELECT n.nspname FROM pg_catalog.pg_namespace n WHERE {USER_SCHEMA}
    AND NOT EXISTS (SELECT FROM name JOIN shared USING (kind, name) WHERE name.schema = n.oid) ORDER BY 1
"""


def unambiguous_schemas(connection: "Connection[TupleRow]") -> list[str]:
    """The schemas in which a name means what it means in all others that have it."""
    return first_column(connection, _UNAMBIGUOUS)


_HOLDING = f"""
{_NAMES} SELECT n.nspname, array_agg(DISTINCT name.name::text)
FROM name JOIN pg_catalog.pg_namespace n ON n.oid = name.schema
WHERE name.kind = ANY (%s) AND position(name.name IN %s) > 0 GROUP BY n.nspname ORDER BY n.nspname
"""


def schemas_with_name(connection: "Connection[TupleRow]", kinds: Sequence[str], text: str) -> dict[str, list[str]]:
    """The schemas that have something of these kinds whose name stands in a text, and these names."""
    return dict(connection.execute(_HOLDING, (list(kinds), text)).fetchall())


# Columns whose values are names of objects, of a domain or an array over such a type, too.
NAMING_COLUMNS = """
WITH RECURSIVE base(oid, final, is_array) AS (
    SELECT oid, typname::text, false FROM pg_catalog.pg_type WHERE oid < 16384 AND typname = ANY ('{regclass,regproc,
        regprocedure,regoper,regoperator,regtype,regnamespace,regconfig,regdictionary,regcollation}')
    UNION ALL SELECT t.oid, b.final, b.is_array OR t.typtype <> 'd' FROM pg_catalog.pg_type t
        JOIN base b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.typelem END
    WHERE t.typtype = 'd' OR t.typelem <> 0
), naming AS MATERIALIZED (
    SELECT a.attrelid AS relation, a.attname::text AS name, b.final AS type, b.is_array
    FROM pg_catalog.pg_attribute a JOIN base b ON b.oid = a.atttypid WHERE a.attnum > 0 AND NOT a.attisdropped
)
"""


_COMPUTED = """
SELECT DISTINCT n.nspname, c.relname FROM pg_catalog.pg_attribute a
JOIN pg_catalog.pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
JOIN pg_catalog.pg_class c ON c.oid = a.attrelid JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
WHERE a.attgenerated = 's' AND EXISTS (
    SELECT FROM pg_catalog.pg_depend u WHERE u.classid = 'pg_catalog.pg_attrdef'::regclass AND u.objid = d.oid
        AND u.refclassid IN ('pg_catalog.pg_proc'::regclass, 'pg_catalog.pg_operator'::regclass))
"""


def computed_tables(connection: "Connection[TupleRow]") -> set[tuple[str, str]]:
    """Schema and name of the tables with columns that functions compute, which may find names by the search_path."""
    return {(schema, name) for schema, name in connection.execute(_COMPUTED)}
