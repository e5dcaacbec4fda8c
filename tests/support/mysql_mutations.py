"""Changes of a MySQL or MariaDB database, each of objects of its own and with what a drill has to say of it.

What only one of the products knows says so in `only`.
"""

import random
from collections.abc import Iterable, Iterator, Sequence

import holdfast
from holdfast.operations.drill import DrillResult
from holdfast.testing.drills import drill_mutated
from support.mutations import Change
from support.mysql_object_mutations import object_changes
from support.servers.mariadb import MariaDB

PREPARE = (
    "SET NAMES utf8mb4, time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES,NO_AUTO_VALUE_ON_ZERO'",
    "SET foreign_key_checks = 0",
)


def known(product: str, *, seed: int = 1) -> list[Change]:
    """Every change that a product (`mariadb` or `mysql`) can hold, in an order of the seed's."""
    changes = [*_values(), *_rows(), *_bits(seed), *_tables(), *object_changes()]
    names = [change.name for change in changes]
    assert len(set(names)) == len(names), "two changes have one name"
    chosen = [change for change in changes if change.only in ("", product)]
    random.Random(seed).shuffle(chosen)
    return chosen


def run(server: MariaDB, database: str, scripts: Iterable[Sequence[str]]) -> None:
    """Run scripts on one connection, each under the settings that it was written for."""
    with server.connect(database) as connection, connection.cursor() as cursor:
        for statement in (statement for script in scripts for statement in (*PREPARE, *script)):
            cursor.execute(statement)


