"""A script that is listed loads, here and in the `sqlite3` shell, with nothing of the application that made it."""

import json
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from holdfast.api import HoldfastError

Picture = Callable[..., dict[str, Any]]


def build(path: Path, sql: str) -> None:
    """Make a database with the functions and collations of an application."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.create_function("double", 1, lambda number: number and 2 * number, deterministic=True)
        connection.create_collation("unicase", lambda a, b: (a.lower() > b.lower()) - (a.lower() < b.lower()))
        connection.executescript(sql)


def edited(table: str, sql: str) -> str:
    """What changes a definition under the rows of its table, as SQLite's page on ALTER TABLE shows it."""
    quoted = sql.replace("'", "''")
    return (
        "PRAGMA writable_schema=ON;"
        f"UPDATE sqlite_schema SET sql='{quoted}' WHERE type='table' AND name='{table}';"
        "PRAGMA writable_schema=RESET;"
    )


def by_script(source: Path, tmp_path: Path, backups: Any) -> tuple[Any, Path, Path]:
    """Back up as a script; the record, and the databases that `holdfast restore` and the shell make of it."""
    record = backups.make(source, options={"format": "sql"}, check=False)
    loaded = backups.restore(record, tmp_path / "loaded.db", check=False)
    shell = tmp_path / "shell.db"
    command = ["sqlite3", "-bail", str(shell)]
    done = subprocess.run(command, input=backups.image(record), check=True, capture_output=True)
    assert done.stderr == b""
    return record, loaded, shell


UNFIT = {
    "NULL in NOT NULL": "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, NULL), (2, 'x');"
    + edited("t", "CREATE TABLE t(id INTEGER PRIMARY KEY, a TEXT NOT NULL)"),
    "a number in a column of text": "CREATE TABLE t(a INTEGER, b); INSERT INTO t VALUES (5, 1.5), ('x', 7);"
    + edited("t", "CREATE TABLE t(a TEXT, b VARCHAR(9) DEFAULT '')"),
    "texts that read as numbers": "CREATE TABLE t(a, b, c); INSERT INTO t VALUES ('5', ' 1e3 ', '0.5'), ('x', '', '');"
    + edited("t", "CREATE TABLE t(a INT, b NUMERIC, c REAL)"),
    "a whole number that is real": "CREATE TABLE t(a, b); INSERT INTO t VALUES (5.0, -0.0);"
    + edited("t", "CREATE TABLE t(a INTEGER, b DECIMAL)"),
    "types against STRICT": "CREATE TABLE t(a, b, c); INSERT INTO t VALUES ('five', 5, x'05'), (1, 'x', 1.5);"
    + edited("t", "CREATE TABLE t(a INTEGER NOT NULL, b TEXT, c REAL) STRICT"),
    "STRICT without a rowid": (
        "CREATE TABLE t(a, b, c, PRIMARY KEY (b, a)) WITHOUT ROWID; INSERT INTO t VALUES (1, 2, 3);"
    )
    + edited("t", "CREATE TABLE t(a TEXT, b INT, c TEXT, PRIMARY KEY (b, a)) STRICT, WITHOUT ROWID"),
    "a stored column that was computed otherwise": (
        "CREATE TABLE t(a INT, b INT AS (a + 1) STORED, c AS (a * 2), d);"
        "INSERT INTO t(a, d) VALUES (1, 'd'), (2, 'e');"
        + edited("t", "CREATE TABLE t(a INT, b INT AS (a + 2) STORED, c AS (a * 2), d)")
    ),
    "AUTOINCREMENT, foreign keys and defaults": (
        "CREATE TABLE p(id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO p VALUES (99); DELETE FROM p;"
        "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, a, p INT REFERENCES p(id), d DEFAULT (1 + 1));"
        "INSERT INTO t(a, p) VALUES (1, 7), (2, 8); DELETE FROM t WHERE id = 2;"
        + edited(
            "t",
            "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT, p INT REFERENCES p(id), d DEFAULT (1 + 1))",
        )
    ),
    "unfit, with constraints that have indexes": (
        "CREATE TABLE t(k INT PRIMARY KEY, a COLLATE NOCASE UNIQUE, b, c, UNIQUE (b, c COLLATE RTRIM));"
        "INSERT INTO t VALUES (1, 'A', 2, 'c '), (2, NULL, 2, 'd'); CREATE INDEX i ON t(c DESC);"
        + edited(
            "t",
            "CREATE TABLE t(k INT PRIMARY KEY, a COLLATE NOCASE UNIQUE, b TEXT, c, UNIQUE (b, c COLLATE RTRIM))",
        )
    ),
    "the same twice in a unique index": (
        "CREATE TABLE t(a); INSERT INTO t VALUES (1), (1), (NULL), (NULL); CREATE INDEX i ON t(a);"
        "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql='CREATE UNIQUE INDEX i ON t(a)' WHERE name='i';"
        "PRAGMA writable_schema=RESET;"
    ),
    "the same twice in a unique index of expressions": (
        "CREATE TABLE t(a); INSERT INTO t VALUES (1), (-1); CREATE INDEX i ON t(abs(a)) WHERE a <> 7;"
        "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql='CREATE UNIQUE INDEX i ON t(abs(a)) WHERE a <> 7'"
        " WHERE name='i'; PRAGMA writable_schema=RESET;"
    ),
    "the same twice in a unique column": (
        "CREATE TABLE t(a, b); INSERT INTO t VALUES (1, 'x'), (1, 'y'); CREATE INDEX i ON t(a);"
        "PRAGMA writable_schema=ON; UPDATE sqlite_schema SET sql=NULL, name='sqlite_autoindex_t_1' WHERE name='i';"
        + edited("t", "CREATE TABLE t(a UNIQUE ON CONFLICT REPLACE, b)")
    ),
}


