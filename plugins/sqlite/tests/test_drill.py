"""A drill proves a sound SQLite backup, and names the object that is not as recorded, whatever was changed."""

import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from mutations import Mutation, assert_named, forge

import holdfast
from holdfast.api import HoldfastError, UsageError
from holdfast.testing.drills import drill_mutated
from holdfast_sqlite.location.path import database_path

SCHEMA = """
PRAGMA application_id = 4711; PRAGMA user_version = 3;
CREATE TABLE customer (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL COLLATE NOCASE, email TEXT UNIQUE, balance REAL,
  photo BLOB, note TEXT DEFAULT 'a  b', CHECK (length(name) > 0)
);
CREATE TABLE purchase (
  id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customer, at TEXT, cents INTEGER,
  euros REAL GENERATED ALWAYS AS (cents / 100.0) STORED
);
CREATE TABLE pair (a TEXT, b TEXT, n INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE TABLE "odd ""name"" too" ("a b" ANY, "c'd" TEXT) STRICT;
CREATE TABLE empty (x);
CREATE TABLE heap (value);
CREATE VIRTUAL TABLE prose USING fts5(title, body);
CREATE INDEX customer_name ON customer (name);
CREATE INDEX purchase_big ON purchase (customer, cents) WHERE cents > 500;
CREATE INDEX purchase_day ON purchase (substr(at, 1, 10));
CREATE UNIQUE INDEX pair_n ON pair (n);
CREATE VIEW spent AS SELECT customer, sum(cents) AS total FROM purchase GROUP BY customer;
CREATE VIEW nobody AS SELECT * FROM customer WHERE 0;
CREATE TRIGGER audit AFTER DELETE ON purchase BEGIN INSERT INTO heap VALUES (old.id); END;
CREATE TRIGGER heap_once BEFORE UPDATE ON heap BEGIN SELECT raise(ABORT, 'append only'); END;
"""


def make(path: Path, seed: int = 1) -> None:
    chance = random.Random(seed)
    with closing(sqlite3.connect(path)) as db:
        db.executescript(SCHEMA)
        for n in range(60):
            photo = chance.randbytes(chance.choice([0, 7, 900, 9000])) if n % 3 else None
            row = (f"name-{seed}-{n:04}", f"{n}@mail.example", n / 7, photo, None if n % 5 == 0 else f"note-{n:04}")
            db.execute("INSERT INTO customer (name, email, balance, photo, note) VALUES (?, ?, ?, ?, ?)", row)
        for n in range(200):
            row = (n, chance.randrange(1, 61), f"2026-11-{n % 28 + 1:02}T10:00:00Z", chance.randrange(1000))
            db.execute("INSERT INTO purchase (id, customer, at, cents) VALUES (?, ?, ?, ?)", row)
            db.execute("INSERT INTO pair VALUES (?, ?, ?)", (f"a{n % 7}", f"b{n}", n))
            db.execute("INSERT INTO heap VALUES (?)", (chance.choice([n, n / 2, str(n), b"%d" % n, None]),))
        db.execute("""INSERT INTO "odd ""name"" too" VALUES (1, 'one'), ('1', 'text'), (x'31', 'blob'), (1.5, NULL)""")
        db.execute("INSERT INTO heap VALUES (?)", (sqlite3.Binary(b""),))
        db.execute("INSERT INTO heap VALUES (cast(x'ff41' AS TEXT))")  # text that is not UTF-8
        db.execute("INSERT INTO prose VALUES ('kelp', 'holdfasts grip rock'), ('storm', 'waves break')")
        db.commit()


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
    Mutation("text of a full-text index", "UPDATE prose SET body = 'waves brake' WHERE rowid = 2", "prose_content"),
    Mutation("a document lost", "DELETE FROM prose WHERE rowid = 1", "prose_"),
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
def backup(tmp_path_factory: pytest.TempPathFactory) -> tuple[holdfast.Backup, str]:
    """One backup of the sample for all mutations: a drill never changes it."""
    folder = tmp_path_factory.mktemp("mutations")
    make(folder / "sample.db")
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
        (b"waves break", "prose_content"),
    ])  # fmt: skip

    def apply(url: str) -> None:
        image = bytearray(Path(database_path(url)).read_bytes())
        places = [at for at in range(len(image)) if image.startswith(marker, at)]
        image[chance.choice(places) + chance.randrange(len(marker))] ^= 1 << chance.randrange(7)
        Path(database_path(url)).write_bytes(image)

    assert_named(drill_mutated(record.id, store, apply), names)


def test_a_bit_that_turned_where_no_row_is_stored_is_found_as_well(backup: tuple[holdfast.Backup, str]) -> None:
    record, store = backup

    def apply(url: str) -> None:
        with open(database_path(url), "r+b") as file:
            file.seek(80)  # reserved in the header: SQLite does not look at it
            file.write(b"\1")

    assert_named(drill_mutated(record.id, store, apply), "stream database")


