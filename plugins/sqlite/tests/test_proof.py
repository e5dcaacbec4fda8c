"""Every way to back an SQLite database up records a proof that its drill repeats."""

import gzip
import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.api import ScratchRequest
from holdfast.errors import PluginError
from holdfast.legacy.importer import import_backups
from holdfast.legacy.manager import sqlite_url
from holdfast.plugins.registry import Registry
from holdfast.proof import compare
from holdfast_sqlite.options import SqliteOptions
from holdfast_sqlite.proof.content import describe
from holdfast_sqlite.proof.record import assemble
from holdfast_sqlite.scratch import open_scratch


def make(path: Path, *, wal: bool = False) -> None:
    with closing(sqlite3.connect(path)) as db:
        if wal:
            db.execute("PRAGMA journal_mode = WAL")
        db.executescript(
            "CREATE TABLE a (id INTEGER PRIMARY KEY AUTOINCREMENT, x TEXT, y AS (upper(x)));"
            "CREATE TABLE b (x BLOB, CHECK (length(x) < 9)); CREATE INDEX b_x ON b (x);"
            "CREATE VIEW v AS SELECT * FROM a;"
            "INSERT INTO a (x) VALUES ('one'), (NULL), (''); INSERT INTO b VALUES (x'00ff'), (1), (1.5), ('1');"
        )


def proof(record: holdfast.Backup) -> dict[tuple[str, str], tuple[int | None, str]]:
    manifest = json.loads(Path(record.path, "backup_manifest.json").read_text())
    return {(entry["kind"], entry["name"]): (entry["rows"], entry["digest"]) for entry in manifest["proof"]["objects"]}


