"""Changes of a PostgreSQL database, each of objects of its own and with what a drill has to say of it."""

import os
import random
from collections.abc import Iterable, Iterator, Sequence

from mutations import Change
from servers.postgres import PostgresServer

import holdfast
from holdfast.operations.drill import DrillResult
from holdfast.testing.drills import drill_mutated

# The wheel of PostgreSQL 16 is built without these.
_WHEEL = os.environ.get("HOLDFAST_TEST_PG") == "16"
_NOT_IN_WHEEL = ("provider = icu", "COLLATE loose", " xml", "EXTENSION")


def known(*, seed: int = 1) -> list[Change]:
    """Every change that the server under test can hold, in an order of the seed's."""
    changes = [*_values(), *_rows(), *_bits(seed), *_tables(), *_objects()]
    changes = [change for change in changes if all(map(can_be, (*change.make, *change.change)))]
    names = [change.name for change in changes]
    assert len(set(names)) == len(names), "two changes have one name"
    random.Random(seed).shuffle(changes)
    return changes


def can_be(statement: str) -> bool:
    """Whether the server under test is built with what a statement needs."""
    return not _WHEEL or not any(word in statement for word in _NOT_IN_WHEEL)


# What several changes refer to, made before them and never changed.
SHARED = """
CREATE TYPE mood AS ENUM ('sad', 'ok');
CREATE TYPE pair AS (a int, b text);
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE COLLATION loose (provider = icu, locale = 'und-u-ks-level2', deterministic = false);
CREATE TABLE referred (id int PRIMARY KEY, a int, UNIQUE (a), UNIQUE (id, a));
CREATE FUNCTION fires() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION fires_too() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE FUNCTION watches() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE FUNCTION adds(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $1 + $2';
CREATE FUNCTION adds_too(int, int) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT $2 + $1';
CREATE FUNCTION compares(int, int) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT $1 < $2';
CREATE FUNCTION weighs(pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT ($1).a';
CREATE FUNCTION weighs_too(pair) RETURNS int LANGUAGE sql IMMUTABLE AS 'SELECT -($1).a';
CREATE FUNCTION handles() RETURNS language_handler LANGUAGE c AS '$libdir/plpgsql', 'plpgsql_call_handler';
CREATE FUNCTION gap(numeric, numeric) RETURNS double precision LANGUAGE sql IMMUTABLE AS 'SELECT ($1 - $2)::float8';
"""

# A column's type, one value, and another that differs from it by as little as the type can tell apart.
VALUES: tuple[tuple[str, str, str, str], ...] = (
    ("boolean", "boolean", "true", "false"),
    ("smallint", "smallint", "-32768", "-32767"),
    ("int", "int", "2147483647", "2147483646"),
    ("bigint", "bigint", "-9223372036854775808", "-9223372036854775807"),
    ("numeric_scale", "numeric", "1.0", "1.00"),
    ("numeric_digit", "numeric", "1e-300", "2e-300"),
    ("numeric_nan", "numeric", "'NaN'", "NULL"),
    ("real_bit", "real", "0.1", "0.10000001"),
    ("real_zero", "real", "0", "'-0'"),
    ("double_bit", "double precision", "0.1", "0.10000000000000002"),
    ("double_zero", "double precision", "0", "'-0'"),
    ("double_nan", "double precision", "'NaN'", "'Infinity'"),
    ("double_small", "double precision", "5e-324", "0"),
    ("money", "money", "1.00", "1.01"),
    ("char", "char(5)", "'a'", "'A'"),
    ("one_char", '"char"', "'a'", "'b'"),
    ("name", "name", "'a'", "'a '"),
    ("case", "text COLLATE loose", "'kelp'", "'Kelp'"),
    ("accent", "text", "'e'", "'é'"),
    ("composed", "text", "'é'", "E'e\\u0301'"),
    ("trailing_space", "varchar", "'a'", "'a '"),
    ("line_end", "text", "E'a\\n'", "E'a\\r\\n'"),
    ("tab", "text", "E'a\\tb'", "E'a\\\\tb'"),
    ("empty_text", "text", "''", "NULL"),
    ("named_null", "text", "'NULL'", "NULL"),
    ("copy_null", "text", "E'\\\\N'", "NULL"),
    ("quotes", "text", "'\"'", "'\"\"'"),
    ("emoji", "text", "'😀'", "'😁'"),
    ("zero_null", "int", "0", "NULL"),
    ("false_null", "boolean", "false", "NULL"),
    ("blob_bit", "bytea", "'\\x00ff5c'", "'\\x00ff5d'"),
    ("blob_length", "bytea", "'\\x00'", "'\\x0000'"),
    ("blob_empty", "bytea", "''", "NULL"),
    ("blob_large", "bytea", "repeat('a', 90000)::bytea", "(repeat('a', 89999) || 'b')::bytea"),
    ("date", "date", "'2024-02-29'", "'2024-03-01'"),
    ("date_end", "date", "'infinity'", "'-infinity'"),
    ("time", "time", "'23:59:59.999999'", "'24:00:00'"),
    ("time_zone", "timetz", "'00:00+01'", "'01:00+02'"),
    ("microsecond", "timestamp", "'294276-12-31 23:59:59.999999'", "'294276-12-31 23:59:59.999998'"),
    ("hour_of_change", "timestamptz", "'2024-10-27 00:30:00Z'", "'2024-10-27 01:30:00Z'"),
    ("interval_days", "interval", "'1 mon'", "'30 days'"),
    ("interval_hours", "interval", "'1 day'", "'24 hours'"),
    ("uuid", "uuid", "'123e4567-e89b-12d3-a456-426614174000'", "'123e4567-e89b-12d3-a456-426614174001'"),
    ("json_space", "json", "'[1,2]'", "'[1, 2]'"),
    ("json_order", "json", "'{\"a\": 1, \"b\": 2}'", "'{\"b\": 2, \"a\": 1}'"),
    ("json_twice", "json", "'{\"a\": 1}'", "'{\"a\": 1, \"a\": 1}'"),
    ("json_null", "json", "'null'", "NULL"),
    ("jsonb_scale", "jsonb", "'1.0'", "'1.00'"),
    ("jsonb_type", "jsonb", "'1'", "'\"1\"'"),
    ("xml", "xml", "'<a/>'", "'<a></a>'"),
    ("array_value", "int[]", "'{1,2}'", "'{2,1}'"),
    ("array_null", "text[]", "'{NULL}'", "'{\"NULL\"}'"),
    ("array_empty", "text[]", "'{}'", "'{\"\"}'"),
    ("array_bounds", "int[]", "'{1,2}'", "'[0:1]={1,2}'"),
    ("array_depth", "int[]", "'{1,2}'", "'{{1,2}}'"),
    ("enum", "mood", "'sad'", "'ok'"),
    ("pair_null", "pair", "ROW(NULL, NULL)", "NULL"),
    ("pair_border", "pair", "ROW(1, '2,3')", "ROW(1, '2')"),
    ("domain", "positive", "1", "2"),
    ("range_end", "numrange", "'[1,2)'", "'[1,2]'"),
    ("range_empty", "int4range", "'empty'", "NULL"),
    ("range_open", "daterange", "'[2024-01-01,)'", "'[2024-01-01,infinity)'"),
    ("vector_weight", "tsvector", "'a:1A'", "'a:1B'"),
    ("query", "tsquery", "'a & b'", "'a <-> b'"),
    ("inet_mask", "inet", "'10.0.0.1/8'", "'10.0.0.1/9'"),
    ("cidr", "cidr", "'10.0.0.0/8'", "'10.0.0.0/16'"),
    ("mac", "macaddr", "'08:00:2b:01:02:03'", "'08:00:2b:01:02:02'"),
    ("bit", "bit(3)", "B'100'", "B'101'"),
    ("bit_length", "bit varying", "B'1'", "B'10'"),
    ("point", "point", "'(1,2)'", "'(1,2.0000000000000004)'"),
    ("path", "path", "'[(0,0),(1,1)]'", "'((0,0),(1,1))'"),
    ("polygon", "polygon", "'((0,0),(1,1),(1,0))'", "'((1,0),(0,0),(1,1))'"),
    ("circle", "circle", "'<(0,0),1>'", "'<(0,0),2>'"),
    ("wal_place", "pg_lsn", "'0/1'", "'0/2'"),
)  # fmt: skip


