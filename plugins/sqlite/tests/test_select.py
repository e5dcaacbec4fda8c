"""Chosen tables are restored with their indexes, triggers and inner tables, the others not at all."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import holdfast
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
        try:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        except sqlite3.OperationalError as error:  # SQLite 3.44 and newer ask the modules of virtual tables as well
            assert str(error) in ("no such tokenizer: snow", "SQL logic error")  # noqa: PT017
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


def test_what_refers_to_tables_that_stay_behind_is_told(source: Path, tmp_path: Path, backups: Any) -> None:
    told = ("trigger person_new is restored and refers to audit, which is not",)
    assert backups.make(source, select=("person",)).warnings == told
    record = backups.make(source)
    assert record.warnings == ()
    url, store = f"sqlite:///{tmp_path}/some.db", str(backups.store)
    assert holdfast.restore(record, url, store=store, select=("person",)).warnings == told


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("SELECT 1 FROM a", False),
        ("SELECT bb, b_, $b FROM a", False),
        ("SELECT 'b', 'it''s b' -- b\n FROM a /* b, \n b */", False),
        ("SELECT 1 FROM B", True),
        ("SELECT 1 FROM main.b", True),
        ('SELECT 1 FROM a, "B"', True),
        ("SELECT '--' FROM `b`", True),
        ("SELECT 1 FROM [b]", True),
        ("SELECT 1 FROM a /* ' */ JOIN b", True),
    ],
)
def test_only_whole_names_are_taken_for_references(body: str, told: bool, tmp_path: Path, backups: Any) -> None:
    """The BEGIN of a trigger is no table b, nor is what stands in a literal or comment."""
    source = tmp_path / "app.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.executescript('CREATE TABLE a(bb, b_); CREATE TABLE b(x); CREATE TABLE "b c"(x);')
        connection.execute(f"CREATE TRIGGER t AFTER INSERT ON a BEGIN {body.replace('$b', 'new.bb')}; END")
    warnings = backups.make(source, select=("a",)).warnings
    assert warnings == (("trigger t is restored and refers to b, which is not",) if told else ())


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    """Virtual tables whose module or tokenizer only their application has."""
    path = tmp_path / "foreign.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(
            """
            CREATE TABLE plain(x); INSERT INTO plain VALUES (1); CREATE VIRTUAL TABLE note USING fts5(body);
            INSERT INTO note VALUES ('some words'); CREATE TABLE place_index(x); INSERT INTO place_index VALUES (2);
            PRAGMA writable_schema=ON;
            INSERT INTO sqlite_schema VALUES ('table', 'place', 'place', 0,
                'CREATE VIRTUAL TABLE place USING spatial(x)');
            UPDATE sqlite_schema SET sql = replace(sql, 'body', 'body, tokenize=snow') WHERE name = 'note';
            """
        )
    return path


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        ({"select": ("plain",)}, {"plain"}),
        ({"exclude": ("note",)}, {"plain", "place", "place_index"}),
        ({"exclude": ("place",)}, {"plain", "place_index", *FTS}),
        ({"exclude": ("place*",)}, {"plain", *FTS}),
        ({"select": ("place",)}, {"place", "place_index"}),
    ],
)
@pytest.mark.parametrize("when", ["backup", "restore"])
def test_virtual_tables_of_unknown_modules_are_left_out_and_kept(
    choice: dict[str, Any], expected: set[str], when: str, foreign: Path, tmp_path: Path, backups: Any
) -> None:
    made, restored = (choice, {}) if when == "backup" else ({}, choice)
    target = backups.restore(backups.make(foreign, **made), tmp_path / "some.db", **restored)
    assert names(target) == expected
    if "place_index" in expected:
        assert value(target, "SELECT x FROM place_index") == (2,)
    if "note" in expected:
        assert value(target, "SELECT c0 FROM note_content") == ("some words",)
