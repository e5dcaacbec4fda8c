"""Scripts of other makers, as they come: shells of every age, Windows, other databases by mistake."""

import codecs
import os
import sqlite3
import struct
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from holdfast.api import HoldfastError, IntegrityError
from holdfast_sqlite.script.unistr import unistr

Loader = Callable[..., Path]

PLAIN = "CREATE TABLE t(a TEXT, b);\nINSERT INTO t VALUES('Grüße; ☃',1);\nINSERT INTO t VALUES('it''s',NULL);\n"


def rows(path: Path, query: str = "SELECT a, b FROM t ORDER BY rowid") -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchall()


@pytest.mark.parametrize(
    "data",
    [
        PLAIN.encode(),
        PLAIN.replace("\n", "\r\n").encode(),
        codecs.BOM_UTF8 + PLAIN.encode(),
        PLAIN.encode("utf-16"),
        codecs.BOM_UTF16_BE + PLAIN.replace("\n", "\r\n").encode("utf-16-be"),
        b"-- Loading resources from /home/user/.sqliterc\n/* a comment; */ " + PLAIN.encode(),
        b";;\n" + PLAIN.encode() + b"; -- the end",
    ],
    ids=[
        "UTF-8",
        "Windows",
        "with a mark",
        "PowerShell",
        "UTF-16, the other way round",
        "comments",
        "empty statements",
    ],
)
@pytest.mark.parametrize("size", [1, 7, 1 << 20])
def test_text_of_every_kind_is_read(data: bytes, size: int, load: Loader) -> None:
    assert rows(load(data, size=size)) == [("Grüße; ☃", 1), ("it's", None)]


# What `.dump` writes of the same database: 3.7 and older, 3.8 to 3.18, 3.19 to 3.49, and since 3.50.
HEAD = "PRAGMA foreign_keys=OFF;\nBEGIN TRANSACTION;\n"
TABLE = "CREATE TABLE t(id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT, b REAL);\n"
DUMPS = {
    "3.7": (
        f"{HEAD}{TABLE}INSERT INTO \"t\" VALUES(7,'one\r\ntwo\n',1e999);\nINSERT INTO \"t\" VALUES(8,'x',0.1);\n"
        "ANALYZE sqlite_master;\nINSERT INTO \"sqlite_stat1\" VALUES('t',NULL,'2');\n"
        "DELETE FROM sqlite_sequence;\nINSERT INTO \"sqlite_sequence\" VALUES('t',9);\nCOMMIT;\n"
    ),
    "3.19": (
        f"{HEAD}{TABLE}INSERT INTO t VALUES"
        "(7,replace(replace('one\\r\\ntwo\\n','\\r',char(13)),'\\n',char(10)),1e999);\n"
        "INSERT INTO t VALUES(8,'x',0.1);\nANALYZE sqlite_schema;\nINSERT INTO sqlite_stat1 VALUES('t',NULL,'2');\n"
        "DELETE FROM sqlite_sequence;\nINSERT INTO sqlite_sequence VALUES('t',9);\nCOMMIT;\n"
    ),
    "--preserve-rowids --newlines": (
        f'{HEAD}CREATE TABLE IF NOT EXISTS "t"(id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT, b REAL);\n'
        "INSERT INTO t(id,a,b) VALUES(7,'one\r\ntwo\n',9.0e+999);\nINSERT INTO t(id,a,b) VALUES(8,'x',0.1);\n"
        "ANALYZE sqlite_schema;\nINSERT INTO sqlite_stat1(rowid,tbl,idx,stat) VALUES(1,'t',NULL,'2');\n"
        "DELETE FROM sqlite_sequence;\nINSERT INTO sqlite_sequence VALUES('t',9);\nCOMMIT;\n"
    ),
    "3.50": (
        f"{HEAD}{TABLE}INSERT INTO t VALUES(7,unistr('one\\u000d\\u000atwo\\u000a'),1e999);\n"
        "INSERT INTO t VALUES(8,'x',0.1);\nANALYZE sqlite_schema;\nINSERT INTO sqlite_stat1 VALUES('t',NULL,'2');\n"
        "INSERT INTO sqlite_sequence VALUES('t',9);\nCOMMIT;\n"
    ),
}


@pytest.mark.parametrize("version", DUMPS)
def test_the_dump_of_every_shell_is_restored(version: str, load: Loader) -> None:
    target = load(DUMPS[version].encode())
    assert rows(target, "SELECT id, a, b FROM t") == [(7, "one\r\ntwo\n", float("inf")), (8, "x", 0.1)]
    assert rows(target, "SELECT max(seq) FROM sqlite_sequence WHERE name = 't'") == [(9,)]
    assert rows(target, "SELECT tbl, stat FROM sqlite_stat1") == [("t", "2")]


