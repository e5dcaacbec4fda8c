"""Values of any length go through a script as they are, in memory that does not grow with them."""

import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

Loader = Callable[..., Path]
_MIB = 1 << 20
_LONG = _MIB + _MIB // 2 + 3

_TABLES = {
    "with a rowid": "CREATE TABLE t(x, v, y)",
    "with a key": "CREATE TABLE t(x INTEGER PRIMARY KEY, v, y)",
    "WITHOUT ROWID": "CREATE TABLE t(x PRIMARY KEY, v, y) WITHOUT ROWID",
    "indexed": "CREATE TABLE t(x, v UNIQUE, y); CREATE INDEX i ON t(length(v))",
    "computed": "CREATE TABLE t(x, v, y, n AS (length(v)) STORED, m AS (substr(v, 1, 3)))",
    "every name of the rowid taken": "CREATE TABLE t(x, v, y, rowid, oid, _rowid_)",
    "against its definition": "CREATE TABLE t(x, v, y, z NOT NULL DEFAULT 7)",
}
_VALUES = {
    "blob": bytes(range(256)) * (_LONG // 256) + b"\1\2\3",
    "text": "it's a ☃;\n" * (_LONG // 11),
    "text with NUL": "a\0" * (_LONG // 2),
    "text of DOS": "line\r\n" * (_LONG // 6),
}


def content(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        connection.text_factory = bytes
        return connection.execute("SELECT typeof(v), v, typeof(x), x, typeof(y), y FROM t ORDER BY x").fetchall()


@pytest.mark.parametrize(
    ("table", "encoding"),
    [*((table, "UTF-8") for table in _TABLES), ("with a rowid", "UTF-16le"), ("indexed", "UTF-16be")],
)
def test_long_values_come_back_from_a_script(table: str, encoding: str, tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "long.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA encoding='{encoding}'")
        connection.executescript(_TABLES[table])
        insert = "INSERT INTO t(x, v, y) VALUES (?, ?, ?)"
        for number, value in enumerate([*_VALUES.values(), None, 1.5]):
            connection.execute(insert, (number, value, "it's\r\nsmall"))
        connection.execute("INSERT INTO t(x, v, y) VALUES (7, CAST(x'ff' || zeroblob(1200000) AS TEXT), 8)")
        if table == "against its definition":
            connection.execute("PRAGMA writable_schema=ON")
            connection.execute("UPDATE sqlite_schema SET sql = replace(sql, 'v,', 'v, \"\" AS (1),')")
    record = backups.make(source, options={"format": "sql"}, check=False)
    loaded = backups.restore(record, tmp_path / "loaded.db")
    shell = tmp_path / "shell.db"
    subprocess.run(["sqlite3", "-bail", str(shell)], input=backups.image(record), check=True, capture_output=True)
    assert content(loaded) == content(source)
    assert content(shell) == content(source)
    with closing(sqlite3.connect(loaded)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO t VALUES({});",
        "INSERT INTO t(v) VALUES({});",
        "INSERT INTO main.t VALUES({});",
        "INSERT INTO 't'(\"v\") VALUES ( /* ; */ {} ) ;",
        "INSERT INTO t VALUES({}),(7);",
        "INSERT INTO t VALUES(7),({});",
        "INSERT OR REPLACE INTO t VALUES({});",
        "REPLACE INTO t SELECT {};",
        "INSERT INTO t SELECT substr({}, 1);",
        "UPDATE t SET v = {};",
        "CREATE VIEW w AS SELECT {} AS v; INSERT INTO t SELECT v FROM w;",
        "CREATE TRIGGER r AFTER INSERT ON t BEGIN UPDATE t SET v = {}; END; INSERT INTO t VALUES (1);",
    ],
)
@pytest.mark.parametrize("size", [65_537, _MIB])
def test_a_long_literal_is_taken_wherever_it_stands(statement: str, size: int, load: Loader) -> None:
    value = b"\0it's" * (_MIB // 4)
    for literal, expected in [
        (f"X'{value.hex()}'", value),
        (f"x'{value.hex().upper()}'", value),
        ("'" + "''it is;''☃" * (_MIB // 8) + "'", "'it is;'☃" * (_MIB // 8)),
    ]:
        script = "CREATE TABLE t(v); INSERT INTO t VALUES(0); " + statement.format(literal)
        target = load(script.encode(), size=size)
        with closing(sqlite3.connect(target)) as connection:
            assert (expected,) in connection.execute("SELECT v FROM t").fetchall()
        target.unlink()


# A process starts with the largest size of the one that it was forked from, which therefore has to be a small one.
_MEASURE = """
import resource, subprocess, sys
subprocess.run([sys.executable, "-m", "holdfast", *sys.argv[1:]], capture_output=True, check=True)
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""


def memory(*arguments: str) -> int:
    """MiB that a command takes, whichever of its processes takes the most."""
    done = subprocess.run([sys.executable, "-c", _MEASURE, *arguments], capture_output=True, text=True, check=True)
    return int(done.stdout) // 1024


def test_a_long_blob_is_written_and_loaded_in_little_memory(tmp_path: Path) -> None:
    """Of a blob of 40 MiB: 36 MiB at the backup, 47 at the restore; as one literal it took 372."""
    source, store = tmp_path / "blob.db", str(tmp_path / "store")
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, v BLOB)")
        connection.execute("INSERT INTO t VALUES (1, randomblob(40 << 20))")
    options = ("--store", store, "--no-check", "--no-proof", "-o", "format=sql")
    assert memory("backup", f"sqlite:///{source}", *options) < 70
    assert memory("restore", "latest", f"sqlite:///{tmp_path / 'copy.db'}", "--store", store, "--no-check") < 80
    with closing(sqlite3.connect(tmp_path / "copy.db")) as copy, closing(sqlite3.connect(source)) as original:
        query = "SELECT v FROM t"
        assert copy.execute(query).fetchone() == original.execute(query).fetchone()