@pytest.mark.parametrize("name", UNFIT)
def test_rows_that_do_not_fit_their_definition_come_back_as_they_are(
    name: str, tmp_path: Path, backups: Any, picture: Picture
) -> None:
    source = tmp_path / "unfit.db"
    build(source, UNFIT[name])
    record, loaded, shell = by_script(source, tmp_path, backups)
    assert record.warnings == ()
    expected = picture(source, layout=False)
    assert picture(loaded, layout=False) == expected
    assert picture(shell, layout=False) == expected


CARRIED = {
    "a CHECK": "CREATE TABLE t(a INTEGER PRIMARY KEY, n CHECK (double(n) < 100)); INSERT INTO t VALUES (1, 2), (2, 3);",
    "generated columns": (
        "CREATE TABLE t(a, b AS (double(a)) STORED, c AS (double(a)), d); INSERT INTO t(a, d) VALUES (1, 7);"
    ),
    "the collation of a column": (
        "CREATE TABLE t(a TEXT COLLATE unicase, b UNIQUE); INSERT INTO t VALUES ('x', 1), ('Y', 2);"
    ),
    "a view": "CREATE TABLE t(a); INSERT INTO t VALUES (1); CREATE VIEW v AS SELECT double(a) FROM t;",
    "triggers, as those of a GeoPackage": (
        "CREATE TABLE t(a); INSERT INTO t VALUES (1); CREATE TRIGGER r AFTER INSERT ON t "
        "WHEN (new.a NOT NULL AND NOT ST_IsEmpty(new.a)) BEGIN INSERT INTO t VALUES (ST_MinX(new.a)); END;"
    ),
    "a module": (
        "CREATE TABLE shape(a); INSERT INTO shape VALUES (1); PRAGMA writable_schema=ON;"
        "INSERT INTO sqlite_schema(type, name, tbl_name, rootpage, sql) VALUES "
        "('table', 'e', 'e', 0, 'CREATE VIRTUAL TABLE e USING vec0(v float[4])');"
    ),
    "a tokenizer": (
        "CREATE VIRTUAL TABLE f USING fts5(a); INSERT INTO f VALUES ('word'); PRAGMA writable_schema=ON;"
        "UPDATE sqlite_schema SET sql='CREATE VIRTUAL TABLE f USING fts5(a, tokenize=''icu de'')' WHERE name='f';"
    ),
}