@pytest.mark.parametrize("arguments", [".dump", ".dump --newlines", ".dump --preserve-rowids", ".dump --nosys"])
def test_what_the_shell_here_writes_of_odd_values_is_restored(arguments: str, tmp_path: Path, load: Loader) -> None:
    source = tmp_path / "source.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t(a TEXT, b)")
        texts = ["it's", "line\n", "dos\r\n", "\r", "a\\nb", "\x01\x1b[0m", "", "☃", "unistr('x')", "\\u0041"]
        connection.executemany("INSERT INTO t VALUES (?, ?)", [(text, number) for number, text in enumerate(texts)])
        connection.execute("INSERT INTO t VALUES (CAST(x'636166e9' AS TEXT), x'00ff'), (NULL, 9e999), (1.0, -0.0)")
        connection.execute("INSERT INTO t VALUES ('least', -9223372036854775808)")
    data = subprocess.run(["sqlite3", str(source), arguments], check=True, capture_output=True).stdout
    query = (
        "SELECT typeof(a), hex(a), typeof(b), CASE typeof(b) WHEN 'blob' THEN hex(b) ELSE b END FROM t ORDER BY rowid"
    )
    assert rows(load(data), query) == rows(source, query)


def test_a_dump_of_a_damaged_database_is_refused_by_what_it_says_itself(tmp_path: Path, load: Loader) -> None:
    source = tmp_path / "source.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t(a)")
        connection.executemany("INSERT INTO t VALUES (randomblob(3000))", [()] * 40)
    with source.open("r+b") as file:
        file.seek(12 * 4096)
        file.write(struct.pack(">8I", *[0xFFFFFFFF] * 8))
    data = subprocess.run(["sqlite3", str(source), ".dump"], check=False, capture_output=True).stdout
    assert b"ERROR" in data
    with pytest.raises(IntegrityError, match=r"could not read its database: (CORRUPTION )?ERROR"):
        load(data)
    with pytest.raises(IntegrityError, match="rolls back: what made it found its database damaged"):
        load(b"BEGIN; CREATE TABLE t(a);\n-- a comment\nROLLBACK; -- due to errors\n")


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"-- MySQL dump 10.13  Distrib 8.0.36\n--\n", "the script is one of MySQL or MariaDB, not of SQLite"),
        (b"/*M!999999\\- enable the sandbox mode */ \n-- MariaDB dump 10.19", "one of MySQL or MariaDB"),
        (b"--\n-- PostgreSQL database dump\n--\n\nSET x = 0;", "one of PostgreSQL, not of SQLite"),
        (b"PGDMP\x01\x0e\x00\x04\x08", "one of PostgreSQL"),
        (b"CREATE TABLE t(a);\n.read other.sql\n", r"has a command of the sqlite3 shell \(\.read\)"),
        (b".open a.db\nCREATE TABLE t(a);", r"has a command of the sqlite3 shell \(\.open\)"),
        (b"Error: database is locked\nPRAGMA foreign_keys=OFF;\n", "statement 1 .Error: database is …."),
        (b"\xff\xfeC\x00R\x00E\x00A\x00T\xd8", "begins like UTF-16 text, and is none"),
    ],
)
def test_what_is_no_script_of_sqlite_is_named(data: bytes, words: str, load: Loader, tmp_path: Path) -> None:
    with pytest.raises(IntegrityError, match=words):
        load(data)
    assert not list(tmp_path.glob("target*"))


def test_words_of_other_databases_within_a_script_are_data(load: Loader) -> None:
    script = "CREATE TABLE t(a TEXT, b);\nINSERT INTO t VALUES('-- x\n.read y\n/**** ERROR: (11) z *****/',1);"
    assert rows(load(script.encode())) == [("-- x\n.read y\n/**** ERROR: (11) z *****/", 1)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"), (r"\000a", "\n"), (r"\u000aB", "\nB"), (r"\+01F600", "\U0001f600"),
        (r"\U0001F600\\u0041", "\U0001f600\\u0041"), (r"a\\", "a\\"), (None, None), (5, "5"),
    ],
)  # fmt: skip
def test_unistr_is_that_of_sqlite(text: object, expected: str | None) -> None:
    assert unistr(text) == expected


@pytest.mark.parametrize("text", ["\\", r"\u12", r"\x", r"\+0000"])
def test_what_unistr_does_not_take_is_an_error(text: str, load: Loader) -> None:
    with pytest.raises(ValueError, match="invalid Unicode escape"):
        unistr(text)
    with pytest.raises(HoldfastError, match="statement 2"):
        load(f"CREATE TABLE t(a, b); INSERT INTO t VALUES (unistr('{text}'), 1);".encode())


def test_a_trigger_is_seen_behind_comments(load: Loader) -> None:
    script = """CREATE TABLE t(a TEXT, b);
CREATE /* temp; */ TRIGGER r AFTER INSERT ON t BEGIN SELECT ';'; UPDATE t SET b = 2; END;
INSERT INTO t VALUES('CREATE TRIGGER; BEGIN', 1);"""
    assert rows(load(script.encode())) == [("CREATE TRIGGER; BEGIN", 2)]


def test_nothing_is_left_in_the_folder_for_temporary_files(load: Loader, tmp_path: Path) -> None:
    load(b"CREATE TABLE t(a); INSERT INTO t VALUES('" + b"x" * (3 << 20) + b"');", size=65536)
    assert sorted(os.listdir(tmp_path)) == ["target.db"]