# A column's type, one value, and another that differs from it by as little as the type can tell apart.
VALUES: tuple[tuple[str, str, str, str, str], ...] = (
    ("tinyint", "TINYINT", "-128", "-127", ""),
    ("boolean", "BOOLEAN", "TRUE", "FALSE", ""),
    ("smallint", "SMALLINT UNSIGNED", "65535", "65534", ""),
    ("mediumint", "MEDIUMINT", "0", "1", ""),
    ("int", "INT", "2147483647", "2147483646", ""),
    ("bigint", "BIGINT", "-9223372036854775808", "-9223372036854775807", ""),
    ("unsigned", "BIGINT UNSIGNED", "18446744073709551615", "18446744073709551614", ""),
    ("decimal", "DECIMAL(65,30)", "1e-30", "2e-30", ""),
    ("decimal_sign", "DECIMAL(10,2)", "-1.10", "1.10", ""),
    ("float_bit", "FLOAT", "0.1", "0.10000000894069672e0", ""),
    ("float_zero", "FLOAT", "0e0", "-0e0", "mysql"),
    ("double_bit", "DOUBLE", "0.1", "0.10000000000000002e0", ""),
    ("double_zero", "DOUBLE", "0e0", "-0e0", "mysql"),
    ("double_small", "DOUBLE", "5e-324", "0", ""),
    ("bits", "BIT(64)", "0x8000000000000000", "0x8000000000000001", ""),
    ("one_bit", "BIT(1)", "b'1'", "b'0'", ""),
    ("year", "YEAR", "1901", "0", ""),
    ("date", "DATE", "'2024-02-29'", "'2024-03-01'", ""),
    ("no_date", "DATE", "'0000-00-00'", "NULL", ""),
    ("wrong_date", "DATE", "'2023-02-29'", "'2023-02-30'", ""),
    ("microsecond", "DATETIME(6)", "'9999-12-31 23:59:59.999999'", "'9999-12-31 23:59:59.999998'", ""),
    ("millisecond", "TIMESTAMP(3) NULL", "'2038-01-19 03:14:07.001'", "'2038-01-19 03:14:07.002'", ""),
    ("hour_of_change", "TIMESTAMP NULL", "'2024-10-27 00:30:00'", "'2024-10-27 01:30:00'", ""),
    ("time", "TIME(6)", "'-838:59:58.999999'", "'-838:59:59'", ""),
    ("time_sign", "TIME(6)", "'-00:00:00.000001'", "'00:00:00.000001'", ""),
    ("char", "CHAR(9)", "'a'", "'b'", ""),
    ("case", "VARCHAR(9) COLLATE utf8mb4_unicode_ci", "'Kelp'", "'kelp'", ""),
    ("accent", "VARCHAR(9) COLLATE utf8mb4_unicode_ci", "'e'", "'é'", ""),
    ("composed", "VARCHAR(9) COLLATE utf8mb4_unicode_ci", "'é'", "CONCAT('e', _utf8mb4 0xCC81)", ""),
    ("trailing_space", "VARCHAR(9)", "'a'", "'a '", ""),
    ("text_space", "TEXT", "'a'", "'a '", ""),
    ("text_line", "MEDIUMTEXT", "'a\nb'", "'a\r\nb'", ""),
    ("text_nul", "LONGTEXT", "'a'", "'a\0'", ""),
    ("empty_text", "TINYTEXT", "''", "NULL", ""),
    ("empty_varchar", "VARCHAR(9)", "NULL", "''", ""),
    ("named_null", "VARCHAR(9)", "'NULL'", "NULL", ""),
    ("letter_n", "VARCHAR(9)", "'N'", "NULL", ""),
    ("zero_null", "INT", "0", "NULL", ""),
    ("emoji", "VARCHAR(9)", "'😀'", "'😁'", ""),
    ("western", "VARCHAR(9) CHARACTER SET latin1", "'ü'", "'u'", ""),
    ("wide", "VARCHAR(9) CHARACTER SET utf16", "'ü😀'", "'ü😁'", ""),
    ("wide_text", "TEXT CHARACTER SET utf16", "'aü'", "'bü'", ""),
    ("japanese", "VARCHAR(9) CHARACTER SET sjis", "'日本'", "'日木'", ""),
    ("binary", "BINARY(4)", "0x00000000", "0x00000001", ""),
    ("varbinary_length", "VARBINARY(9)", "0x00", "0x0000", ""),
    ("blob_bit", "BLOB", "0x00ff5c27", "0x00ff5c26", ""),
    ("long_blob", "LONGBLOB", "REPEAT(0xfe, 70000)", "CONCAT(REPEAT(0xfe, 69999), 0xff)", ""),
    ("enum", "ENUM('a', 'b')", "'a'", "'b'", ""),
    ("enum_empty", "ENUM('a', '')", "''", "0", ""),
    ("enum_null", "ENUM('a', '')", "''", "NULL", ""),
    ("set", "SET('a', 'b', 'c')", "'a,c'", "'a,b,c'", ""),
    ("set_null", "SET('a', 'b')", "''", "NULL", ""),
    ("json_digit", "JSON", "'{\"a\": [1, 2]}'", "'{\"a\": [1, 3]}'", ""),
    ("json_null", "JSON", "'null'", "NULL", ""),
    ("json_type", "JSON", "'{\"a\": 1}'", "'{\"a\": \"1\"}'", ""),
    ("json_space", "JSON", "'[1,2]'", "'[1, 2]'", "mariadb"),
    ("point", "POINT", "POINT(1, 2)", "POINT(1, 2.0000000000000004)", ""),
    ("srid", "GEOMETRY", "ST_GeomFromText('POINT(1 1)', 0)", "ST_GeomFromText('POINT(1 1)', 4326)", ""),
    ("shape", "GEOMETRY", "ST_GeomFromText('LINESTRING(0 0,1 1)')", "ST_GeomFromText('LINESTRING(1 1,0 0)')", ""),
    ("uuid", "UUID", "'123e4567-e89b-12d3-a456-426614174000'", "'123e4567-e89b-12d3-a456-426614174001'", "mariadb"),
    ("inet6", "INET6", "'::1'", "'::2'", "mariadb"),
    ("inet4", "INET4", "'10.0.0.1'", "'10.0.0.2'", "mariadb"),
    ("inet_null", "INET6", "'::'", "NULL", "mariadb"),
    ("squeezed", "TEXT COMPRESSED", "REPEAT('z', 999)", "CONCAT(REPEAT('z', 998), 'y')", "mariadb"),
    ("invisible", "INT INVISIBLE", "1", "2", ""),
)  # fmt: skip


def _values() -> Iterator[Change]:
    """Each of a table with a primary key, digested by its bytes, and of one without, summed up by the server."""
    for name, kind, before, after, only in VALUES:
        for way, key in (("keyed", "PRIMARY KEY"), ("loose", "NOT NULL")):
            table = f"{name}_{way}"
            yield Change(
                name=table,
                make=(
                    f"CREATE TABLE {table} (id INT {key}, v {kind}) CHARACTER SET utf8mb4",
                    f"INSERT INTO {table} (id, v) VALUES (1, {before}), (2, {after}), (3, NULL)",
                ),
                change=(f"UPDATE {table} SET v = {after} WHERE id = 1",),
                differing=(("rows", table),),
                only=only,
            )