def _values() -> Iterator[Change]:
    for name, kind, before, after in VALUES:
        yield Change(
            name=f"v_{name}",
            make=(
                f"CREATE TABLE v_{name} (id int, v {kind})",
                f"INSERT INTO v_{name} VALUES (1, {before}), (2, {after}), (3, NULL)",
            ),
            change=(f"UPDATE v_{name} SET v = {after} WHERE id = 1",),
            found=(("table", f"public.v_{name}"),),
        )


_BARE = "(a text, b text)"
# A table's body, its rows, and what is done to them; {t} is its name.
_ROWS: tuple[tuple[str, str, str, str], ...] = (
    ("row_lost", _BARE, "('a', 'b'), ('c', 'd')", "DELETE FROM {t} WHERE a = 'c'"),
    ("row_added", _BARE, "('a', 'b')", "INSERT INTO {t} VALUES ('c', 'd')"),
    ("rows_lost", _BARE, "('a', 'b'), ('c', 'd')", "TRUNCATE {t}"),
    ("first_row", "(a int)", "", "INSERT INTO {t} VALUES (NULL)"),
    ("key_value", "(id int PRIMARY KEY)", "(1), (2)", "UPDATE {t} SET id = 3 WHERE id = 2"),
    ("columns_swapped", _BARE, "('a', 'b')", "UPDATE {t} SET a = b, b = a"),
    ("rows_swapped", _BARE, "('a', 'b'), ('c', 'd')", "UPDATE {t} SET a = CASE b WHEN 'b' THEN 'c' ELSE 'a' END"),
    ("border_moved", _BARE, "('ab', 'c')", "UPDATE {t} SET a = 'a', b = 'bc'"),
    ("comma_moved", _BARE, "('a,b', 'c')", "UPDATE {t} SET a = 'a', b = 'b,c'"),
    ("null_moved", _BARE, "('a', NULL)", "UPDATE {t} SET a = NULL, b = 'a'"),
    ("row_twice", _BARE, "('a', 'b'), ('a', 'b')", "INSERT INTO {t} VALUES ('a', 'b')"),
    ("row_once", _BARE, "('a', 'b'), ('a', 'b')", "DELETE FROM {t} WHERE ctid = '(0,1)'"),
    ("other_twin", _BARE, "('a', 'b'), ('a', 'b'), ('c', 'd')",
     "UPDATE {t} SET a = 'c', b = 'd' WHERE ctid = '(0,1)'"),
    ("pair_for_pair", "(a int)", "(1), (4)", "UPDATE {t} SET a = CASE a WHEN 1 THEN 2 ELSE 3 END"),
    ("generated_source", "(a int, b int GENERATED ALWAYS AS (a * 2) STORED)", "(1)", "UPDATE {t} SET a = 2"),
    ("unlogged_row", "(a int)", "(1)", "UPDATE {t} SET a = 2"),
    ("no_columns", "()", "", "INSERT INTO {t} DEFAULT VALUES"),
)  # fmt: skip