@pytest.mark.parametrize(
    "parts",
    [{}, {"options": {"method": "backup"}}, {"options": {"format": "sql"}}, {"select": ("a",)}, {"exclude": ("a",)},
     {"check": False}, {"proof": True}, {"select": ("b",), "options": {"format": "sql"}}],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("wal", [False, True], ids=["rollback", "wal"])
def test_each_way_to_dump_is_proven_by_a_drill(parts: dict[str, Any], wal: bool, tmp_path: Path) -> None:
    path = tmp_path / "odd #? ü 'name'.db"
    make(path, wal=wal)
    store = str(tmp_path / "store")
    record = holdfast.backup(sqlite_url(path), store=store, **parts)
    result = holdfast.drill(record, store=store)
    assert (result.passed, result.state, result.problems) == (True, "proven", ())
    objects = proof(record)
    chosen = [
        name for name in ("a", "b") if name in parts.get("select", ("a", "b")) and name not in parts.get("exclude", ())
    ]
    assert [name for kind, name in objects if kind == "table" and name in "ab"] == chosen
    assert (("stream", "database") in objects) == (parts.get("options", {}).get("format") != "sql")


def test_the_same_content_has_the_same_proof_by_every_way(tmp_path: Path) -> None:
    make(tmp_path / "app.db")
    ways = [{}, {"options": {"method": "backup"}}, {"options": {"format": "sql"}}, {"proof": True}]
    url, store = f"sqlite:///{tmp_path}/app.db", str(tmp_path / "store")
    proofs = [proof(holdfast.backup(url, store=store, **way)) for way in ways]  # type: ignore[arg-type]
    tables = [{key: value for key, value in objects.items() if key[0] != "stream"} for objects in proofs]
    assert all(objects == tables[0] for objects in tables)


@pytest.mark.parametrize("asked", [None, True])
def test_an_empty_file_is_proven_too(asked: bool | None, tmp_path: Path) -> None:
    (tmp_path / "empty.db").touch()
    store = str(tmp_path / "store")
    record = holdfast.backup(f"sqlite:///{tmp_path}/empty.db", store=store, proof=asked)
    result = holdfast.drill(record, store=store)
    assert (result.passed, result.state, result.problems) == (True, "proven", ())


def test_a_database_with_collations_and_functions_of_its_application_is_proven(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.create_collation("german", lambda a, b: (a > b) - (a < b))
        db.create_function("hashed", 1, len, deterministic=True)
        db.executescript(
            "CREATE TABLE t (x TEXT COLLATE german, y INTEGER AS (hashed(x)) STORED);"
            "CREATE INDEX t_x ON t (x); CREATE INDEX t_f ON t (hashed(x)); INSERT INTO t (x) VALUES ('ä'), ('z');"
        )
    store = str(tmp_path / "store")
    record = holdfast.backup(f"sqlite:///{tmp_path}/app.db", store=store)
    result = holdfast.drill(record, store=store)
    assert (result.passed, result.state, result.problems) == (True, "proven", ())


@pytest.mark.parametrize("parts", [{}, {"proof": True}, {"check": False}, {"options": {"method": "backup"}}], ids=str)
def test_a_table_that_lies_in_the_order_of_its_applications_collation_is_proven(
    parts: dict[str, Any], tmp_path: Path
) -> None:
    """WITHOUT ROWID and without the collation SQLite reads not even one row: "no query solution"."""
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.create_collation("german", lambda a, b: (a > b) - (a < b))
        db.execute("PRAGMA journal_mode = WAL")
        db.executescript(
            "CREATE TABLE t (x TEXT COLLATE german PRIMARY KEY) WITHOUT ROWID; INSERT INTO t VALUES ('ä'), ('z');"
            "CREATE TABLE u (x TEXT COLLATE nocase PRIMARY KEY) WITHOUT ROWID; INSERT INTO u VALUES ('a'), ('B');"
        )
    store = str(tmp_path / "store")
    record = holdfast.backup(f"sqlite:///{tmp_path}/app.db", store=store, **parts)
    assert (record.state, record.warnings) == ("complete", ())
    rows, digest = proof(record)["table", "t"]
    assert rows == 2
    assert digest
    result = holdfast.drill(record, store=store)
    assert (result.passed, result.state, result.problems) == (True, "proven", ())


def test_sql_text_of_the_older_system_is_taken_over_restored_and_drilled(tmp_path: Path) -> None:
    make(tmp_path / "app.db")
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        data = gzip.compress("\n".join(db.iterdump()).encode())
        rows = list(db.execute("SELECT * FROM a"))
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "app_1.sql.gz").write_bytes(data)
    entry = {"backup_id": "app_1", "source": "app.db", "destination": "app_1.sql.gz", "format": "compressed",
             "timestamp": 1.7e9, "size_bytes": len(data), "checksum": hashlib.sha256(data).hexdigest()}  # fmt: skip
    (tmp_path / "old" / "manifest.json").write_text(json.dumps([entry]))
    store = str(tmp_path / "store")
    assert [
        imported.status for imported in import_backups(str(tmp_path / "old"), registry=Registry(), store=store)
    ] == ["imported"]
    assert holdfast.DatabaseBackup(store).restore_sqlite("app", tmp_path / "copy.db")
    with closing(sqlite3.connect(tmp_path / "copy.db")) as db:
        assert list(db.execute("SELECT * FROM a")) == rows
    assert holdfast.drill("latest", store=store).state == "verified"


def test_what_a_library_makes_for_itself_is_in_no_proof_but_what_a_virtual_table_shows_is(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db", isolation_level=None)) as db:
        db.executescript(
            "CREATE TABLE t (a); CREATE INDEX i ON t (a); INSERT INTO t VALUES (1); ANALYZE;"
            "CREATE VIRTUAL TABLE f USING fts5(b); INSERT INTO f VALUES ('one'), ('two');"
            "CREATE VIRTUAL TABLE x USING fts5(a, content=t); CREATE VIRTUAL TABLE r USING rtree(id, x0, x1);"
            "CREATE VIRTUAL TABLE c USING fts5(b, content=''); CREATE TABLE f_own (a);"
        )
    record = holdfast.backup(f"sqlite:///{tmp_path}/app.db", store=str(tmp_path / "store"))
    tables = {name: rows for (kind, name), (rows, _) in proof(record).items() if kind == "table"}
    # Of a contentless index there is nothing but its tables.
    own = {name: rows for name, rows in tables.items() if not name.startswith("c_")}
    assert own == {"t": 1, "f": 2, "r": 0, "f_own": 0}
    assert "c_data" in tables


def test_a_proof_of_an_older_release_is_repeated_as_it_was_recorded(tmp_path: Path) -> None:
    """The first method had statistics and the tables of modules in it, and no virtual tables."""
    path = tmp_path / "restored.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(
            "CREATE TABLE t (a); CREATE INDEX i ON t (a); INSERT INTO t VALUES (1); ANALYZE;"
            "CREATE VIRTUAL TABLE f USING fts5(b); INSERT INTO f VALUES ('one');"
        )
        recorded = assemble(describe(db, method="sqlite-1").objects, image=None, method="sqlite-1")
    names = {entry.name for entry in recorded.objects if entry.kind == "table"}
    assert (
        names == {"t", "sqlite_stat1", "sqlite_stat4", "f_config", "f_content", "f_data", "f_docsize", "f_idx"} & names
    )
    assert {"t", "sqlite_stat1", "f_data"} <= names
    with open_scratch(ScratchRequest(id="x", scratch=tmp_path, options=SqliteOptions())) as scratch:
        assert scratch.check() == []
        assert scratch.proof(recorded) == recorded
        with closing(sqlite3.connect(path, isolation_level=None)) as db:
            db.execute("UPDATE f_content SET c0 = 'two'")
        assert [str(difference) for difference in compare(recorded, scratch.proof(recorded))] == [
            "table f_content: differs from what was recorded"
        ]


def test_what_the_dump_could_not_read_is_not_compared(tmp_path: Path) -> None:
    path = tmp_path / "restored.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript("CREATE TABLE t (a); CREATE TABLE u (a);")
        objects = [("table", "t", None, "") if entry[:2] == ("table", "t") else entry for entry in describe(db).objects]
    recorded = assemble(objects, image=None)
    with open_scratch(ScratchRequest(id="x", scratch=tmp_path, options=SqliteOptions())) as scratch:
        assert compare(recorded, scratch.proof(recorded)) == []


def test_a_table_that_only_another_library_can_read_is_not_called_different(tmp_path: Path) -> None:
    path = tmp_path / "restored.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript("CREATE TABLE t (a); INSERT INTO t VALUES (1);")
        recorded = assemble(describe(db).objects, image=None)
        db.execute("PRAGMA writable_schema = ON")
        db.execute("UPDATE sqlite_schema SET sql = 'CREATE TABLE t WHATEVER (a)' WHERE name = 't'")
    request = ScratchRequest(id="x", scratch=tmp_path, options=SqliteOptions(), server_version="3.99.0")
    with open_scratch(request) as scratch:
        assert scratch.check() == []
        assert any("cannot read the definition of t" in line for line in scratch.warnings)
        with pytest.raises(PluginError, match="table t: ") as unable:
            scratch.proof(recorded)
    assert "3.99.0" in str(unable.value.hint)


def test_without_check_and_without_proof_nothing_is_recorded(tmp_path: Path) -> None:
    make(tmp_path / "app.db")
    record = holdfast.backup(f"sqlite:///{tmp_path}/app.db", store=str(tmp_path / "store"), check=False, proof=False)
    manifest = json.loads(Path(record.path, "backup_manifest.json").read_text())
    assert manifest["proof"] is None
