"""Chosen tables are restored with their indexes, triggers and inner tables, the others not at all."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import UsageError


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(
            """
            PRAGMA page_size=2048; PRAGMA auto_vacuum=1; PRAGMA encoding='UTF-16le'; PRAGMA journal_mode=WAL;
            PRAGMA user_version=7; PRAGMA application_id=8;
            CREATE TABLE person(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE);
            CREATE INDEX person_name ON person(lower(name));
            CREATE TABLE audit(what TEXT); CREATE TABLE "Order"(id INTEGER PRIMARY KEY, p REFERENCES person);
            CREATE TRIGGER person_new AFTER INSERT ON person BEGIN INSERT INTO audit VALUES (new.name); END;
            CREATE TRIGGER person_gone AFTER DELETE ON person BEGIN SELECT 1; END;
            CREATE VIEW people AS SELECT name FROM person;
            CREATE VIRTUAL TABLE note USING fts5(body); CREATE TABLE note_book(x); CREATE TABLE loose(x);
            INSERT INTO person(name) VALUES ('Ann'), ('Bob'); DELETE FROM person WHERE name = 'Bob';
            INSERT INTO "Order" VALUES (1, 1); INSERT INTO note VALUES ('some words'); INSERT INTO note_book VALUES (1);
            INSERT INTO loose(rowid, x) VALUES (5, 'a'), (500, 'b');
            ANALYZE;
            """
        )
    return path


def names(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {row[0] for row in connection.execute("SELECT name FROM sqlite_schema WHERE name NOT LIKE 'sqlite_%'")}


def value(path: Path, query: str) -> Any:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query).fetchone()


FTS = {"note", "note_data", "note_idx", "note_content", "note_docsize", "note_config"}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"select": ("PERSON",)}, {"person", "person_name", "person_new", "person_gone"}),
        ({"select": ("order", "loose")}, {"Order", "loose"}),
        ({"select": ("note",)}, FTS),
        ({"select": ("note*",)}, {*FTS, "note_book"}),
        ({"select": ("people", "person"), "exclude": ("person",)}, {"people"}),
        (
            {"exclude": ("note*", "person", "people")},
            {"audit", "Order", "loose"},
        ),
    ],
)
@pytest.mark.parametrize("when", ["backup", "restore"])
@pytest.mark.parametrize("style", ["image", "sql"])
def test_a_choice_of_tables(
    choice: dict[str, Any], expected: set[str], when: str, style: str, source: Path, tmp_path: Path, backups: Any
) -> None:
    made, restored = (choice, {}) if when == "backup" else ({}, choice)
    record = backups.make(source, options={"format": style}, **made)
    target = backups.restore(record, tmp_path / "some.db", **restored)
    assert names(target) == expected
    for pragma in ("page_size", "auto_vacuum", "encoding", "user_version", "application_id", "journal_mode"):
        assert value(target, f"PRAGMA {pragma}") == value(source, f"PRAGMA {pragma}")
    if "person" in expected:
        assert value(target, "SELECT seq FROM sqlite_sequence WHERE name = 'person'") == (2,)
    if "loose" in expected:
        assert value(target, "SELECT group_concat(rowid) FROM loose") == ("5,500",)
    if "note" in expected:
        assert value(target, "SELECT body FROM note WHERE note MATCH 'words'") == ("some words",)


def test_an_unknown_table_is_named_with_those_that_are_there(source: Path, tmp_path: Path, backups: Any) -> None:
    record = backups.make(source)
    with pytest.raises(UsageError, match=r"no table 'persons' .it has: 'person'"):
        backups.restore(record, tmp_path / "x.db", select=("persons",))
    assert not (tmp_path / "x.db").exists()
    with pytest.raises(UsageError, match="no table 'persons'"):
        backups.make(source, select=("persons",))


def test_what_refers_to_tables_that_stay_behind_is_told(source: Path, backups: Any) -> None:
    record = backups.make(source, select=("person",))
    assert record.warnings == ("trigger person_new is restored and refers to audit, which is not",)