def stored_image(record: holdfast.Backup) -> Path:
    (blob,) = Path(record.path).glob("database.sqlite*")
    return blob


def test_a_backup_whose_stored_data_was_forged_with_all_its_digests_is_found_out(tmp_path: Path) -> None:
    """Whoever rewrites blob, manifest digests and SHA256SUMS still has to know of the proof."""
    make(tmp_path / "sample.db")
    record = holdfast.backup(f"sqlite:///{tmp_path}/sample.db", store=str(tmp_path / "store"), codec="none")
    blob = stored_image(record)
    with closing(sqlite3.connect(blob)) as db:
        db.execute("UPDATE customer SET balance = 0 WHERE id = 8")
        db.commit()
    forge(record, "database", blob.read_bytes())
    result = drill_mutated(record.id, str(tmp_path / "store"), lambda _url: None)
    assert_named(result, "table customer: differs")
    assert {one.name for one in result.differences} == {"customer", "database"}


@pytest.mark.parametrize("seed", range(4))
def test_a_bit_that_turned_in_the_stored_blob_fails_the_drill_and_names_the_blob(seed: int, tmp_path: Path) -> None:
    make(tmp_path / "sample.db")
    record = holdfast.backup(f"sqlite:///{tmp_path}/sample.db", store=str(tmp_path / "store"))
    blob = stored_image(record)
    data = bytearray(blob.read_bytes())
    data[random.Random(seed).randrange(len(data))] ^= 4
    os.chmod(blob, 0o600)
    blob.write_bytes(data)
    result = drill_mutated(record.id, str(tmp_path / "store"), lambda _url: None)
    assert_named(result, "database")


@pytest.mark.parametrize("seed", range(3))
def test_clean_drills_raise_no_alarm_while_the_source_is_written_to(seed: int, tmp_path: Path) -> None:
    make(tmp_path / "sample.db", seed)
    with closing(sqlite3.connect(tmp_path / "sample.db")) as db:
        db.execute(f"PRAGMA journal_mode = {'WAL' if seed % 2 else 'DELETE'}")
    stop = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(tmp_path / "sample.db", timeout=30)) as db:
            n = 0
            while not stop.is_set():
                n += 1
                db.execute("INSERT INTO pair VALUES ('w', ?, ?)", (str(n), 1000 + n))
                db.execute("UPDATE customer SET balance = balance + 1, photo = zeroblob(? % 9000)", (n * 997,))
                db.execute("DELETE FROM purchase WHERE id = ?", (n % 200,))
                db.commit()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        records = [holdfast.backup(f"sqlite:///{tmp_path}/sample.db", store=str(tmp_path / "store")) for _ in range(3)]
    finally:
        stop.set()
        writer.join()
    for record in records:
        result = holdfast.drill(record.id, store=str(tmp_path / "store"))
        assert (result.passed, result.state, result.problems) == (True, "proven", ())
        assert result.compared > 20


def test_the_proof_depends_neither_on_the_order_of_rows_nor_on_the_layout_of_the_file(tmp_path: Path) -> None:
    make(tmp_path / "a.db")
    script = "".join(f"{line}\n" for line in _dump_without_virtual(tmp_path / "a.db"))
    with closing(sqlite3.connect(tmp_path / "b.db")) as db:
        db.executescript("PRAGMA page_size = 1024; PRAGMA user_version = 3; PRAGMA application_id = 4711;" + script)
        db.execute("CREATE TABLE shuffled AS SELECT value FROM heap ORDER BY random()")
        db.executescript("DROP TRIGGER heap_once; DELETE FROM heap; INSERT INTO heap SELECT value FROM shuffled;")
        db.executescript("DROP TABLE shuffled; VACUUM;")
        db.commit()

    def tables(path: Path) -> dict[str, tuple[int, str]]:
        record = holdfast.backup(f"sqlite:///{path}", store=str(tmp_path / "store"))
        manifest = json.loads(Path(record.path, "backup_manifest.json").read_text())
        objects = manifest["proof"]["objects"]
        return {one["name"]: (one["rows"], one["digest"]) for one in objects if one["kind"] == "table"}

    first, second = tables(tmp_path / "a.db"), tables(tmp_path / "b.db")
    for name in ("customer", "purchase", "pair", "heap", "empty", "sqlite_sequence", 'odd "name" too'):
        assert first[name] == second[name]


def _dump_without_virtual(path: Path) -> Iterator[str]:
    with closing(sqlite3.connect(path)) as db:
        db.text_factory = lambda raw: raw.decode(errors="surrogateescape")
        db.execute("DROP TABLE prose")
        db.execute("DELETE FROM heap WHERE value = cast(x'ff41' AS TEXT)")  # SQL text cannot hold it
        db.commit()
        yield from db.iterdump()


