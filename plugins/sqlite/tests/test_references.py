"""Foreign keys that lead nowhere are carried, and told of where the whole check is asked for."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import holdfast


def make(path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript("""
            CREATE TABLE parent(id INTEGER PRIMARY KEY); INSERT INTO parent VALUES (1);
            CREATE TABLE child(p REFERENCES parent, gone REFERENCES "no ""such");
            INSERT INTO child VALUES (1, NULL), (2, NULL), (3, 7), (NULL, NULL);
            CREATE TABLE odd(name REFERENCES child(p)); INSERT INTO odd VALUES ('x');
            CREATE TABLE sound(p REFERENCES parent); INSERT INTO sound VALUES (1)""")


def test_a_full_check_tells_of_foreign_keys_that_lead_nowhere(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"
    make(source)
    expected = [
        'table child has 1 row whose foreign key leads to no row of table no "such, which is kept as it is',
        "table child has 2 rows whose foreign key leads to no row of table parent, which is kept as it is",
        'the foreign keys of table odd could not be checked: foreign key mismatch - "odd" referencing "child"',
    ]
    record = backups.make(source, check="full")
    assert sorted(record.warnings) == expected
    warnings: list[str] = []

    def note(event: Any) -> None:
        if event.type == "warning":
            warnings.append(event.message)

    target = backups.restore(record, tmp_path / "copy.db", check="full", on_event=note)
    assert sorted(warnings) == expected
    assert target.read_bytes() == source.read_bytes()
    assert holdfast.drill(record, store=str(backups.store)).passed
    assert not backups.make(source).warnings
