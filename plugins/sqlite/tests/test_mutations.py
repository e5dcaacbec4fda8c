"""A drill names the object that is not as recorded, whatever was changed."""

import random
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.mutations import Mutation, assert_named

import holdfast
from holdfast.testing.drills import drill_mutated
from holdfast_sqlite.location.path import database_path

Sample = Callable[..., None]


WRITABLE = "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET {}; PRAGMA writable_schema = RESET"
MUTATIONS = [
    Mutation("one digit of a real", "UPDATE customer SET balance = balance + 1e-12 WHERE id = 8", "table customer"),
    Mutation("a bit of a blob", "UPDATE customer SET photo = x'00' || substr(photo, 2) WHERE id = 3", "table customer"),
    Mutation("a blob cut", "UPDATE customer SET photo = substr(photo, 2) WHERE id = 2", "table customer"),
    Mutation("NULL for an empty text", "UPDATE customer SET note = '' WHERE id = 1", "table customer"),
    Mutation("a value for NULL", "UPDATE customer SET note = NULL WHERE id = 2", "table customer"),
    Mutation("case of a NOCASE text", "UPDATE customer SET name = upper(name) WHERE id = 9", "table customer"),
    Mutation("a trailing space", "UPDATE customer SET note = note || ' ' WHERE id = 2", "table customer"),
    Mutation("a row lost", "DELETE FROM customer WHERE id = 60", "table customer: 60 rows recorded, 59 rows found"),
    Mutation("a row added", "INSERT INTO customer (name) VALUES ('new')", "table customer: 60 rows recorded, 61"),
    Mutation("a row twice", "INSERT INTO heap SELECT value FROM heap LIMIT 1", "table heap: 202 rows recorded"),
    Mutation("a key changed", "UPDATE customer SET id = 1000 WHERE id = 60", "table customer"),
    Mutation("two values swapped", "UPDATE pair SET a = 'a1' WHERE b = 'b0'", "table pair"),
    Mutation("integer for real", "UPDATE \"odd \"\"name\"\" too\" SET \"a b\" = 1.0 WHERE \"a b\" = 1", "odd"),
    Mutation("integer for text", "UPDATE \"odd \"\"name\"\" too\" SET \"a b\" = 1 WHERE \"c'd\" = 'text'", "odd"),
    Mutation("text for blob", "UPDATE \"odd \"\"name\"\" too\" SET \"a b\" = '1' WHERE \"c'd\" = 'blob'", "odd"),
    Mutation("a row in an empty table", "INSERT INTO empty VALUES (NULL)", "table empty: 0 rows recorded, 1 row found"),
    Mutation("all rows lost", "DELETE FROM pair", "table pair: 200 rows recorded, 0 rows found"),
    Mutation("a number of cents", "UPDATE purchase SET cents = cents + 1 WHERE id = 77", "table purchase"),
    Mutation("a foreign key", "UPDATE purchase SET customer = 61 - customer WHERE id = 5", "table purchase"),
    Mutation("a sequence", "UPDATE sqlite_sequence SET seq = seq + 1", "table sqlite_sequence"),
    Mutation("a sequence lost", "DELETE FROM sqlite_sequence", "table sqlite_sequence: 1 row recorded, 0 rows found"),
    Mutation("text of a full-text index", "UPDATE prose SET body = 'waves brake' WHERE rowid = 2", "table prose"),
    Mutation("a document lost", "DELETE FROM prose WHERE rowid = 1", "table prose: 2 rows recorded, 1 row found"),
    Mutation("an index lost", "DROP INDEX customer_name", "index customer_name: is missing"),
    Mutation("an index added", "CREATE INDEX further ON heap (value)", "index further: was not in the source"),
    Mutation("an index on another column",
             "DROP INDEX purchase_day; CREATE INDEX purchase_day ON purchase (cents)", "index purchase_day"),
    Mutation("a partial index made whole",
             "DROP INDEX purchase_big; CREATE INDEX purchase_big ON purchase (customer, cents)", "index purchase_big"),
    Mutation("a unique index made plain", "DROP INDEX pair_n; CREATE INDEX pair_n ON pair (n)", "index pair_n"),
    Mutation("an index's collation",
             "DROP INDEX customer_name; CREATE INDEX customer_name ON customer (name COLLATE BINARY)", "customer_name"),
    Mutation("an index's direction",
             "DROP INDEX customer_name; CREATE INDEX customer_name ON customer (name DESC)", "index customer_name"),
    Mutation("a view lost", "DROP VIEW nobody", "view nobody: is missing"),
    Mutation("a view changed",
             "DROP VIEW spent; CREATE VIEW spent AS SELECT customer, max(cents) AS total FROM purchase "
             "GROUP BY customer", "view spent"),
    Mutation("a view added", "CREATE VIEW more AS SELECT 1", "view more: was not in the source"),
    Mutation("a trigger lost", "DROP TRIGGER audit", "trigger audit: is missing"),
    Mutation("a trigger changed",
             "DROP TRIGGER audit; CREATE TRIGGER audit AFTER DELETE ON purchase BEGIN INSERT INTO heap "
             "VALUES (old.id + 1); END", "trigger audit"),
    Mutation("a space in a trigger's text",
             WRITABLE.format("sql = replace(sql, 'append only', 'append  only') WHERE name = 'heap_once'"),
             "trigger heap_once"),
    Mutation("a table lost", "DROP TABLE heap", "table definition heap: is missing"),
    Mutation("an empty table lost", "DROP TABLE empty", "table definition empty: is missing"),
    Mutation("a table added", "CREATE TABLE another (x)", "table definition another: was not in the source"),
    Mutation("a column added", "ALTER TABLE empty ADD COLUMN y", "table definition empty"),
    Mutation("a column lost", "ALTER TABLE pair RENAME COLUMN a TO z", "table definition pair"),
    Mutation("a table renamed", "ALTER TABLE empty RENAME TO void", "table definition void: was not in the source"),
    Mutation("a column's type",
             WRITABLE.format("sql = replace(sql, 'cents INTEGER', 'cents NUMERIC') WHERE name = 'purchase'"),
             "table definition purchase"),
    Mutation("a column's collation",
             WRITABLE.format("sql = replace(sql, 'COLLATE NOCASE', 'COLLATE RTRIM ') WHERE name = 'customer'"),
             "table definition customer"),
    Mutation("a default", WRITABLE.format("sql = replace(sql, 'a  b', 'a b') WHERE name = 'customer'"),
             "table definition customer"),
    Mutation("a check constraint",
             WRITABLE.format("sql = replace(sql, 'length(name) > 0', 'length(name) > 1') WHERE name = 'customer'"),
             "table definition customer"),
    Mutation("NOT NULL gone", WRITABLE.format("sql = replace(sql, 'INTEGER NOT NULL', 'INTEGER') WHERE "
                                              "name = 'purchase'"), "table definition purchase"),
    Mutation("a foreign key's target",
             WRITABLE.format("sql = replace(sql, 'REFERENCES customer', 'REFERENCES heap') WHERE name = 'purchase'"),
             "table definition purchase"),
    Mutation("the last bit of a real", "UPDATE customer SET balance = 0.28571428571428575 WHERE id = 3",
             "table customer"),
    Mutation("an infinite real", "UPDATE customer SET balance = 9e999 WHERE id = 3", "table customer"),
    Mutation("a large integer", "UPDATE purchase SET cents = 9223372036854775807 WHERE id = 3", "table purchase"),
    Mutation("a NUL behind a text", "UPDATE customer SET note = note || char(0) WHERE id = 3", "table customer"),
    Mutation("an accent", "UPDATE purchase SET at = replace(at, 'T', char(84, 769)) WHERE id = 3", "table purchase"),
    Mutation("a zero behind a blob", "UPDATE customer SET photo = cast(photo || x'00' AS BLOB) WHERE id = 3",
             "table customer"),
    Mutation("a border between columns", "UPDATE pair SET a = 'a', b = '0' || b WHERE b = 'b0'", "table pair"),
    Mutation("columns swapped", "UPDATE pair SET a = b, b = a WHERE n = 3", "table pair"),
    Mutation("rows swapped", "UPDATE purchase SET at = '2026-11-' || (33 - id) || 'T10:00:00Z' WHERE id IN (16, 17)",
             "table purchase"),
    Mutation("one pair of numbers for another",
             "UPDATE purchase SET cents = cents + CASE id WHEN 1 THEN 1 ELSE -1 END WHERE id IN (1, 2)",
             "table purchase"),
    Mutation("a partial index's condition",
             "DROP INDEX purchase_big; CREATE INDEX purchase_big ON purchase (customer, cents) WHERE cents > 501",
             "index purchase_big"),
    Mutation("an index's formula",
             "DROP INDEX purchase_day; CREATE INDEX purchase_day ON purchase (substr(at, 1, 11))",
             "index purchase_day"),
    Mutation("the order of an index's columns",
             "DROP INDEX purchase_big; CREATE INDEX purchase_big ON purchase (cents, customer) WHERE cents > 500",
             "index purchase_big"),
    Mutation("a plain index made unique", "DROP INDEX purchase_day; CREATE UNIQUE INDEX purchase_day ON purchase (id)",
             "index purchase_day"),
    Mutation("a trigger's moment",
             "DROP TRIGGER audit; CREATE TRIGGER audit BEFORE DELETE ON purchase BEGIN INSERT INTO heap VALUES "
             "(old.id); "
             "END", "trigger audit"),
    Mutation("a trigger's condition",
             "DROP TRIGGER audit; CREATE TRIGGER audit AFTER DELETE ON purchase WHEN old.id > 0 BEGIN INSERT INTO heap "
             "VALUES (old.id); END", "trigger audit"),
    Mutation("a view's column", "DROP VIEW nobody; CREATE VIEW nobody AS SELECT id FROM customer WHERE 0",
             "view nobody"),
    Mutation("a full-text table's tokens",
             "DROP TABLE prose; CREATE VIRTUAL TABLE prose USING fts5(title, body, tokenize = porter); INSERT INTO "
             "prose "
             "VALUES ('kelp', 'holdfasts grip rock'), ('storm', 'waves break')", "table definition prose"),
    Mutation("a counter's rule", WRITABLE.format("sql = replace(sql, ' AUTOINCREMENT', '') WHERE name = 'customer'"),
             "table definition customer"),
    Mutation("a generated column's formula",
             WRITABLE.format("sql = replace(sql, '/ 100.0', '/ 10.00') WHERE name = 'purchase'"),
             "table definition purchase"),
    Mutation("a foreign key's action",
             WRITABLE.format("sql = replace(sql, 'REFERENCES customer', 'REFERENCES customer ON DELETE CASCADE')"
                             " WHERE name = 'purchase'"), "table definition purchase"),
    Mutation("a strict table made lax", WRITABLE.format("sql = replace(sql, ' STRICT', '') WHERE name LIKE 'odd%'"),
             "table definition 'odd"),
    Mutation("user_version", "PRAGMA user_version = 4", "pragma user_version"),
    Mutation("application_id", "PRAGMA application_id = 0", "pragma application_id"),
]  # fmt: skip