def _rows() -> Iterator[Change]:
    for name, body, rows, change in _ROWS:
        unlogged = "UNLOGGED " if name.startswith("unlogged") else ""
        yield Change(
            name=name,
            make=(f"CREATE {unlogged}TABLE {name} {body}", f"INSERT INTO {name} VALUES {rows}" if rows else "SELECT"),
            change=(change.replace("{t}", name),),
            found=(("table", f"public.{name}"),),
        )
    yield Change(
        name="partition_row",
        make=(
            "CREATE TABLE partition_row (a int, b int) PARTITION BY RANGE (a)",
            "CREATE TABLE partition_row_0 PARTITION OF partition_row FOR VALUES FROM (0) TO (10)",
            "CREATE TABLE partition_row_1 PARTITION OF partition_row FOR VALUES FROM (10) TO (20)",
            "INSERT INTO partition_row VALUES (1, 1), (11, 1)",
        ),
        change=("UPDATE partition_row SET b = 2 WHERE a = 11",),
        found=(("table", "public.partition_row_1"),),
    )
    yield Change(
        name="heir_row",
        make=(
            "CREATE TABLE heir_row_parent (a int)",
            "CREATE TABLE heir_row () INHERITS (heir_row_parent)",
            "INSERT INTO heir_row_parent VALUES (1)",
            "INSERT INTO heir_row VALUES (1)",
        ),
        change=("UPDATE ONLY heir_row SET a = 2",),
        found=(("table", "public.heir_row"),),
    )


def _bits(seed: int, count: int = 12) -> Iterator[Change]:
    """One bit, anywhere, in one of many values of random bytes."""
    for number in range(count):
        chance = random.Random(f"{seed} {number}")
        table = f"bit_{number}"
        values = [chance.randbytes(chance.randrange(1, 400)) for _ in range(30)]
        at = chance.randrange(len(values))
        changed = bytearray(values[at])
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        rows = ", ".join(f"({row}, '\\x{value.hex()}')" for row, value in enumerate(values))
        yield Change(
            name=table,
            make=(f"CREATE TABLE {table} (id int, v bytea)", f"INSERT INTO {table} VALUES {rows}"),
            change=(f"UPDATE {table} SET v = '\\x{changed.hex()}' WHERE id = {at}",),
            found=(("table", f"public.{table}"),),
        )


