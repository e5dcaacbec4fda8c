"""Text of selected tables is converted into the encoding of the database that they come into, or nothing is done."""

from pathlib import Path
from typing import Any

import pytest
from support.sqlite_files import rows, run

from holdfast.errors import HoldfastError

_SOURCE = """
CREATE TABLE users(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, note BLOB);
INSERT INTO users VALUES (1, 'Ann', x'00ff'), (2, 'Bôb', 1.5), (40, '𐎠ä' || char(9, 0, 97), NULL);
DELETE FROM users WHERE id = 2; CREATE INDEX users_note ON users(note) WHERE note IS NOT NULL;
CREATE TABLE heap(value); INSERT INTO heap(rowid, value) VALUES (7, 'seven'), (4000, 4.0), (9, NULL);
CREATE TABLE pair(a TEXT, b, PRIMARY KEY (a, b)) WITHOUT ROWID; INSERT INTO pair VALUES ('x', 1), ('ÿ', x'31');
CREATE TABLE made(a INTEGER, b INT AS (a * 2) STORED, c INT AS (a + 1), d TEXT) STRICT;
INSERT INTO made(a, d) VALUES (4, 'd'); CREATE VIRTUAL TABLE docs USING fts5(title, body);
INSERT INTO docs VALUES ('kelp', 'holdfasts grip rock');
"""


@pytest.mark.parametrize(("of", "into"), [("UTF-16le", "UTF-8"), ("UTF-8", "UTF-16be"), ("UTF-16be", "UTF-16le")])
def test_text_is_converted(of: str, into: str, tmp_path: Path, backups: Any) -> None:
    source, target = tmp_path / "app.db", tmp_path / "target.db"
    run(source, f"PRAGMA encoding='{of}'; {_SOURCE}")
    run(
        target,
        f"PRAGMA encoding='{into}'; CREATE TABLE users(o); CREATE TABLE stays(x); INSERT INTO stays VALUES ('é')",
    )
    backups.restore(backups.make(source), target, select=("users", "heap", "pair", "made", "docs"), replace=True)
    for query in (
        "SELECT *, length(name) FROM users", "SELECT rowid, * FROM heap", "SELECT * FROM made", "SELECT * FROM pair",
        "SELECT * FROM sqlite_sequence", "SELECT name, sql FROM sqlite_schema WHERE tbl_name = 'users' ORDER BY 1",
    ):  # fmt: skip
        assert rows(target, query) == rows(source, query)
    assert rows(target, "SELECT title FROM docs WHERE docs MATCH 'rock'") == [("kelp",)]
    assert rows(target, "SELECT * FROM stays") == [("é",)]
    assert rows(target, "PRAGMA encoding") == [(into,)]
    assert rows(target, "PRAGMA integrity_check") == [("ok",)]


@pytest.mark.parametrize(("of", "into", "text"), [("UTF-8", "UTF-16le", "ff41"), ("UTF-16le", "UTF-8", "00d84100")])
def test_text_that_cannot_be_converted_is_a_refusal_and_otherwise_kept_as_it_is(
    of: str, into: str, text: str, tmp_path: Path, backups: Any
) -> None:
    source, target, same = tmp_path / "app.db", tmp_path / "target.db", tmp_path / "same.db"
    run(source, f"PRAGMA encoding='{of}'; CREATE TABLE t(x); INSERT INTO t VALUES (CAST(x'{text}' AS TEXT)), ('fine')")
    run(target, f"PRAGMA encoding='{into}'; CREATE TABLE stays(x)")
    run(same, f"PRAGMA encoding='{of}'; CREATE TABLE stays(x)")
    record = backups.make(source)
    before = target.read_bytes()
    with pytest.raises(HoldfastError, match=rf"t holds text that is not valid {of} .1 values in column .x"):
        backups.restore(record, target, select=("t",))
    assert target.read_bytes() == before
    backups.restore(record, same, select=("t",))
    assert rows(same, "SELECT hex(CAST(x AS BLOB)) FROM t WHERE x != 'fine'") == [(text.upper(),)]