_TWO = "(id INT PRIMARY KEY, a VARCHAR(9), b VARCHAR(9))"
_BARE = "(a VARCHAR(9), b VARCHAR(9))"
# A table's body, its rows, and what is done to them; {t} is its name.
_ROWS: tuple[tuple[str, str, str, str, str], ...] = (
    ("row_lost", _TWO, "(1, 'a', 'b'), (2, 'c', 'd')", "DELETE FROM {t} WHERE id = 2", ""),
    ("row_added", _TWO, "(1, 'a', 'b')", "INSERT INTO {t} VALUES (2, 'a', 'b')", ""),
    ("rows_lost", _TWO, "(1, 'a', 'b'), (2, 'c', 'd')", "TRUNCATE {t}", ""),
    ("first_row", "(a INT)", "", "INSERT INTO {t} VALUES (NULL)", ""),
    ("key_value", _TWO, "(1, 'a', 'b'), (2, 'c', 'd')", "UPDATE {t} SET id = 3 WHERE id = 2", ""),
    ("key_case", "(id VARCHAR(9) COLLATE utf8mb4_unicode_ci PRIMARY KEY)", "('a'), ('b')",
     "UPDATE {t} SET id = 'A' WHERE id = 'a'", ""),
    ("columns_swapped", _TWO, "(1, 'a', 'b')", "UPDATE {t} SET a = 'b', b = 'a'", ""),
    ("columns_swapped_loose", _BARE, "('a', 'b')", "UPDATE {t} SET a = 'b', b = 'a'", ""),
    ("rows_swapped", _TWO, "(1, 'a', 'b'), (2, 'c', 'd')", "UPDATE {t} SET a = IF(id = 1, 'c', 'a')", ""),
    ("rows_swapped_loose", _BARE, "('a', 'b'), ('c', 'd')", "UPDATE {t} SET a = IF(b = 'b', 'c', 'a')", ""),
    ("border_moved", _TWO, "(1, 'ab', 'c')", "UPDATE {t} SET a = 'a', b = 'bc'", ""),
    ("border_moved_loose", _BARE, "('ab', 'c')", "UPDATE {t} SET a = 'a', b = 'bc'", ""),
    ("null_moved_loose", _BARE, "('a', NULL)", "UPDATE {t} SET a = NULL, b = 'a'", ""),
    ("looks_like_null", _BARE, "(NULL, '1:N'), ('x', NULL)", "UPDATE {t} SET b = 'N' WHERE a IS NULL", ""),
    ("row_twice", _BARE, "('a', 'b'), ('a', 'b')", "INSERT INTO {t} VALUES ('a', 'b')", ""),
    ("row_once", _BARE, "('a', 'b'), ('a', 'b')", "DELETE FROM {t} LIMIT 1", ""),
    ("other_twin", _BARE, "('a', 'b'), ('a', 'b'), ('c', 'd')", "UPDATE {t} SET a = 'c', b = 'd' WHERE a = 'a' LIMIT 1",
     ""),
    ("pair_for_pair", "(a INT)", "(1), (4)", "UPDATE {t} SET a = IF(a = 1, 2, 3)", ""),
    ("prefix_key", "(a TEXT, PRIMARY KEY (a(2)))", "('abc'), ('bcd')", "UPDATE {t} SET a = 'abd' WHERE a = 'abc'", ""),
    ("myisam_row", "(id INT PRIMARY KEY, a INT) ENGINE = MyISAM", "(1, 1), (2, 2)", "UPDATE {t} SET a = 3 LIMIT 1", ""),
    ("aria_row", "(id INT, a INT) ENGINE = Aria", "(1, 1), (2, 2)", "UPDATE {t} SET a = 3 LIMIT 1", "mariadb"),
    ("partition_row", "(id INT PRIMARY KEY, a INT) PARTITION BY HASH (id) PARTITIONS 3", "(1, 1), (2, 2), (3, 3)",
     "UPDATE {t} SET a = 4 WHERE id = 2", ""),
    ("partition_emptied", "(id INT PRIMARY KEY, a INT) PARTITION BY HASH (id) PARTITIONS 3", "(1, 1), (2, 2), (3, 3)",
     "ALTER TABLE {t} TRUNCATE PARTITION p1", ""),
    ("generated_rows", "(v INT AS (42) VIRTUAL)", "(DEFAULT), (DEFAULT)", "INSERT INTO {t} VALUES (DEFAULT)", ""),
    ("generated_source", "(id INT PRIMARY KEY, a INT, b INT AS (a * 2) STORED)", "(1, 1, DEFAULT)",
     "UPDATE {t} SET a = 2", ""),
    ("history_made", "(id INT PRIMARY KEY, a INT) WITH SYSTEM VERSIONING", "(1, 1)", "UPDATE {t} SET a = 2", "mariadb"),
    ("history_lost", "(id INT PRIMARY KEY, a INT) WITH SYSTEM VERSIONING", "(1, 1); UPDATE {t} SET a = 2",
     "DELETE HISTORY FROM {t}", "mariadb"),
    ("period_moved", "(id INT, s DATE, e DATE, PERIOD FOR p (s, e))", "(1, '2020-01-01', '2021-01-01')",
     "UPDATE {t} SET e = '2021-01-02'", "mariadb"),
)  # fmt: skip