_T = "definition of table"
_I = "definition of index"
_C = "definition of constraint"
_FK = "(a int, b int, CONSTRAINT fk FOREIGN KEY (a) REFERENCES referred (id){})"
# A table, one change of its definition, and what differs then: of the table, or of what it is named after a colon.
_TABLES: tuple[tuple[str, str, str, tuple[str, ...]], ...] = (
    ("column_added", "(a int)", "ADD b int", (_T,)),
    ("column_dropped", "(a int, b int)", "DROP b", (_T,)),
    ("column_renamed", "(a int)", "RENAME a TO b", (_T,)),
    ("column_type", "(a int)", "ALTER a TYPE bigint", (_T,)),
    ("column_length", "(a varchar(10))", "ALTER a TYPE varchar(11)", (_T,)),
    ("column_scale", "(a numeric(10,2))", "ALTER a TYPE numeric(10,3)", (_T,)),
    ("column_fraction", "(a timestamp(3))", "ALTER a TYPE timestamp(4)", (_T,)),
    ("column_collation", "(a text)", 'ALTER a TYPE text COLLATE "C"', (_T,)),
    ("column_storage", "(a text)", "ALTER a SET STORAGE EXTERNAL", (_T,)),
    ("column_packing", "(a text)", "ALTER a SET COMPRESSION pglz", (_T,)),
    ("column_statistics", "(a int)", "ALTER a SET STATISTICS 7", (_T,)),
    ("column_distinct", "(a int)", "ALTER a SET (n_distinct = 7)", (_T,)),
    ("not_null", "(a int)", "ALTER a SET NOT NULL", (_T,)),
    ("default_value", "(a int DEFAULT 1)", "ALTER a SET DEFAULT 2", (_T,)),
    ("default_space", "(a text DEFAULT 'a b')", "ALTER a SET DEFAULT 'a  b'", (_T,)),
    ("default_lost", "(a int DEFAULT 0)", "ALTER a DROP DEFAULT", (_T,)),
    ("generated_no_more", "(a int, b int GENERATED ALWAYS AS (a) STORED)", "ALTER b DROP EXPRESSION", (_T,)),
    ("identity_kind", "(a int GENERATED ALWAYS AS IDENTITY)", "ALTER a SET GENERATED BY DEFAULT", (_T,)),
    ("identity_step", "(a int GENERATED ALWAYS AS IDENTITY)", "ALTER a SET INCREMENT BY 2",
     ("definition of sequence:{t}_a_seq",)),
    ("identity_value", "(a int GENERATED ALWAYS AS IDENTITY)", "ALTER a RESTART WITH 5", ("sequence:{t}_a_seq",)),
    ("fill_factor", "(a int)", "SET (fillfactor = 70)", (_T,)),
    ("toast_option", "(a text)", "SET (toast.autovacuum_enabled = off)", (_T,)),
    ("unlogged", "(a int)", "SET UNLOGGED", (_T,)),
    ("row_security", "(a int)", "ENABLE ROW LEVEL SECURITY", (_T,)),
    ("row_security_forced", "(a int)", "FORCE ROW LEVEL SECURITY", (_T,)),
    ("replica_identity", "(a int)", "REPLICA IDENTITY FULL", (_T,)),
    ("typed_no_more", "OF pair", "NOT OF", (_T,)),
    ("heir_no_more", "() INHERITS (referred)", "NO INHERIT referred", (_T,)),
    ("clustered", "(a int PRIMARY KEY)", "CLUSTER ON {t}_pkey", (_I + ":{t}_pkey",)),
    ("primary_lost", "(a int PRIMARY KEY)", "DROP CONSTRAINT {t}_pkey, ALTER a SET NOT NULL",
     (_I + ":{t}_pkey", _C + ":{t}.{t}_pkey")),
    ("unique_lost", "(a int UNIQUE)", "DROP CONSTRAINT {t}_a_key", (_I + ":{t}_a_key", _C + ":{t}.{t}_a_key")),
    ("check_formula", "(a int, CONSTRAINT ck CHECK (a > 0))", "DROP CONSTRAINT ck, ADD CONSTRAINT ck CHECK (a >= 0)",
     (_C + ":{t}.ck",)),
    ("check_lost", "(a int, CONSTRAINT ck CHECK (a > 0))", "DROP CONSTRAINT ck", (_C + ":{t}.ck",)),
    ("check_unproven", "(a int, CONSTRAINT ck CHECK (a > 0))",
     "DROP CONSTRAINT ck, ADD CONSTRAINT ck CHECK (a > 0) NOT VALID", (_C + ":{t}.ck",)),
    ("check_for_heirs", "(a int, CONSTRAINT ck CHECK (a > 0))",
     "DROP CONSTRAINT ck, ADD CONSTRAINT ck CHECK (a > 0) NO INHERIT", (_C + ":{t}.ck",)),
    ("reference_lost", _FK.format(""), "DROP CONSTRAINT fk", (_C + ":{t}.fk",)),
    ("reference_column", _FK.format(""),
     "DROP CONSTRAINT fk, ADD CONSTRAINT fk FOREIGN KEY (b) REFERENCES referred (id)", (_C + ":{t}.fk",)),
    ("reference_target", _FK.format(""),
     "DROP CONSTRAINT fk, ADD CONSTRAINT fk FOREIGN KEY (a) REFERENCES referred (a)", (_C + ":{t}.fk",)),
    ("on_delete", _FK.format(" ON DELETE CASCADE"),
     "DROP CONSTRAINT fk, ADD CONSTRAINT fk FOREIGN KEY (a) REFERENCES referred (id) ON DELETE SET NULL",
     (_C + ":{t}.fk",)),
    ("deferred", _FK.format(""), "ALTER CONSTRAINT fk DEFERRABLE INITIALLY DEFERRED", (_C + ":{t}.fk",)),
    ("exclusion", "(a int4range, CONSTRAINT ex EXCLUDE USING gist (a WITH &&))",
     "DROP CONSTRAINT ex, ADD CONSTRAINT ex EXCLUDE USING gist (a WITH =)", (_C + ":{t}.ex",)),
)  # fmt: skip
_INDEXES: tuple[tuple[str, str, str], ...] = (
    ("index_column", "(a)", "(b)"),
    ("index_order", "(a, b)", "(b, a)"),
    ("index_direction", "(a)", "(a DESC)"),
    ("index_nulls", "(a)", "(a NULLS FIRST)"),
    ("index_collation", "(b)", '(b COLLATE "C")'),
    ("index_class", "(b)", "(b text_pattern_ops)"),
    ("index_formula", "(lower(b))", "(upper(b))"),
    ("index_where", "(a) WHERE a > 0", "(a) WHERE a > 1"),
    ("index_included", "(a)", "(a) INCLUDE (b)"),
    ("index_fill", "(a)", "(a) WITH (fillfactor = 50)"),
)


def _tables() -> Iterator[Change]:
    for name, body, change, found in _TABLES:
        yield Change(
            name=name,
            make=(f"CREATE TABLE {name} {body}",),
            change=(f"ALTER TABLE {name} {change}".replace("{t}", name),),
            found=tuple(_named(one, name) for one in found),
        )
    for name, before, after in _INDEXES:
        make, index = f"CREATE TABLE {name}_on (a int, b text)", f"{name}_on"
        yield Change(
            name=name,
            make=(make, f"CREATE INDEX {name} ON {index} {before}"),
            change=(f"DROP INDEX {name}", f"CREATE INDEX {name} ON {index} {after}"),
            found=((_I, f"public.{name}"),),
        )
    on = "CREATE TABLE {n}_on (a int); "
    part = "CREATE TABLE {n}_of (a int) PARTITION BY RANGE (a); "
    for name, make, alter, found in (
        ("index_lost", on + "CREATE INDEX {n} ON {n}_on (a)", "DROP INDEX {n}", (_I,)),
        ("index_added", on, "CREATE INDEX {n} ON {n}_on (a)", (_I,)),
        ("index_unique", on + "CREATE INDEX {n} ON {n}_on (a)",
         "DROP INDEX {n}; CREATE UNIQUE INDEX {n} ON {n}_on (a)", (_I,)),
        ("index_method", on + "CREATE INDEX {n} ON {n}_on (a)",
     "DROP INDEX {n}; CREATE INDEX {n} ON {n}_on USING hash (a)",
         (_I,)),
        ("index_statistics", on + "CREATE INDEX {n} ON {n}_on ((a + 1))",
         "ALTER INDEX {n} ALTER COLUMN 1 SET STATISTICS 7", (_I,)),
        ("table_lost", "CREATE TABLE {n} (a int)", "DROP TABLE {n}", ("table:{t}", _T)),
        ("table_added", "SELECT", "CREATE TABLE {n} (a int)", (_T,)),
        ("table_renamed", "CREATE TABLE {n} (a int)", "ALTER TABLE {n} RENAME TO {n}_to",
         ("table:{t}", _T, _T + ":{t}_to")),
        ("partition_bound", part + "CREATE TABLE {n} PARTITION OF {n}_of FOR VALUES FROM (0) TO (10)",
         "ALTER TABLE {n}_of DETACH PARTITION {n}; ALTER TABLE {n}_of ATTACH PARTITION {n} FOR VALUES FROM (0) TO (11)",
         (_T,)),
        ("partition_detached", part + "CREATE TABLE {n} PARTITION OF {n}_of FOR VALUES FROM (0) TO (10)",
         "ALTER TABLE {n}_of DETACH PARTITION {n}", (_T,)),
    ):  # fmt: skip
        yield Change(
            name=name,
            make=tuple(make.replace("{n}", name).split("; ")),
            change=tuple(alter.replace("{n}", name).split("; ")),
            found=tuple(_named(one, name) for one in found),
        )


