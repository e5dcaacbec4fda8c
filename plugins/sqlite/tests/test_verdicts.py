"""Damage, faults of the content, and what cannot be checked are three answers, and only the first is damage."""

import os
import re
import sqlite3
import struct
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.errors import IntegrityError
from holdfast_sqlite.child.check import quick_check

WRITABLE = "PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = '{}' WHERE name = '{}';"


def make(path: Path, script: str) -> Path:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.create_function("mine", -1, lambda *values: values[0], deterministic=True)
        connection.create_collation("ours", lambda a, b: (a > b) - (a < b))
        connection.executescript(script)
    return path


def drilled(source: Path, backups: Any, **options: Any) -> tuple[holdfast.Backup, holdfast.DrillResult]:
    """Back up, drill, and restore to the byte: whatever is said, nothing may keep a sound file from that."""
    record = backups.make(source, **options)
    assert record.state == "complete"
    result = holdfast.drill(record, store=str(backups.store))
    assert (result.passed, result.state, result.problems) == (True, "proven", ())
    assert backups.restore(record, source.with_suffix(".copy")).read_bytes() == source.read_bytes()
    return record, result


SOUND = {
    "a contentless full-text table": "CREATE VIRTUAL TABLE f USING fts4(b, content=''); "
    "INSERT INTO f(docid, b) VALUES (1, 'one');",
    "full text": "CREATE VIRTUAL TABLE f USING fts5(b, tokenize='trigram'); INSERT INTO f VALUES ('one two');",
    "full text of another table": "CREATE TABLE d(id INTEGER PRIMARY KEY, b); INSERT INTO d VALUES (1, 'x'); "
    "CREATE VIRTUAL TABLE f USING fts5(b, content='d', content_rowid='id'); INSERT INTO f(f) VALUES ('rebuild');",
    "full text of a table that is gone": "CREATE TABLE d(id INTEGER PRIMARY KEY, b); INSERT INTO d VALUES (1, 'x'); "
    "CREATE VIRTUAL TABLE f USING fts4(b, content='d'); INSERT INTO f(f) VALUES ('rebuild'); DROP TABLE d;",
    "words of a full-text index": "CREATE VIRTUAL TABLE f USING fts5(b); INSERT INTO f VALUES ('one'); "
    "CREATE VIRTUAL TABLE w USING fts5vocab(f, 'row');",
    "a contentless index": "CREATE VIRTUAL TABLE f USING fts5(b, content=''); INSERT INTO f(rowid, b) VALUES (1, 'x');",
    "an R-tree": "CREATE VIRTUAL TABLE r USING rtree(id, x0, x1, +name); INSERT INTO r VALUES (1, 0, 1, 'one');",
    "a tokenizer of the application's": "CREATE VIRTUAL TABLE f USING fts5(b); INSERT INTO f VALUES ('one');"
    + WRITABLE.format("CREATE VIRTUAL TABLE f USING fts5(b, tokenize=''theirs'')", "f"),
    "a module of the application's": "CREATE VIRTUAL TABLE f USING fts5(b); INSERT INTO f VALUES ('one');"
    + WRITABLE.format("CREATE VIRTUAL TABLE f USING theirs(b)", "f"),
    "a collation of the application's": "CREATE TABLE k(a TEXT COLLATE ours PRIMARY KEY) WITHOUT ROWID; "
    "INSERT INTO k VALUES ('b'), ('a'); CREATE TABLE l(a); CREATE UNIQUE INDEX l_a ON l(a COLLATE ours);",
    "functions of the application's": "CREATE TABLE g(a INT, b INT NOT NULL AS (mine(a)), c AS (mine(a)) STORED); "
    "INSERT INTO g(a) VALUES (1); CREATE INDEX g_m ON g(mine(a)); CREATE INDEX g_p ON g(a) WHERE mine(a) > 0; "
    "CREATE TABLE h(a CHECK (mine(a) > 0)); INSERT INTO h VALUES (1);",
    "a view in words of a newer SQLite": "CREATE TABLE t(a); CREATE VIEW v AS SELECT 1;"
    + WRITABLE.format("CREATE VIEW v AS SELECT group_concat(a WHATEVER BY a) FROM t", "v"),
    "a trigger in words of a newer SQLite": "CREATE TABLE t(a); "
    "CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT 1; END;"
    + WRITABLE.format("CREATE TRIGGER r AFTER WHATEVER ON t BEGIN SELECT 1; END", "r"),
    "an index in words of a newer SQLite": "CREATE TABLE t(a); CREATE INDEX i ON t(a);"
    + WRITABLE.format("CREATE INDEX i WHATEVER t(a)", "i"),
    "a table that is named like a number": "CREATE TABLE [10](a); CREATE TABLE g(a, b NOT NULL AS (mine(a)));",
    "a sequence of no table": "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO t DEFAULT VALUES; "
    "INSERT INTO sqlite_sequence VALUES ('nobody', 'not a number');",
    "statistics": "CREATE TABLE t(a); CREATE INDEX i ON t(a); INSERT INTO t VALUES (1); ANALYZE;",
    "UTF-16": "PRAGMA encoding='UTF-16be'; CREATE TABLE t(a); INSERT INTO t VALUES ('ä'), (cast(x'd800' AS TEXT));",
}