def _rows() -> Iterator[Change]:
    for name, body, rows, change, only in _ROWS:
        make = f"CREATE TABLE {{t}} {body}; INSERT INTO {{t}} VALUES {rows}" if rows else f"CREATE TABLE {{t}} {body}"
        yield Change(
            name=name,
            make=tuple(make.replace("{t}", name).split("; ")),
            change=(change.replace("{t}", name),),
            differing=(("rows", name),),
            only=only,
        )


def _bits(seed: int, count: int = 12) -> Iterator[Change]:
    """One bit, anywhere, in one of many values of random bytes."""
    for number in range(count):
        chance = random.Random(f"{seed} {number}")
        table, key = f"bit_{number}", "PRIMARY KEY" if number % 2 else "NOT NULL"
        values = [chance.randbytes(chance.randrange(1, 400)) for _ in range(30)]
        at = chance.randrange(len(values))
        changed = bytearray(values[at])
        changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        rows = ", ".join(f"({row}, 0x{value.hex()})" for row, value in enumerate(values))
        yield Change(
            name=table,
            make=(f"CREATE TABLE {table} (id INT {key}, v VARBINARY(400))", f"INSERT INTO {table} VALUES {rows}"),
            change=(f"UPDATE {table} SET v = 0x{changed.hex()} WHERE id = {at}",),
            differing=(("rows", table),),
        )