def _named(found: str, name: str) -> tuple[str, str]:
    kind, _, other = found.partition(":")
    return kind, f"public.{(other or name).replace('{t}', name)}"


_FUNCTION = "CREATE OR REPLACE FUNCTION {n}(a int) RETURNS int LANGUAGE sql AS 'SELECT 1'"
_TRIGGER = "CREATE TRIGGER {n} BEFORE INSERT ON {t} FOR EACH ROW EXECUTE FUNCTION fires()"
_OPERATOR = "CREATE OPERATOR <{o}> (LEFTARG = int, RIGHTARG = int, FUNCTION = compares"
# The kind, the name, what makes the object {n} (on a table {t}), and what changes it. A name that is not the object's
# own stands behind a colon after the kind.
_OBJECTS: tuple[tuple[str, str, str, str], ...] = (
    ("view", "view_lost", "CREATE VIEW {n} AS SELECT 1 AS a", "DROP VIEW {n}"),
    ("view", "view_added", "SELECT", "CREATE VIEW {n} AS SELECT 1 AS a"),
    ("view", "view_value", "CREATE VIEW {n} AS SELECT 1 AS a", "CREATE OR REPLACE VIEW {n} AS SELECT 2 AS a"),
    ("view", "view_space", "CREATE VIEW {n} AS SELECT 'a b' AS a", "CREATE OR REPLACE VIEW {n} AS SELECT 'a  b' AS a"),
    ("view", "view_column", "CREATE VIEW {n} AS SELECT 1 AS a", "ALTER VIEW {n} RENAME COLUMN a TO b"),
    ("view", "view_barrier", "CREATE VIEW {n} AS SELECT 1 AS a", "ALTER VIEW {n} SET (security_barrier)"),
    ("view", "view_option", "CREATE VIEW {n} AS SELECT a FROM {t} WHERE a > 0 WITH LOCAL CHECK OPTION",
     "ALTER VIEW {n} RESET (check_option)"),
    ("view", "view_default", "CREATE VIEW {n} AS SELECT a FROM {t}", "ALTER VIEW {n} ALTER a SET DEFAULT 1"),
    ("view", "stored_view_lost", "CREATE MATERIALIZED VIEW {n} AS SELECT 1 AS a", "DROP MATERIALIZED VIEW {n}"),
    ("view", "stored_view_filled", "CREATE MATERIALIZED VIEW {n} AS SELECT 1 AS a WITH NO DATA",
     "REFRESH MATERIALIZED VIEW {n}"),
    ("trigger:{t}.{n}", "trigger_lost", _TRIGGER, "DROP TRIGGER {n} ON {t}"),
    ("trigger:{t}.{n}", "trigger_added", "SELECT FROM {t}", _TRIGGER),
    ("trigger:{t}.{n}", "trigger_time", _TRIGGER, "DROP TRIGGER {n} ON {t}; " + _TRIGGER.replace("BEFORE", "AFTER")),
    ("trigger:{t}.{n}", "trigger_event", _TRIGGER, "DROP TRIGGER {n} ON {t}; " + _TRIGGER.replace("INSERT", "UPDATE")),
    ("trigger:{t}.{n}", "trigger_row", _TRIGGER, "DROP TRIGGER {n} ON {t}; " + _TRIGGER.replace("EACH ROW",
     "STATEMENT")),
    ("trigger:{t}.{n}", "trigger_when", _TRIGGER,
     "DROP TRIGGER {n} ON {t}; " + _TRIGGER.replace("EXECUTE", "WHEN (NEW.a > 0) EXECUTE")),
    ("trigger:{t}.{n}", "trigger_calls", _TRIGGER, "DROP TRIGGER {n} ON {t}; " + _TRIGGER.replace("fires",
     "fires_too")),
    ("trigger:{t}.{n}", "trigger_given", _TRIGGER, "DROP TRIGGER {n} ON {t}; " + _TRIGGER.replace("()", "('x')")),
    ("trigger:{t}.{n}", "trigger_off", _TRIGGER, "ALTER TABLE {t} DISABLE TRIGGER {n}"),
    ("trigger:{t}.{n}", "trigger_always", _TRIGGER, "ALTER TABLE {t} ENABLE ALWAYS TRIGGER {n}"),
    ("rule:{t}.{n}", "rule_lost", "CREATE RULE {n} AS ON DELETE TO {t} DO INSTEAD NOTHING", "DROP RULE {n} ON {t}"),
    ("rule:{t}.{n}", "rule_way", "CREATE RULE {n} AS ON DELETE TO {t} DO INSTEAD NOTHING",
     "CREATE OR REPLACE RULE {n} AS ON DELETE TO {t} DO ALSO NOTHING"),
    ("policy:{t}.{n}", "policy_lost", "CREATE POLICY {n} ON {t}", "DROP POLICY {n} ON {t}"),
    ("policy:{t}.{n}", "policy_formula", "CREATE POLICY {n} ON {t} USING (a > 0)",
     "ALTER POLICY {n} ON {t} USING (a > 1)"),
    ("policy:{t}.{n}", "policy_check", "CREATE POLICY {n} ON {t} WITH CHECK (a > 0)",
     "ALTER POLICY {n} ON {t} WITH CHECK (a > 1)"),
    ("policy:{t}.{n}", "policy_strict", "CREATE POLICY {n} ON {t}",
     "DROP POLICY {n} ON {t}; CREATE POLICY {n} ON {t} AS RESTRICTIVE"),
    ("routine:{n}(a integer)", "function_lost", _FUNCTION, "DROP FUNCTION {n}"),
    ("routine:{n}(a integer)", "function_body", _FUNCTION, _FUNCTION.replace("1", "2")),
    ("routine:{n}(a integer)", "function_space", _FUNCTION, _FUNCTION.replace("SELECT", "SELECT ")),
    ("routine:{n}(a integer)", "function_stable", _FUNCTION, "ALTER FUNCTION {n} STABLE"),
    ("routine:{n}(a integer)", "function_strict", _FUNCTION, "ALTER FUNCTION {n} STRICT"),
    ("routine:{n}(a integer)", "function_definer", _FUNCTION, "ALTER FUNCTION {n} SECURITY DEFINER"),
    ("routine:{n}(a integer)", "function_parallel", _FUNCTION, "ALTER FUNCTION {n} PARALLEL SAFE"),
    ("routine:{n}(a integer)", "function_cost", _FUNCTION, "ALTER FUNCTION {n} COST 7"),
    ("routine:{n}(a integer)", "function_setting", _FUNCTION, "ALTER FUNCTION {n} SET work_mem = '1MB'"),
    ("routine:{n}(a integer)", "function_default", _FUNCTION, _FUNCTION.replace("a int", "a int DEFAULT 1")),
    ("routine:{n}()", "procedure_body", "CREATE PROCEDURE {n}() LANGUAGE sql AS 'SELECT 1'",
     "CREATE OR REPLACE PROCEDURE {n}() LANGUAGE sql AS 'SELECT 2'"),
    ("routine:{n}(integer)", "aggregate_start",
     "CREATE AGGREGATE {n}(int) (SFUNC = int4mul, STYPE = int, INITCOND = 1)",
     "CREATE OR REPLACE AGGREGATE {n}(int) (SFUNC = int4mul, STYPE = int, INITCOND = 2)"),
    ("routine:{n}(integer)", "aggregate_final", "CREATE AGGREGATE {n}(int) (SFUNC = int4mul, STYPE = int)",
     "CREATE OR REPLACE AGGREGATE {n}(int) (SFUNC = int4mul, STYPE = int, FINALFUNC = int4abs)"),
    ("routine:{n}(integer)", "aggregate_space", "CREATE AGGREGATE {n}(int) (SFUNC = int4mul, STYPE = int)",
     "CREATE OR REPLACE AGGREGATE {n}(int) (SFUNC = int4mul, STYPE = int, SSPACE = 99)"),
    ("type", "enum_added", "CREATE TYPE {n} AS ENUM ('a')", "ALTER TYPE {n} ADD VALUE 'b'"),
    ("type", "enum_renamed", "CREATE TYPE {n} AS ENUM ('a')", "ALTER TYPE {n} RENAME VALUE 'a' TO 'b'"),
    ("type", "enum_order", "CREATE TYPE {n} AS ENUM ('a', 'b')", "DROP TYPE {n}; CREATE TYPE {n} AS ENUM ('b', 'a')"),
    ("type", "pair_type", "CREATE TYPE {n} AS (a int)", "ALTER TYPE {n} ALTER ATTRIBUTE a TYPE bigint"),
    ("type", "pair_added", "CREATE TYPE {n} AS (a int)", "ALTER TYPE {n} ADD ATTRIBUTE b int"),
    ("type", "domain_default", "CREATE DOMAIN {n} AS int", "ALTER DOMAIN {n} SET DEFAULT 1"),
    ("type", "domain_null", "CREATE DOMAIN {n} AS int", "ALTER DOMAIN {n} SET NOT NULL"),
    ("constraint:{n}.ck", "domain_check", "CREATE DOMAIN {n} AS int",
     "ALTER DOMAIN {n} ADD CONSTRAINT ck CHECK (VALUE > 0)"),
    ("type", "range_of", "CREATE TYPE {n} AS RANGE (SUBTYPE = int)",
     "DROP TYPE {n}; CREATE TYPE {n} AS RANGE (SUBTYPE = bigint)"),
    ("type", "range_gap", "CREATE TYPE {n} AS RANGE (SUBTYPE = numeric)",
     "DROP TYPE {n}; CREATE TYPE {n} AS RANGE (SUBTYPE = numeric, SUBTYPE_DIFF = gap)"),
    ("sequence", "sequence_step", "CREATE SEQUENCE {n}", "ALTER SEQUENCE {n} INCREMENT 2"),
    ("sequence", "sequence_end", "CREATE SEQUENCE {n}", "ALTER SEQUENCE {n} MAXVALUE 99"),
    ("sequence", "sequence_cycle", "CREATE SEQUENCE {n}", "ALTER SEQUENCE {n} CYCLE"),
    ("sequence", "sequence_cache", "CREATE SEQUENCE {n}", "ALTER SEQUENCE {n} CACHE 7"),
    ("sequence", "sequence_type", "CREATE SEQUENCE {n} MAXVALUE 99", "ALTER SEQUENCE {n} AS int MAXVALUE 99"),
    ("sequence", "sequence_owner", "CREATE SEQUENCE {n}", "ALTER SEQUENCE {n} OWNED BY {t}.a"),
    ("statistics object", "statistics_lost", "CREATE STATISTICS {n} ON a, b FROM {t}", "DROP STATISTICS {n}"),
    ("statistics object", "statistics_kind", "CREATE STATISTICS {n} (mcv) ON a, b FROM {t}",
     "DROP STATISTICS {n}; CREATE STATISTICS {n} (ndistinct) ON a, b FROM {t}"),
    ("statistics object", "statistics_target", "CREATE STATISTICS {n} ON a, b FROM {t}",
     "ALTER STATISTICS {n} SET STATISTICS 7"),
    ("operator:<+>(integer, integer)", "operator_lost", _OPERATOR.format(o="+") + ")", "DROP OPERATOR <+> (int, int)"),
    ("operator:<->(integer, integer)", "operator_estimate", _OPERATOR.format(o="-") + ")",
     "ALTER OPERATOR <-> (int, int) SET (RESTRICT = scalarltsel)"),
    ("operator:<*>(integer, integer)", "operator_partner", _OPERATOR.format(o="*") + ", COMMUTATOR = <*>)",
     "DROP OPERATOR <*> (int, int); " + _OPERATOR.format(o="*") + ")"),
    ("operator family:{n} btree", "class_function",
     "CREATE OPERATOR CLASS {n} FOR TYPE int USING btree AS OPERATOR 1 <, FUNCTION 1 btint4cmp(int, int)",
     ("DROP OPERATOR FAMILY {n} USING btree; CREATE OPERATOR CLASS {n} FOR TYPE int USING btree AS OPERATOR 1 >, "
     "FUNCTION 1 btint4cmp(int, int)")),
    ("collation", "collation_locale", "CREATE COLLATION {n} (provider = icu, locale = 'de')",
     "DROP COLLATION {n}; CREATE COLLATION {n} (provider = icu, locale = 'fr')"),
    ("collation", "collation_strict", "CREATE COLLATION {n} (provider = icu, locale = 'de')",
     "DROP COLLATION {n}; CREATE COLLATION {n} (provider = icu, locale = 'de', deterministic = false)"),
    ("text search configuration", "search_map", "CREATE TEXT SEARCH CONFIGURATION {n} (COPY = simple)",
     "ALTER TEXT SEARCH CONFIGURATION {n} DROP MAPPING FOR word"),
    ("text search dictionary", "dictionary_option", "CREATE TEXT SEARCH DICTIONARY {n} (TEMPLATE = simple)",
     "ALTER TEXT SEARCH DICTIONARY {n} (Accept = false)"),
    ("text search dictionary", "dictionary_kind", "CREATE TEXT SEARCH DICTIONARY {n} (TEMPLATE = simple)",
     "DROP TEXT SEARCH DICTIONARY {n}; CREATE TEXT SEARCH DICTIONARY {n} (TEMPLATE = snowball, Language = german)"),
    ("text search parser", "parser_lost",
     ("CREATE TEXT SEARCH PARSER {n} (START = prsd_start, GETTOKEN = prsd_nexttoken, "
     "END = prsd_end, LEXTYPES = prsd_lextype)"), "DROP TEXT SEARCH PARSER {n}"),
    ("conversion", "conversion_lost", "CREATE CONVERSION {n} FOR 'LATIN1' TO 'UTF8' FROM iso8859_1_to_utf8",
     "DROP CONVERSION {n}"),
    ("=schema", "schema_added", "SELECT", "CREATE SCHEMA {n}"),
    ("=schema", "schema_lost", "CREATE SCHEMA {n}", "DROP SCHEMA {n}"),
    ("=event trigger", "watch_off", "CREATE EVENT TRIGGER {n} ON ddl_command_end EXECUTE FUNCTION watches()",
     "ALTER EVENT TRIGGER {n} DISABLE"),
    ("=event trigger", "watch_tags", "CREATE EVENT TRIGGER {n} ON ddl_command_end EXECUTE FUNCTION watches()",
     ("DROP EVENT TRIGGER {n}; CREATE EVENT TRIGGER {n} ON ddl_command_end WHEN TAG IN ('DROP TABLE') "
     "EXECUTE FUNCTION watches()")),
    ("=publication", "publication_kind", "CREATE PUBLICATION {n} FOR TABLE {t}",
     "ALTER PUBLICATION {n} SET (publish = 'insert')"),
    ("=publication", "publication_table", "CREATE PUBLICATION {n} FOR TABLE {t}",
     "ALTER PUBLICATION {n} DROP TABLE {t}"),
    ("=publication", "publication_columns", "CREATE PUBLICATION {n} FOR TABLE {t}",
     "ALTER PUBLICATION {n} SET TABLE {t} (a)"),
    ("=publication", "publication_rows", "CREATE PUBLICATION {n} FOR TABLE {t} WHERE (a > 0)",
     "ALTER PUBLICATION {n} SET TABLE {t} WHERE (a > 1)"),
    ("=publication", "publication_schema", "CREATE SCHEMA {n}_s; CREATE PUBLICATION {n} FOR TABLES IN SCHEMA {n}_s",
     "ALTER PUBLICATION {n} DROP TABLES IN SCHEMA {n}_s"),
    ("=language", "language_lost", "CREATE LANGUAGE {n} HANDLER handles", "DROP LANGUAGE {n}"),
    ("=access method", "method_lost", "CREATE ACCESS METHOD {n} TYPE TABLE HANDLER heap_tableam_handler",
     "DROP ACCESS METHOD {n}"),
    ("=transform:mood for sql", "transform_lost", ("CREATE TRANSFORM FOR mood LANGUAGE sql "
     "(FROM SQL WITH FUNCTION prsd_lextype(internal))"), "DROP TRANSFORM FOR mood LANGUAGE sql"),
    ("=foreign data wrapper", "wrapper_option", "CREATE FOREIGN DATA WRAPPER {n} OPTIONS (a '1')",
     "ALTER FOREIGN DATA WRAPPER {n} OPTIONS (SET a '2')"),
    ("=foreign server", "server_option",
     ("CREATE FOREIGN DATA WRAPPER {n}_w; CREATE SERVER {n} FOREIGN DATA WRAPPER {n}_w "
     "OPTIONS (a '1')"), "ALTER SERVER {n} OPTIONS (SET a '2')"),
    ("table", "far_option", ("CREATE FOREIGN DATA WRAPPER {n}_w; CREATE SERVER {n}_s FOREIGN DATA WRAPPER {n}_w; "
     "CREATE FOREIGN TABLE {n} (a int) SERVER {n}_s OPTIONS (a '1')"), "ALTER FOREIGN TABLE {n} OPTIONS (SET a '2')"),
    ("=cast:pair to integer", "cast_function", "CREATE CAST (pair AS int) WITH FUNCTION weighs(pair)",
     "DROP CAST (pair AS int); CREATE CAST (pair AS int) WITH FUNCTION weighs_too(pair)"),
)  # fmt: skip