@pytest.mark.sweep(15)
@pytest.mark.parametrize("name", SOUND)
@pytest.mark.parametrize("check", [True, "full"])
def test_a_sound_database_is_proven_whatever_cannot_be_checked_of_it(
    name: str, check: Any, tmp_path: Path, backups: Any
) -> None:
    _, result = drilled(make(tmp_path / "app.db", SOUND[name]), backups, check=check)
    assert result.faults == ()


FAULTS = {
    "NULL value in t.a": "CREATE TABLE t(a); INSERT INTO t VALUES (NULL), (NULL);"
    + WRITABLE.format("CREATE TABLE t(a NOT NULL)", "t"),
    "non-INT value in t.a": "CREATE TABLE t(a ANY) STRICT; INSERT INTO t VALUES (''x'');".replace("''", "'")
    + WRITABLE.format("CREATE TABLE t(a INT) STRICT", "t"),
    "CHECK constraint failed in t": "CREATE TABLE t(a); INSERT INTO t VALUES (1);"
    + WRITABLE.format("CREATE TABLE t(a CHECK (a > 1))", "t"),
    "non-unique entry in index i": "CREATE TABLE t(a); CREATE INDEX i ON t(a); INSERT INTO t VALUES (1), (1);"
    + WRITABLE.format("CREATE UNIQUE INDEX i ON t(a)", "i"),
    "run REINDEX i in the source": "CREATE TABLE t(a); CREATE INDEX i ON t(a); INSERT INTO t VALUES (1), (2);"
    + WRITABLE.format("CREATE INDEX i ON t(-a)", "i"),
    "table t does not lie in the order of its key": "CREATE TABLE t(a PRIMARY KEY) WITHOUT ROWID; "
    "INSERT INTO t VALUES (1), (2);" + WRITABLE.format("CREATE TABLE t(a PRIMARY KEY DESC) WITHOUT ROWID", "t"),
}


VIRTUAL = {
    "fts5": "USING fts5(b); INSERT INTO f VALUES ('one two'); UPDATE f_content SET c0 = 'other';",
    "fts5 in pieces": "USING fts5(b); INSERT INTO f VALUES ('one'); UPDATE f_data SET block = x'00';",
    "fts4": "USING fts4(b); INSERT INTO f VALUES ('one two'); UPDATE f_content SET c0b = 'other';",
    "fts4 of another table": "USING fts4(b, content='d');",
    "rtree": "USING rtree(id, x0, x1); INSERT INTO f VALUES (1, 0, 1), (2, 0, 1); DELETE FROM f_rowid WHERE rowid = 2;",
}