_PARTED = "(id INT PRIMARY KEY) PARTITION BY RANGE (id) (PARTITION p0 VALUES LESS THAN (10), {})"
_CHILD = "(a INT, b INT, KEY k (a), KEY l (b), CONSTRAINT {t}_fk FOREIGN KEY (a) REFERENCES {t}_of (id)#)"
# A table without rows, and one change of its definition: what ALTER TABLE is told.
_TABLES: tuple[tuple[str, str, str, str], ...] = (
    ("column_added", "(a INT)", "ADD b INT", ""),
    ("column_dropped", "(a INT, b INT)", "DROP b", ""),
    ("column_renamed", "(a INT, b INT)", "CHANGE b c INT", ""),
    ("column_moved", "(a INT, b INT)", "MODIFY b INT FIRST", ""),
    ("column_type", "(a INT)", "MODIFY a BIGINT", ""),
    ("column_length", "(a VARCHAR(10))", "MODIFY a VARCHAR(11)", ""),
    ("column_sign", "(a INT)", "MODIFY a INT UNSIGNED", ""),
    ("column_scale", "(a DECIMAL(10,2))", "MODIFY a DECIMAL(10,3)", ""),
    ("column_fraction", "(a DATETIME(3))", "MODIFY a DATETIME(4)", ""),
    ("column_text", "(a TEXT)", "MODIFY a MEDIUMTEXT", ""),
    ("column_blob", "(a TEXT)", "MODIFY a BLOB", ""),
    ("column_charset", "(a VARCHAR(9) CHARACTER SET latin1)", "MODIFY a VARCHAR(9) CHARACTER SET utf8mb4", ""),
    ("column_collation", "(a VARCHAR(9))", "MODIFY a VARCHAR(9) COLLATE utf8mb4_bin", ""),
    ("enum_member", "(a ENUM('x', 'y'))", "MODIFY a ENUM('x', 'y', 'z')", ""),
    ("enum_order", "(a ENUM('x', 'y'))", "MODIFY a ENUM('y', 'x')", ""),
    ("set_member", "(a SET('x', 'y'))", "MODIFY a SET('x', 'y ', 'z')", ""),
    ("not_null", "(a INT)", "MODIFY a INT NOT NULL", ""),
    ("default_value", "(a INT DEFAULT 1)", "ALTER a SET DEFAULT 2", ""),
    ("default_space", "(a VARCHAR(9) DEFAULT 'a b')", "ALTER a SET DEFAULT 'a  b'", ""),
    ("default_lost", "(a INT NOT NULL DEFAULT 0)", "ALTER a DROP DEFAULT", ""),
    ("default_expression", "(a VARCHAR(9) DEFAULT (concat('a', 'b')))", "ALTER a SET DEFAULT (concat('b', 'a'))", ""),
    ("on_update", "(a TIMESTAMP NULL ON UPDATE current_timestamp())", "MODIFY a TIMESTAMP NULL", ""),
    ("column_comment", "(a INT COMMENT 'x')", "MODIFY a INT COMMENT 'y'", ""),
    ("column_hidden", "(a INT, b INT)", "MODIFY b INT INVISIBLE", ""),
    ("generated_formula", "(a INT, b INT AS (a + 1) STORED)", "MODIFY b INT AS (a + 2) STORED", ""),
    ("generated_stored", "(a INT, b INT AS (a + 1) STORED)", "DROP b, ADD b INT AS (a + 1) VIRTUAL", ""),
    ("generated_no_more", "(a INT, b INT AS (a + 1) STORED)", "MODIFY b INT", ""),
    ("check_formula", "(a INT, CONSTRAINT ck1 CHECK (a > 0))",
     "DROP CONSTRAINT ck1, ADD CONSTRAINT ck1b CHECK (a >= 0)", ""),
    ("check_lost", "(a INT, CONSTRAINT ck2 CHECK (a > 0))", "DROP CONSTRAINT ck2", ""),
    ("check_added", "(a INT)", "ADD CONSTRAINT ck3 CHECK (a > 0)", ""),
    ("json_check", "(a JSON)", "MODIFY a LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin", "mariadb"),
    ("table_comment", "(a INT) COMMENT 'x'", "COMMENT 'x '", ""),
    ("table_collation", "(a INT) COLLATE utf8mb4_bin", "COLLATE utf8mb4_unicode_ci", ""),
    ("table_engine", "(a INT)", "ENGINE = MyISAM", ""),
    ("row_format", "(a INT) ROW_FORMAT = DYNAMIC", "ROW_FORMAT = COMPACT", ""),
    ("next_number", "(a INT AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT = 100", "AUTO_INCREMENT = 101", ""),
    ("counted_no_more", "(a INT AUTO_INCREMENT PRIMARY KEY)", "MODIFY a INT", ""),
    ("primary_order", "(a INT, b INT, PRIMARY KEY (a, b))", "DROP PRIMARY KEY, ADD PRIMARY KEY (b, a)", ""),
    ("key_lost", "(a INT, KEY k (a))", "DROP KEY k", ""),
    ("key_added", "(a INT)", "ADD KEY k (a)", ""),
    ("key_renamed", "(a INT, KEY k (a))", "RENAME KEY k TO l", ""),
    ("key_columns", "(a INT, b INT, KEY k (a, b))", "DROP KEY k, ADD KEY k (b, a)", ""),
    ("key_prefix", "(a VARCHAR(20), KEY k (a(5)))", "DROP KEY k, ADD KEY k (a(6))", ""),
    ("key_direction", "(a INT, KEY k (a))", "DROP KEY k, ADD KEY k (a DESC)", ""),
    ("key_comment", "(a INT, KEY k (a) COMMENT 'x')", "DROP KEY k, ADD KEY k (a) COMMENT 'y'", ""),
    ("key_ignored", "(a INT, KEY k (a))", "ALTER INDEX k IGNORED", "mariadb"),
    ("key_invisible", "(a INT, KEY k (a))", "ALTER INDEX k INVISIBLE", "mysql"),
    ("key_formula", "(a INT, KEY k ((a + 1)))", "DROP KEY k, ADD KEY k ((a + 2))", "mysql"),
    ("unique_plain", "(a INT, UNIQUE KEY k (a))", "DROP KEY k, ADD KEY k (a)", ""),
    ("unique_added", "(a INT, KEY k (a))", "DROP KEY k, ADD UNIQUE KEY k (a)", ""),
    ("fulltext_lost", "(a TEXT, FULLTEXT KEY k (a))", "DROP KEY k", ""),
    ("spatial_lost", "(a POINT NOT NULL, SPATIAL KEY k (a))", "DROP KEY k", ""),
    ("column_srid", "(a POINT SRID 4326)", "MODIFY a POINT SRID 0", "mysql"),
    ("column_squeezed", "(a TEXT COMPRESSED)", "MODIFY a TEXT", "mariadb"),
    ("reference_lost", _CHILD.replace("#", ""), "DROP FOREIGN KEY {t}_fk", ""),
    ("reference_added", "(a INT, KEY k (a))", "ADD CONSTRAINT {t}_fk FOREIGN KEY (a) REFERENCES {t}_of (id)", ""),
    ("on_delete", _CHILD.replace("#", " ON DELETE CASCADE"),
     "DROP FOREIGN KEY {t}_fk, ADD CONSTRAINT {t}_fkb FOREIGN KEY (a) REFERENCES {t}_of (id) ON DELETE SET NULL", ""),
    ("reference_column", _CHILD.replace("#", ""),
     "DROP FOREIGN KEY {t}_fk, ADD CONSTRAINT {t}_fkb FOREIGN KEY (b) REFERENCES {t}_of (id)", ""),
    ("partition_bound", _PARTED.format("PARTITION p1 VALUES LESS THAN (20)"),
     "REORGANIZE PARTITION p1 INTO (PARTITION p1 VALUES LESS THAN (21))", ""),
    ("partition_added", _PARTED.format("PARTITION p1 VALUES LESS THAN (20)"),
     "ADD PARTITION (PARTITION p2 VALUES LESS THAN MAXVALUE)", ""),
    ("partition_lost", _PARTED.format("PARTITION p1 VALUES LESS THAN (20)"), "DROP PARTITION p1", ""),
    ("partition_renamed", _PARTED.format("PARTITION p1 VALUES LESS THAN (20)"),
     "REORGANIZE PARTITION p1 INTO (PARTITION p2 VALUES LESS THAN (20))", ""),
    ("partitions_none", _PARTED.format("PARTITION p1 VALUES LESS THAN (20)"), "REMOVE PARTITIONING", ""),
    ("partitions_more", "(id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 2", "ADD PARTITION PARTITIONS 1", ""),
    ("versioned_no_more", "(a INT) WITH SYSTEM VERSIONING", "DROP SYSTEM VERSIONING", "mariadb"),
    ("period_lost", "(s DATE, e DATE, PERIOD FOR p (s, e))", "DROP PERIOD FOR p", "mariadb"),
)  # fmt: skip


