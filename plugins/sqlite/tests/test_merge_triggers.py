"""Indexes that the triggers of a restored table keep up: they stay as they are, and that is said."""

import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.sqlite_files import rows, run

import holdfast

# As a GeoPackage has it: the triggers call functions that only the application has.
_ROADS = """
CREATE TABLE roads(fid INTEGER PRIMARY KEY, geom BLOB, name TEXT); CREATE TABLE log(what TEXT); CREATE TABLE names(n);
CREATE VIRTUAL TABLE rtree_roads USING rtree(id, minx, maxx, miny, maxy);
INSERT INTO roads VALUES (1, x'00', 'a'), (2, x'01', 'b');
INSERT INTO rtree_roads VALUES (1, 0, 1, 0, 1), (2, 1, 2, 1, 2); INSERT INTO names VALUES ('b');
CREATE TRIGGER roads_insert AFTER INSERT ON roads WHEN NOT ST_IsEmpty(new.geom) BEGIN
    INSERT OR REPLACE INTO rtree_roads VALUES (new.fid, ST_MinX(new.geom), ST_MaxX(new.geom), 0, 1); END;
CREATE TRIGGER roads_delete AFTER DELETE ON roads BEGIN DELETE FROM rtree_roads WHERE id = old.fid; END;
CREATE TRIGGER roads_known BEFORE UPDATE ON roads WHEN new.name NOT IN (SELECT n FROM names) BEGIN
    INSERT INTO log VALUES ('log and names'); END;
"""


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "city.gpkg"
    run(path, _ROADS)
    return path


def test_virtual_tables_that_triggers_write_to_are_named(source: Path, backups: Any) -> None:
    """Also where a trigger calls functions that are not here; what it only reads, or logs to, is not named."""
    record = backups.make(source)
    run(source, "DROP TRIGGER roads_delete; DELETE FROM roads WHERE fid = 2; DELETE FROM rtree_roads WHERE id = 2")
    result = holdfast.restore(
        record.id, f"sqlite:///{source}", store=str(backups.store), select=("roads",), replace=True
    )
    assert rows(source, "SELECT fid FROM roads") == [(1,), (2,)]
    assert rows(source, "SELECT id FROM rtree_roads") == [(1,)]
    said = [
        warning.partition(": a restore runs no triggers")[0] for warning in result.warnings if "triggers" in warning
    ]
    start = "the virtual table rtree_roads (rtree) is as before, though triggers of roads write to it"
    assert said == [f"{start} (roads_insert, roads_delete)"]


def test_tables_that_are_restored_too_are_not_named(source: Path, backups: Any) -> None:
    record = backups.make(source)
    run(source, "DELETE FROM names")
    select = ("roads", "rtree_roads", "log")
    result = holdfast.restore(record.id, f"sqlite:///{source}", store=str(backups.store), select=select, replace=True)
    assert not [warning for warning in result.warnings if "runs no triggers" in warning]
    with closing(sqlite3.connect(source)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