@pytest.fixture(scope="module")
def backup(tmp_path_factory: pytest.TempPathFactory, make_sample: Sample) -> tuple[holdfast.Backup, str]:
    """One backup of the sample for all mutations: a drill never changes it."""
    folder = tmp_path_factory.mktemp("mutations")
    make_sample(folder / "sample.db")
    return holdfast.backup(f"sqlite:///{folder}/sample.db", store=str(folder / "store")), str(folder / "store")


def by_sql(sql: str, url: str) -> None:
    with closing(sqlite3.connect(database_path(url))) as db:
        db.executescript(sql)


@pytest.mark.parametrize("mutation", MUTATIONS, ids=str)
def test_the_drill_names_what_was_changed(mutation: Mutation, backup: tuple[holdfast.Backup, str]) -> None:
    record, store = backup
    before = {}

    def apply(url: str) -> None:
        before["image"] = Path(database_path(url)).read_bytes()
        by_sql(mutation.sql, url)
        assert Path(database_path(url)).read_bytes() != before["image"], "the mutation changed nothing"

    assert_named(drill_mutated(record.id, store, apply), mutation.names)


@pytest.mark.parametrize("seed", range(16))
def test_the_drill_names_the_table_in_which_one_bit_of_the_file_turned(
    seed: int, backup: tuple[holdfast.Backup, str]
) -> None:
    record, store = backup
    chance = random.Random(seed)
    marker, names = chance.choice([
        (b"note-%04d" % chance.choice([1, 2, 3, 4, 6, 7]), "table customer"),
        (b"2026-11-%02dT10:00" % chance.randrange(1, 28), "table purchase"),
        (b"@mail.example", "customer"),  # in the table or in the index of its UNIQUE constraint
        (b"waves break", "table prose"),
    ])  # fmt: skip

    def apply(url: str) -> None:
        image = bytearray(Path(database_path(url)).read_bytes())
        offsets = [at for at in range(len(image)) if image.startswith(marker, at)]
        image[chance.choice(offsets) + chance.randrange(len(marker))] ^= 1 << chance.randrange(7)
        Path(database_path(url)).write_bytes(image)

    assert_named(drill_mutated(record.id, store, apply), names)


def test_a_bit_that_turned_where_no_row_is_stored_is_found_as_well(backup: tuple[holdfast.Backup, str]) -> None:
    record, store = backup

    def apply(url: str) -> None:
        with open(database_path(url), "r+b") as file:
            file.seek(80)  # reserved in the header: SQLite does not look at it
            file.write(b"\1")

    assert_named(drill_mutated(record.id, store, apply), "stream database")