@pytest.mark.parametrize("module", VIRTUAL)
def test_the_index_of_a_virtual_table_is_compared_at_a_drill_by_every_library(
    module: str, tmp_path: Path, backups: Any
) -> None:
    script = f"CREATE TABLE d(b); INSERT INTO d VALUES ('x'); CREATE VIRTUAL TABLE f {VIRTUAL[module]}"
    _, result = drilled(make(tmp_path / "app.db", script), backups)
    (fault,) = result.faults
    assert fault.startswith("virtual table f does not agree with its content (")
    assert ("build it anew" if module == "rtree" else "run INSERT INTO f(f) VALUES('rebuild')") in fault


TRIGRAMS = "CREATE VIRTUAL TABLE f USING fts5(a, b, tokenize={}); INSERT INTO f VALUES ('x', 'abcdef');"
TOKENIZERS = ["trigram", "'trigram case_sensitive 1'", '"trigram"']


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le"])
def test_trigrams_of_text_with_nul_that_another_version_has_made_are_no_fault_of_the_source(
    tokenizer: str, encoding: str, tmp_path: Path, backups: Any
) -> None:
    """Up to 3.46 SQLite indexes nothing after a NUL, since 3.49 it does: each finds fault with what the other made."""
    script = f"PRAGMA encoding='{encoding}'; {TRIGRAMS.format(tokenizer)}"
    script += "UPDATE f_content SET c1 = 'xyz' || char(0) || 'def'"
    _, result = drilled(make(tmp_path / "app.db", script), backups)
    assert result.faults == ()
    (warning,) = result.warnings
    assert warning.startswith("the index of virtual table f could not be checked: its text holds NUL characters")
    assert warning.endswith("run INSERT INTO f(f) VALUES('rebuild') in the source")


@pytest.mark.parametrize("encoding", ["UTF-8", "UTF-16le"])
def test_trigrams_that_do_not_agree_with_text_without_nul_are(encoding: str, tmp_path: Path, backups: Any) -> None:
    script = f"PRAGMA encoding='{encoding}'; {TRIGRAMS.format('trigram')} UPDATE f_content SET c1 = 'abc def'"
    _, result = drilled(make(tmp_path / "app.db", script), backups)
    (fault,) = result.faults
    assert fault.startswith("virtual table f does not agree with its content (")


@pytest.mark.parametrize("check", [True, "full"])
def test_what_cannot_be_checked_is_said_by_its_name(check: Any, tmp_path: Path, backups: Any) -> None:
    source = make(tmp_path / "app.db", SOUND["a tokenizer of the application's"])
    record, result = drilled(source, backups, check=check)
    said = "the index of virtual table f could not be checked: no such tokenizer: theirs"
    # The check of a source is SQLite's own, which looks for a tokenizer since 3.44.
    assert said in record.warnings or (record.warnings == () and sqlite3.sqlite_version_info < (3, 44))
    assert said in result.warnings
    assert "logic error" not in str([*record.warnings, *result.warnings])


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_of_the_content_is_said_and_kept_and_no_damage(fault: str, tmp_path: Path, backups: Any) -> None:
    record, result = drilled(make(tmp_path / "app.db", FAULTS[fault]), backups, check="full")
    assert any(fault in line for line in result.faults), result.faults
    if not fault.startswith("CHECK"):  # which SQLite looks at only where it may write
        assert any(fault in line for line in record.warnings), record.warnings


def test_every_table_with_a_fault_is_named_however_many_rows_the_first_has(tmp_path: Path, backups: Any) -> None:
    script = "CREATE TABLE t(a); CREATE TABLE u(a); CREATE TABLE v(a); INSERT INTO u VALUES (NULL); "
    script += (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 3000) INSERT INTO t SELECT NULL FROM n;"
    )
    script += "".join(WRITABLE.format(f"CREATE TABLE {name}(a NOT NULL)", name) for name in "tu")
    record, _ = drilled(make(tmp_path / "app.db", script), backups)
    assert sorted(record.warnings) == [
        "NULL value in t.a (3000 times): against the declaration of the table, kept as it is",
        "NULL value in u.a: against the declaration of the table, kept as it is",
    ]


