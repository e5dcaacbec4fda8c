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

from holdfast.api import HoldfastError, IntegrityError, RestoreRequest, Step, Stream
from holdfast_sqlite.options import SqliteOptions
from holdfast_sqlite.restore import open_restore
from holdfast_sqlite.script.loader import Splitter

_SCHEMA = """
    CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);
    CREATE VIRTUAL TABLE note USING fts5(body); CREATE VIRTUAL TABLE box USING rtree(id, a, b);
    CREATE TRIGGER t AFTER INSERT ON users BEGIN SELECT ';'; INSERT INTO note VALUES (new.name); END;
    CREATE VIEW v AS SELECT name FROM users;
    INSERT INTO users(name) VALUES ('it''s; -- /* '), ('two' || char(10) || 'lines;'); DELETE FROM users WHERE id = 2;
    INSERT INTO box VALUES (1, 2, 3); ANALYZE;
"""


class Text:
    """A stored stream of SQL text, in pieces of a given size."""

    def __init__(self, data: bytes, size: int = 1000) -> None:
        self._data = data
        self._size = size
        self.stream = Stream(name="database", suffix=".sql", size=len(data))

    def chunks(self) -> Any:
        yield from (self._data[at : at + self._size] for at in range(0, len(self._data), self._size))


def load(data: bytes, target: Path, scratch: Path, *, size: int = 1000) -> Path:
    """Restore text that no Holdfast made: no hints, whatever the codec left of it."""
    text = Text(data, size)
    request = RestoreRequest(
        url=f"sqlite:///{target}", scratch=scratch, streams=(text.stream,), options=SqliteOptions()
    )
    with open_restore(request) as session:
        session.load(Step(stream="database"), text)  # type: ignore[arg-type]
        session.commit()
    return target


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(_SCHEMA)
    return path


@pytest.mark.parametrize("packed", [False, True])
def test_an_iterdump_is_restored_with_its_virtual_tables(
    packed: bool, source: Path, tmp_path: Path, picture: Callable[..., Any]
) -> None:
    with closing(sqlite3.connect(source)) as connection:
        data = "\n".join(connection.iterdump()).encode()
    data = gzip.compress(data[:500]) + gzip.compress(data[500:]) if packed else data
    target = load(data, tmp_path / "target.db", tmp_path)
    assert picture(target, layout=False) == picture(source, layout=False)


def test_an_iterdump_of_an_older_python_is_restored(tmp_path: Path) -> None:
    """They filled sqlite_sequence before it was there, and entered virtual tables without writable_schema."""
    data = b"""BEGIN TRANSACTION;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('users',9);
CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT);
INSERT INTO "users" VALUES(1,'Ann');
INSERT INTO sqlite_master(type,name,tbl_name,rootpage,sql)
VALUES('table','n','n',0,'CREATE VIRTUAL TABLE n USING fts5(b)');
CREATE TABLE 'n_data'(id INTEGER PRIMARY KEY, block BLOB);
CREATE TABLE 'n_idx'(segid, term, pgno, PRIMARY KEY(segid, term)) WITHOUT ROWID;
CREATE TABLE 'n_content'(id INTEGER PRIMARY KEY, c0);
CREATE TABLE 'n_docsize'(id INTEGER PRIMARY KEY, sz BLOB);
CREATE TABLE 'n_config'(k PRIMARY KEY, v) WITHOUT ROWID;
INSERT INTO "n_config" VALUES('version',4);
INSERT INTO "n_data" VALUES(1,X'');
INSERT INTO "n_data" VALUES(10,X'00000000000000');
COMMIT;
"""
    target = load(data, tmp_path / "target.db", tmp_path, size=7)
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("SELECT * FROM users").fetchall() == [(1, "Ann")]
        assert connection.execute("SELECT seq FROM sqlite_sequence").fetchone() == (9,)
        connection.execute("INSERT INTO n VALUES ('words')")
        assert connection.execute("SELECT b FROM n WHERE n MATCH 'words'").fetchall() == [("words",)]


def test_a_dump_of_the_shell_is_restored(source: Path, tmp_path: Path, picture: Callable[..., Any]) -> None:
    data = subprocess.run(["sqlite3", str(source), ".dump"], check=True, capture_output=True).stdout
    target = load(data, tmp_path / "target.db", tmp_path)
    assert picture(target, layout=False) == picture(source, layout=False)


def test_infinities_of_an_iterdump_are_restored_and_texts_that_read_so_stay(tmp_path: Path) -> None:
    """SQLite before 3.41 quotes them as Inf, which no SQLite reads."""
    data = b"""BEGIN TRANSACTION;
CREATE TABLE "Inf"(a REAL, b REAL, "Inf" TEXT);
INSERT INTO "Inf" VALUES(Inf,-Inf,'it''s Inf, -Inf');
INSERT INTO "Inf" VALUES(-Inf,1.5,'Inf');
COMMIT;
"""
    target = load(data, tmp_path / "target.db", tmp_path)
    infinity = float("inf")
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute('SELECT * FROM "Inf"').fetchall() == [
            (infinity, -infinity, "it's Inf, -Inf"),
            (-infinity, 1.5, "Inf"),
        ]


def test_rows_that_break_a_check_are_restored_as_they_were(tmp_path: Path) -> None:
    data = b"BEGIN; CREATE TABLE t(x CHECK (x > 0)); INSERT INTO t VALUES (-1); COMMIT;"
    target = load(data, tmp_path / "target.db", tmp_path)
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
def test_a_script_that_needs_its_application_is_not_called_damaged(data: bytes, missing: str, tmp_path: Path) -> None:
    with pytest.raises(HoldfastError, match=missing) as failure:
        load(data, tmp_path / "target.db", tmp_path)
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
        (b"SELECT '\xff';", "not UTF-8"),
        (b"nonsense;", "syntax error"),
        (gzip.compress(b"CREATE TABLE t(x);", mtime=0)[:-6], "gzip"),
        (b"\x1f\x8bnot gzip at all", "gzip"),
    ],
)
def test_a_script_that_is_not_whole_or_reaches_out_is_refused(data: bytes, words: str, tmp_path: Path) -> None:
    with pytest.raises(HoldfastError, match=words) as failure:
        load(data, tmp_path / "target.db", tmp_path)
    assert isinstance(failure.value, IntegrityError)
    assert "secret" not in failure.value.message
    assert not list(tmp_path.glob("target*"))
    assert not Path("/tmp/elsewhere.db").exists()


def test_a_large_script_is_loaded_in_little_memory_and_linear_time(tmp_path: Path) -> None:
    """A literal of many lines that all end in a semicolon would cost the square of its length if read line by line."""
    literal = b"line;\n" * 2_000_000
    script = b"CREATE TABLE t(x);INSERT INTO t VALUES('" + literal + b"');"
    target = load(script, tmp_path / "t.db", tmp_path, size=65536)
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
    found = [each for at in range(0, len(text), size) for each in splitter.feed(text[at : at + size])]
    assert found == [each for each in texts if each.strip("; \t\r\n")]
    assert splitter.rest() == ""