@pytest.mark.parametrize("name", CARRIED)
def test_what_only_the_application_can_compute_is_loaded_without_it(
    name: str, tmp_path: Path, backups: Any, picture: Picture
) -> None:
    source = tmp_path / "own.db"
    build(source, CARRIED[name])
    record, loaded, shell = by_script(source, tmp_path, backups)
    assert not [warning for warning in record.warnings if "needs what its application has" in warning]

    def content(path: Path) -> dict[str, Any]:
        with closing(sqlite3.connect(path)) as connection:
            schema = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2").fetchall()
            rows = {
                table: connection.execute(f'SELECT * FROM "{table}"').fetchall()
                for kind, table, _, sql in schema
                if kind == "table" and "VIRTUAL" not in sql and " AS (" not in sql
            }
        return {"schema": schema, "rows": rows}

    assert content(loaded) == content(source)
    assert content(shell) == content(source)


def test_values_that_nobody_here_can_compute_anew_are_written_as_they_are_stored(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "own.db"
    build(source, CARRIED["generated columns"])
    _, loaded, shell = by_script(source, tmp_path, backups)
    for path in (loaded, shell):
        with closing(sqlite3.connect(path)) as connection:
            assert connection.execute("SELECT a, b, d FROM t").fetchall() == [(1, 2, 7)]


@pytest.mark.parametrize(
    ("index", "missing"),
    [
        ("CREATE INDEX i ON t(double(a))", "no such function: double"),
        ("CREATE INDEX i ON t(a) WHERE double(a) > 1", "no such function: double"),
        ("CREATE UNIQUE INDEX i ON t(b)", "no such collation sequence: unicase"),
    ],
)
def test_an_index_that_only_the_application_can_make_is_told_of_and_comes_last(
    index: str, missing: str, tmp_path: Path, backups: Any
) -> None:
    source = tmp_path / "own.db"
    build(
        source,
        f"CREATE TABLE t(a, b COLLATE unicase); INSERT INTO t VALUES (1, 'x'), (2, 'y'); {index}; "
        "CREATE VIEW v AS SELECT a FROM t;",
    )
    record = backups.make(source, options={"format": "sql"})
    assert any(f"index 'i' needs what its application has ({missing})" in warning for warning in record.warnings)
    manifest = json.loads((Path(record.path) / "backup_manifest.json").read_text())
    assert manifest["hints"]["needs"] == [{"kind": "index", "name": "i", "needs": missing}]
    with pytest.raises(HoldfastError, match=missing) as failure:
        backups.restore(record, tmp_path / "loaded.db")
    assert failure.value.exit_code == 1
    assert "--load-extension" in str(failure.value.hint)
    assert not (tmp_path / "loaded.db").exists()
    shell = tmp_path / "shell.db"
    command = ["sqlite3", "-bail", str(shell)]
    done = subprocess.run(command, input=backups.image(record), capture_output=True, check=False)
    assert done.returncode == 1
    assert missing in done.stderr.decode()
    with closing(sqlite3.connect(shell)) as connection:
        assert connection.execute("SELECT a, b FROM t").fetchall() == [(1, "x"), (2, "y")]
        assert connection.execute("SELECT name FROM sqlite_schema").fetchall() == [("t",), ("v",)]


@pytest.mark.parametrize(
    "table",
    [
        "CREATE TABLE t(a TEXT COLLATE unicase PRIMARY KEY) WITHOUT ROWID",
        "CREATE TABLE t(a TEXT COLLATE unicase UNIQUE)",
        "CREATE TABLE t(a, b AS (double(a)) UNIQUE)",
    ],
)
def test_a_table_that_the_shell_would_drop_is_refused(table: str, tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "own.db"
    build(source, f"{table}; INSERT INTO t(a) VALUES ('x'), ('Y');")
    with pytest.raises(HoldfastError, match="table 't' would not be loaded") as failure:
        backups.make(source, options={"format": "sql"})
    assert failure.value.exit_code == 1
    assert "format=image" in str(failure.value.hint)
    assert "--load-extension" in str(failure.value.hint)


MISREAD = {
    "a word in a comment": (
        "CREATE TABLE u(id INTEGER PRIMARY KEY AUTOINCREMENT); INSERT INTO u VALUES (4); DROP TABLE u;"
        "CREATE TABLE t(id INTEGER PRIMARY KEY /* autoincrement, WITHOUT ROWID */, x DEFAULT 'AS (VIRTUAL)');"
        "INSERT INTO t VALUES (1, 2);"
    ),
    "comments that do not end": "CREATE TABLE t(a); CREATE INDEX i ON t(a) -- all\n; CREATE VIEW v AS SELECT 1 /* open",
    "lines that end a statement for the shell": (
        "CREATE TABLE t(a,\n'go' DEFAULT (4\n/\n2)\n); INSERT INTO t(a) VALUES ('x\ngo\n;');"
        "CREATE VIEW v AS SELECT 4\n/\n2 AS x; CREATE VIEW w AS SELECT 1 AS\ngo\n;"
    ),
    "the name of a table that is a number": (
        'CREATE TABLE "5"(a UNIQUE); INSERT INTO "5" VALUES (1); CREATE UNIQUE INDEX "6" ON "5"(a + 1);'
    ),
    "words that are no keywords there": (
        'CREATE TABLE "AS"("AS" TEXT DEFAULT \' AS (1)\', "GENERATED" INT AS (1) STORED, "," TEXT);'
        'INSERT INTO "AS"("AS") VALUES (\'5\');'
    ),
    "an index that does not hold all rows": (
        "CREATE TABLE t(a UNIQUE, b); INSERT INTO t VALUES (1, 2), (3, 4);"
        "CREATE INDEX i ON t(a, b) WHERE a > 1; PRAGMA writable_schema=ON;"
        "UPDATE sqlite_schema SET sql='CREATE INDEX i ON t(a, b)' WHERE name='i';"
    ),
}


@pytest.mark.parametrize("name", MISREAD)
def test_what_a_definition_says_is_not_guessed(name: str, tmp_path: Path, backups: Any, picture: Picture) -> None:
    source = tmp_path / "misread.db"
    build(source, MISREAD[name])
    _, loaded, shell = by_script(source, tmp_path, backups)
    assert picture(loaded, layout=False) == picture(source, layout=False)
    assert picture(shell, layout=False) == picture(source, layout=False)


def test_tables_beyond_those_that_are_tried_together_come_back_with_all_that_belongs_to_them(
    tmp_path: Path, backups: Any
) -> None:
    """A trial has a database for each few hundred tables: here several, with a counter in the first and the last."""
    source = tmp_path / "many.db"
    tables = "".join(
        f"CREATE TABLE t{number}(id INTEGER PRIMARY KEY {'AUTOINCREMENT' if number % 449 == 0 else ''}, a TEXT);"
        f"INSERT INTO t{number} VALUES (1, 'x'), (2, 'x');"
        f"CREATE INDEX i{number} ON T{number}(a);"
        f"CREATE VIEW v{number} AS SELECT a FROM t{449 - number};"
        f"CREATE TRIGGER g{number} INSTEAD OF INSERT ON V{number} BEGIN DELETE FROM t{449 - number}; END;"
        for number in range(450)
    )
    unique = "CREATE UNIQUE INDEX i430 ON t430(a)"
    repeated = "PRAGMA writable_schema=ON;" + f"UPDATE sqlite_schema SET sql='{unique}' WHERE name='i430';"
    build(source, f"BEGIN; {tables} COMMIT; ANALYZE; {repeated}")
    _, loaded, shell = by_script(source, tmp_path, backups)

    def content(path: Path) -> list[Any]:
        with closing(sqlite3.connect(path)) as connection:
            schema = connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2").fetchall()
            names = [name for kind, name, _, _ in schema if kind == "table"]
            return [schema, *(connection.execute(f"SELECT * FROM {name} ORDER BY 1, 2").fetchall() for name in names)]

    expected = content(source)
    assert content(loaded) == expected
    assert content(shell) == expected