def _objects() -> Iterator[Change]:
    for kind, name, make, change in _OBJECTS:
        what, _, other = kind.removeprefix("=").partition(":")
        where = "" if kind.startswith("=") else "public."
        table = [f"CREATE TABLE {name}_on (a int, b int)"] if "{t}" in make + change else []
        found = where + _filled(other or "{n}", name)
        if what in ("cast", "transform"):
            found = f"public.{found}"
        yield Change(
            name=name,
            make=(*table, *_filled(make, name).split("; ")),
            change=tuple(_filled(change, name).split("; ")),
            found=((f"definition of {what}", found),),
        )
    for name, make, change in (
        ("sequence_value", "CREATE SEQUENCE {n}", "SELECT setval('{n}', 2)"),
        ("sequence_called", "CREATE SEQUENCE {n}", "SELECT setval('{n}', 1, true)"),
        ("sequence_back", "CREATE SEQUENCE {n}; SELECT setval('{n}', 9)", "SELECT setval('{n}', 8)"),
    ):
        yield Change(
            name=name,
            make=tuple(_filled(make, name).split("; ")),
            change=(_filled(change, name),),
            found=(("sequence", f"public.{name}"),),
        )
    yield Change(
        name="large_object",
        make=("SELECT lo_from_bytea(4711, '\\x000102'), lo_from_bytea(4712, '\\x000102')",),
        change=("SELECT lo_put(4712, 2, '\\x03')",),
        found=(("large objects", "database"),),
    )
    yield Change(
        name="comment_changed",
        make=("CREATE TABLE comment_changed (a int)", "COMMENT ON COLUMN comment_changed.a IS 'x'"),
        change=("COMMENT ON COLUMN comment_changed.a IS 'y'",),
        found=(("comments", "database"),),
    )
    yield Change(
        name="extension_lost",
        make=("CREATE EXTENSION fuzzystrmatch",),
        change=("DROP EXTENSION fuzzystrmatch",),
        found=(("definition of extension", "fuzzystrmatch"),),
    )


def _filled(text: str, name: str) -> str:
    return text.replace("{n}", name).replace("{t}", f"{name}_on")


def run(server: PostgresServer, database: str, scripts: Iterable[Iterable[str]]) -> None:
    """Run scripts on one connection; event triggers of the tests' own do nothing."""
    with server.connect(database) as connection:
        for statement in (statement for script in scripts for statement in script):
            if statement:
                connection.execute(statement.encode())


def drill_of_all(server: PostgresServer, changes: Sequence[Change], store: str) -> DrillResult:
    """A drill of a backup of all objects, with every change made to what was restored; without them it passes."""
    with server.database() as database:
        run(server, database, [filter(can_be, SHARED.splitlines()), *(change.make for change in changes)])
        record = holdfast.backup(server.url(database), store=store, proof=True)
        clean = holdfast.drill(record.id, store=store, into=server.url(""))
        assert (clean.passed, clean.state, clean.problems) == (True, "proven", ())

        def apply(url: str) -> None:
            run(server, url.partition("?")[0].rpartition("/")[2], [change.change for change in changes])

        return drill_mutated(record.id, store, apply, into=server.url(""))
