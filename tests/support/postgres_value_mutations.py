"""Changes of values and rows of a PostgreSQL database, and of single bits."""

import random
from collections.abc import Iterator

from support.mutations import Change

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


def value_changes() -> Iterator[Change]:
    """One value of a table, by as little as its type can tell apart."""
    for name, kind, before, after in VALUES:
        yield Change(
            name=f"v_{name}",
            make=(
                f"CREATE TABLE v_{name} (id int, v {kind})",
                f"INSERT INTO v_{name} VALUES (1, {before}), (2, {after}), (3, NULL)",
            ),
            change=(f"UPDATE v_{name} SET v = {after} WHERE id = 1",),
            differing=(("table", f"public.v_{name}"),),
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


def row_changes() -> Iterator[Change]:
    """Rows of tables: lost, added, exchanged."""
    for name, body, rows, change in _ROWS:
        unlogged = "UNLOGGED " if name.startswith("unlogged") else ""
        yield Change(
            name=name,
            make=(f"CREATE {unlogged}TABLE {name} {body}", f"INSERT INTO {name} VALUES {rows}" if rows else "SELECT"),
            change=(change.replace("{t}", name),),
            differing=(("table", f"public.{name}"),),
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
        differing=(("table", "public.partition_row_1"),),
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
        differing=(("table", "public.heir_row"),),
    )


def bit_changes(seed: int, count: int = 12) -> Iterator[Change]:
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
            differing=(("table", f"public.{table}"),),
        )