def test_rows_of_a_large_database_are_counted_and_digested_only_on_request(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "large.db")) as db:
        db.execute("CREATE TABLE t (x)")
        db.execute("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 50001) INSERT INTO t "
                   "SELECT i FROM n")  # fmt: skip
        db.commit()
    url, store = f"sqlite:///{tmp_path}/large.db", str(tmp_path / "store")
    found = {}
    for proof in (None, True, False):
        record = holdfast.backup(url, store=store, proof=proof)
        manifest = json.loads(Path(record.path, "backup_manifest.json").read_text())
        found[proof] = manifest["proof"] and manifest["proof"]["objects"][-1]
        expected = "verified" if proof is False else "proven"
        assert holdfast.drill(record.id, store=store).state == expected
    assert found[None] == {"kind": "table", "name": "t", "rows": 50001, "digest": ""}
    assert found[True]["rows"] == 50001
    assert len(found[True]["digest"]) == 32
    assert found[False] is None


def test_a_drill_cannot_be_sent_to_a_place_of_an_sqlite_url(tmp_path: Path) -> None:
    make(tmp_path / "sample.db")
    record = holdfast.backup(f"sqlite:///{tmp_path}/sample.db", store=str(tmp_path / "store"))
    with pytest.raises(UsageError, match="temporary file"):
        holdfast.drill(record.id, store=str(tmp_path / "store"), into=f"sqlite:///{tmp_path}")
    assert holdfast.list_backups(str(tmp_path / "store"))[0].state == "complete"


def test_a_damaged_source_stays_damaged_whatever_a_drill_says(tmp_path: Path) -> None:
    make(tmp_path / "sample.db")
    image = bytearray((tmp_path / "sample.db").read_bytes())
    at = image.index(b"name-1-0007")
    image[at : at + 11] = b"name-9-9999"  # in the table or in its index, but not in both
    (tmp_path / "sample.db").write_bytes(image)
    url, store = f"sqlite:///{tmp_path}/sample.db", str(tmp_path / "store")
    record = holdfast.backup(url, store=store)  # quick_check does not compare indexes with tables
    result = holdfast.drill(record.id, store=store)
    assert not result.passed
    assert any("integrity_check" in problem and "customer_name" in problem for problem in result.problems)
    with pytest.raises(HoldfastError, match="damaged"):
        holdfast.restore(record.id, f"sqlite:///{tmp_path}/copy.db", store=store)


def test_a_script_that_needs_its_application_is_not_drilled_and_stays_as_it_was(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.create_function("hashed", 1, len, deterministic=True)
        db.executescript("CREATE TABLE t (x); CREATE INDEX t_x ON t (hashed(x)); INSERT INTO t VALUES ('a');")
    store = str(tmp_path / "store")
    record = holdfast.backup(f"sqlite:///{tmp_path}/app.db", store=store, options={"format": "sql"})
    with pytest.raises(HoldfastError, match="no such function: hashed") as failure:
        holdfast.drill(record.id, store=store)
    assert failure.value.exit_code == 1
    assert holdfast.list_backups(store)[0].state == "complete"


def test_a_check_that_cannot_be_carried_out_says_nothing_about_the_backup(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.executescript("CREATE TABLE t (x); INSERT INTO t VALUES ('no JSON');")
        db.execute("PRAGMA writable_schema = ON")
        column = "'CREATE TABLE t (x, y AS (json_extract(x, ''$.y'')) NOT NULL)'"
        db.execute(f"UPDATE sqlite_schema SET sql = {column} WHERE name = 't'")
        db.commit()
    store = str(tmp_path / "store")
    record = holdfast.backup(f"sqlite:///{tmp_path}/app.db", store=store)
    with pytest.raises(HoldfastError, match="cannot be checked: malformed JSON") as failure:
        holdfast.drill(record.id, store=store)
    assert failure.value.exit_code == 1
    assert holdfast.list_backups(store)[0].state == "complete"


def test_a_script_that_is_not_what_was_stored_is_damaged_also_where_it_names_a_function(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.executescript("CREATE TABLE t (x); CREATE INDEX t_x ON t (lower(x)); INSERT INTO t VALUES ('a');")
    store = str(tmp_path / "store")
    options = {"format": "sql"}
    record = holdfast.backup(f"sqlite:///{tmp_path}/app.db", store=store, codec="none", options=options)
    blob = Path(record.path) / "database.sql"
    os.chmod(blob, 0o600)
    blob.write_bytes(blob.read_bytes().replace(b"lower(", b"mower("))
    result = holdfast.drill(record.id, store=store)
    assert (result.passed, result.state) == (False, "damaged")
    assert "is not what was stored" in result.problems[0]


def test_the_command_line_exits_13_and_names_the_object(tmp_path: Path) -> None:
    make(tmp_path / "sample.db")
    store = str(tmp_path / "store")
    record = holdfast.backup(f"sqlite:///{tmp_path}/sample.db", store=store)
    blob = stored_image(record)
    blob.write_bytes(blob.read_bytes()[:-10])
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", "drill", "latest", "--store", store, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 13
    assert "database.sqlite" in done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    (result,) = (line for line in lines if line["type"] == "drill")
    assert (result["passed"], result["state"]) == (False, "damaged")