def cut(path: Path) -> None:
    """Cut a chain of overflow pages of a table whose rows are large."""
    image = bytearray(path.read_bytes())
    for page in (300, 301, 302):
        image[(page - 1) * 4096 : (page - 1) * 4096 + 4] = struct.pack(">I", 0)
    path.write_bytes(image)


@pytest.mark.parametrize(
    "name",
    [
        "functions of the application's",
        "a tokenizer of the application's",
        "a view in words of a newer SQLite",
        "an index in words of a newer SQLite",
        "a table that is named like a number",
    ],
)
@pytest.mark.parametrize("check", [True, "full"])
def test_what_cannot_be_checked_hides_no_damage(name: str, check: Any, tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"
    script = SOUND[name].replace("PRAGMA writable_schema", "CREATE TABLE big(x); PRAGMA writable_schema")
    make(source, script if "big(" in script else f"{script} CREATE TABLE big(x);")
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.create_function("mine", -1, lambda *values: values[0], deterministic=True)
        connection.execute("PRAGMA writable_schema = ON")
        for _ in range(2):
            connection.execute("SELECT count(*) FROM sqlite_schema")
        connection.executemany("INSERT INTO big VALUES (zeroblob(?))", [(900_000,)] * 2)
    cut(source)
    with pytest.raises(IntegrityError, match="overflow list length") as failure:
        backups.make(source, check=check)
    assert "***" not in failure.value.message
    record = backups.make(source, check=check, allow_damaged=True)
    assert record.state == "damaged"


def test_a_page_that_no_tree_uses_is_damage_also_where_the_next_step_of_the_check_fails(
    tmp_path: Path, backups: Any
) -> None:
    """Python steps on before it returns a row, and loses that if the step fails: here at JSON that is none."""
    source = make(
        tmp_path / "app.db",
        "CREATE TABLE j(a, b AS (json_extract(a, '$.x')) NOT NULL); CREATE TABLE gone(a);"
        "PRAGMA ignore_check_constraints=ON; PRAGMA writable_schema=ON; DELETE FROM sqlite_schema WHERE name = 'gone';"
        "UPDATE sqlite_schema SET sql = 'CREATE TABLE j(a)' WHERE name = 'j';",
    )
    make(source, "INSERT INTO j VALUES ('no JSON');")
    make(source, WRITABLE.format("CREATE TABLE j(a, b AS (json_extract(a, ''$.x'')) NOT NULL)", "j"))
    with pytest.raises(IntegrityError, match=r"Page 3(?: is|:) never used"):
        backups.make(source)


def test_an_index_of_no_table_is_damage(tmp_path: Path, backups: Any) -> None:
    source = make(tmp_path / "app.db", "CREATE TABLE t(a); CREATE INDEX i ON t(a); PRAGMA writable_schema = ON; "
                  "DELETE FROM sqlite_schema WHERE name = 't';")  # fmt: skip
    with pytest.raises(IntegrityError, match="malformed database schema"):
        backups.make(source)


def test_a_definition_with_bytes_that_no_sql_has_is_damage(tmp_path: Path, backups: Any) -> None:
    source = make(tmp_path / "app.db", "CREATE TABLE t(a); CREATE TABLE u(abcdefgh);")
    source.write_bytes(source.read_bytes().replace(b"u(abcdefgh)", b"u(ab\x00\x01\x02\x03gh)"))
    with pytest.raises(IntegrityError, match="malformed database schema"):
        backups.make(source)


@pytest.mark.parametrize("limit", ["PRAGMA auto_vacuum = 1;", ""])
def test_trees_of_a_table_that_is_not_understood_are_not_lost_pages(limit: str, tmp_path: Path, backups: Any) -> None:
    script = f"{limit} CREATE TABLE t(a); CREATE TABLE u(a); CREATE INDEX u_a ON u(a);"
    script += "INSERT INTO u VALUES (zeroblob(50000));"
    source = make(tmp_path / "app.db", script + WRITABLE.format("CREATE TABLE u WHATEVER(a)", "u"))
    record = backups.make(source)
    assert record.state == "complete"
    assert any("cannot read the definition of u: near" in line for line in record.warnings), record.warnings
    assert backups.restore(record, tmp_path / "copy.db").read_bytes() == source.read_bytes()


LATIN = {
    "column": b'create table t(id integer primary key, "pr\xe9nom" text); insert into t values(1, "x");',
    "default": b"create table t(id integer primary key, a text default 'caf\xe9'); insert into t(id) values(1);",
    "table": b'create table "caf\xe9"(a); insert into "caf\xe9" values(1),(2); create index "i\xe9" on "caf\xe9"(a);'
    b'create view "v\xe9" as select * from "caf\xe9";',
    "generated": b'create table g(a, "g\xe9" as (a + 1), "h\xe9" text); insert into g values (1, 2);',
    "two that read the same": b'create table "a\xe9"(a); create table "a\\xe9"(a); insert into "a\xe9" values(1);',
}


@pytest.mark.parametrize("name", LATIN)
@pytest.mark.parametrize("proof", [None, True])
def test_names_and_definitions_of_any_bytes_are_proven(name: str, proof: Any, tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"
    subprocess.run(["sqlite3", os.fspath(source)], input=LATIN[name], check=True)
    record, result = drilled(source, backups, proof=proof)
    assert record.warnings == ()
    assert result.compared > 4


def test_only_trees_and_lists_of_a_check_are_damage(tmp_path: Path) -> None:
    """The words of SQLite 3.37 to 3.54, whichever of them this library has."""
    path = make(tmp_path / "app.db", 'CREATE TABLE t(a); CREATE INDEX "my index" ON t(a); CREATE TABLE u(b)')
    rows: dict[str, Callable[[Any], list[str]]] = {
        "*** in database main ***\nPage 4 is never used": lambda verdict: verdict.damage,
        "*** in database main ***\nTree 2 page 2 cell 0: Rowid 5 out of order": lambda verdict: verdict.damage,
        "row 3 missing from index my index": lambda verdict: verdict.faults,
        "row 3 values differ from index my index": lambda verdict: verdict.faults,
        "rowid not at end-of-record for row 3 of index my index": lambda verdict: verdict.faults,
        "wrong # of entries in index my index": lambda verdict: verdict.faults,
        "index my index stores an imprecise floating-point value for row 7": lambda verdict: verdict.faults,
        "non-unique entry in index my index": lambda verdict: verdict.faults,
        "NUMERIC value in t.a": lambda verdict: verdict.faults,
        "TEXT value in t.a": lambda verdict: verdict.faults,
        "malformed inverted index for FTS5 table main.t": lambda verdict: verdict.faults,
        'fts5: checksum mismatch for table "t"': lambda verdict: verdict.faults,
        "unable to validate the inverted index for FTS4 table main.t: database disk image is malformed":
            lambda verdict: verdict.faults,
        "In RTree main.t:\nNode 1 is too small": lambda verdict: verdict.faults,
        "something that a module says": lambda verdict: verdict.faults,
        "unable to validate the inverted index for FTS4 table main.t: SQL logic error":
            lambda verdict: verdict.unchecked,
        "ok": lambda verdict: [] if verdict.damage or verdict.faults or verdict.unchecked else ["ok"],
    }  # fmt: skip
    for row, answer in rows.items():
        with closing(sqlite3.connect(path)) as connection:
            verdict = quick_check(connection, header=b"")
            verdict.add(row, trees=True)
            assert not re.search(r"FTS\d table|fts5:", row) or "virtual table t" in str(answer(verdict))
            assert len(answer(verdict)) == 1, row
            assert len([*verdict.damage, *verdict.faults, *verdict.unchecked]) == (row != "ok"), row
            assert "***" not in "".join(verdict.damage)