def _tables() -> Iterator[Change]:
    for name, body, change, only in _TABLES:
        text, alter = body.replace("{t}", name), change.replace("{t}", name)
        referred = [f"CREATE TABLE {name}_of (id INT PRIMARY KEY)"] if f"{name}_of" in text + alter else []
        yield Change(
            name=name,
            make=(*referred, f"CREATE TABLE {name} {text}"),
            change=(f"ALTER TABLE {name} {alter}",),
            differing=(("table", name),),
            only=only,
        )
    for name, make, change, altered in (
        ("primary_lost", "CREATE TABLE primary_lost (a INT PRIMARY KEY)", "ALTER TABLE primary_lost DROP PRIMARY KEY",
         ("primary_lost",)),
        ("table_lost", "CREATE TABLE table_lost (a INT)", "DROP TABLE table_lost", ("table_lost",)),
        ("table_added", "DO 0", "CREATE TABLE table_added (a INT)", ("table_added",)),
        ("table_renamed", "CREATE TABLE table_renamed (a INT)", "RENAME TABLE table_renamed TO table_renamed_to",
         ("table_renamed", "table_renamed_to")),
    ):  # fmt: skip
        differing = tuple((kind, table) for kind in ("rows", "table") for table in altered)
        yield Change(name=name, make=(make,), change=(change,), differing=differing)


def drill_of_all(server: MariaDB, changes: Sequence[Change], store: str) -> DrillResult:
    """A drill of a backup of all objects, with every change made to what was restored; without them it passes."""
    database = "mutations"
    server.rows(f"CREATE DATABASE {database} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci")
    try:
        run(server, database, [change.make for change in changes])
        record = holdfast.backup(server.url(database), store=store, proof=True)
        clean = holdfast.drill(record.id, store=store, into=server.url())
        assert (clean.passed, clean.state, clean.problems) == (True, "proven", ())

        def apply(url: str) -> None:
            run(server, url.rpartition("/")[2], [change.change for change in changes])

        return drill_mutated(record.id, store, apply, into=server.url())
    finally:
        server.rows(f"DROP DATABASE {database}")
