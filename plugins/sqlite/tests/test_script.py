"""SQL text of any maker is loaded whole or not at all."""

import gzip
import sqlite3
import subprocess
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.api import HoldfastError, IntegrityError
from holdfast_sqlite.script.statements import Splitter

Loader = Callable[..., Path]

_SCHEMA = """
    CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);
    CREATE VIRTUAL TABLE note USING fts5(body); CREATE VIRTUAL TABLE box USING rtree(id, a, b);
    CREATE TRIGGER t AFTER INSERT ON users BEGIN SELECT ';'; INSERT INTO note VALUES (new.name); END;
    CREATE VIEW v AS SELECT name FROM users;
    INSERT INTO users(name) VALUES ('it''s; -- /* '), ('two' || char(10) || 'lines;'); DELETE FROM users WHERE id = 2;
    INSERT INTO box VALUES (1, 2, 3); ANALYZE;
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(_SCHEMA)
    return path


def test_a_dump_of_the_shell_is_restored(source: Path, load: Loader, picture: Callable[..., Any]) -> None:
    data = subprocess.run(["sqlite3", str(source), ".dump"], check=True, capture_output=True).stdout
    target = load(data)
    assert picture(target, layout=False) == picture(source, layout=False)


def test_rows_that_break_a_check_are_restored_as_they_were(load: Loader) -> None:
    data = b"BEGIN; CREATE TABLE t(x CHECK (x > 0)); INSERT INTO t VALUES (-1); COMMIT;"
    target = load(data)
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("SELECT x FROM t").fetchall() == [(-1,)]


@pytest.mark.parametrize(
    ("data", "missing"),
    [
        (b"CREATE TABLE t(x); CREATE INDEX i ON t(hashed(x));", "no such function: hashed"),
        (b"CREATE TABLE t(x, y AS (hashed(x)) STORED); INSERT INTO t VALUES (1);", "no such function: hashed"),
        (b"CREATE TABLE t(x COLLATE german UNIQUE); INSERT INTO t VALUES ('a');", "no such collation sequence: german"),
        (b"CREATE VIRTUAL TABLE t USING spatial(x);", "no such module: spatial"),
        (b"CREATE VIRTUAL TABLE t USING fts5(x, tokenize='snow');", "no such tokenizer: snow"),
        (b"CREATE VIRTUAL TABLE t USING fts4(x, tokenize=snow);", "unknown tokenizer: snow"),
    ],
)
def test_a_script_that_needs_its_application_is_not_called_damaged(
    data: bytes, missing: str, load: Loader, tmp_path: Path
) -> None:
    with pytest.raises(HoldfastError, match=missing) as failure:
        load(data)
    assert failure.value.exit_code == 1
    assert "holdfast cat" in str(failure.value.hint)
    assert not list(tmp_path.glob("target*"))


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"BEGIN; CREATE TABLE t(x);", "no COMMIT"),
        (b"CREATE TABLE t(x); INSERT INTO t VALUES ('a", "cut off within its statement 2"),
        (b"CREATE TABLE t(x); INSERT INTO t", "cut off within its statement 2"),
        (b"BEGIN; CREATE TABLE t(x); ROLLBACK; -- due to errors", "rolls back"),
        (b"CREATE TABLE t(x); INSERT INTO nowhere VALUES ('secret words');", "statement 2 .INSERT INTO nowhere …."),
        (b"ATTACH DATABASE '/tmp/elsewhere.db' AS e;", "not authorized"),
        (b"CREATE TABLE t(x); VACUUM INTO '/tmp/elsewhere.db';", "authorization denied"),
        (b"CREATE TABLE \xff(x);", "not UTF-8 text in its statement 1"),
        (b"CREATE TABLE t(x DEFAULT '\xff');", "not UTF-8 text in its statement 1"),
        (b"nonsense;", "syntax error"),
        (gzip.compress(b"CREATE TABLE t(x);", mtime=0)[:-6], "gzip"),
        (b"\x1f\x8bnot gzip at all", "gzip"),
    ],
)
def test_a_script_that_is_not_whole_or_reaches_out_is_refused(
    data: bytes, words: str, load: Loader, tmp_path: Path
) -> None:
    with pytest.raises(HoldfastError, match=words) as failure:
        load(data)
    assert isinstance(failure.value, IntegrityError)
    assert "secret" not in failure.value.message
    assert not list(tmp_path.glob("target*"))
    assert not Path("/tmp/elsewhere.db").exists()


def test_a_large_script_is_loaded_in_little_memory_and_linear_time(load: Loader) -> None:
    """A literal of many lines that all end in a semicolon would cost the square of its length if read line by line."""
    literal = b"line;\n" * 2_000_000
    script = b"CREATE TABLE t(x);INSERT INTO t VALUES('" + literal + b"');"
    target = load(script, size=65536)
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("SELECT length(x) FROM t").fetchone() == (len(literal),)


_PIECES = st.sampled_from(
    ["'a;b'", "'it''s'", '"x;""y"', "`;`", "[;]", "-- c;\n", "/* ; */", " ", "1", "-", "/", "*", "x", "\n", "'☃'"]
)


@given(st.lists(st.lists(_PIECES, min_size=1, max_size=8), max_size=5), st.integers(1, 9))
def test_statements_are_the_same_wherever_the_text_is_cut(statements: list[list[str]], size: int) -> None:
    # Pieces next to each other must not make new tokens: "-" and "-" would be a comment.
    texts = [" ".join(pieces) + ";" for pieces in statements]
    text = "".join(texts)
    splitter = Splitter()
    cut = [each.text for at in range(0, len(text), size) for each in splitter.feed(text[at : at + size])]
    assert cut == [each for each in texts if each.strip("; \t\r\n")]
    assert splitter.rest() == ""
