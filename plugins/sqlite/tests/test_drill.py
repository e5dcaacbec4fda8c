"""A drill proves a sound SQLite backup, and finds out one that is not what was stored."""

import json
import os
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest
from support.mutations import assert_named, forge

import holdfast
from holdfast.api import HoldfastError, UsageError
from holdfast.testing.drills import drill_mutated

Sample = Callable[..., None]


def stored_image(record: holdfast.Backup) -> Path:
    (blob,) = Path(record.path).glob("database.sqlite*")
    return blob


def test_a_backup_whose_stored_data_was_forged_with_all_its_digests_is_found_out(
    tmp_path: Path, make_sample: Sample
) -> None:
    """Whoever rewrites blob, manifest digests and SHA256SUMS still has to know of the proof."""
    make_sample(tmp_path / "sample.db")
    record = holdfast.backup(f"sqlite:///{tmp_path}/sample.db", store=str(tmp_path / "store"), codec="none")
    blob = stored_image(record)
    with closing(sqlite3.connect(blob)) as db:
        db.execute("UPDATE customer SET balance = 0 WHERE id = 8")
        db.commit()
    forge(record, "database", blob.read_bytes())
    result = drill_mutated(record.id, str(tmp_path / "store"), lambda _url: None)
    assert_named(result, "table customer: differs")
    assert {difference.name for difference in result.differences} == {"customer", "database"}


@pytest.mark.parametrize("seed", range(4))
def test_a_bit_that_turned_in_the_stored_blob_fails_the_drill_and_names_the_blob(
    seed: int, tmp_path: Path, make_sample: Sample
) -> None:
    make_sample(tmp_path / "sample.db")
    record = holdfast.backup(f"sqlite:///{tmp_path}/sample.db", store=str(tmp_path / "store"))
    blob = stored_image(record)
    data = bytearray(blob.read_bytes())
    data[random.Random(seed).randrange(len(data))] ^= 4
    os.chmod(blob, 0o600)
    blob.write_bytes(data)
    result = drill_mutated(record.id, str(tmp_path / "store"), lambda _url: None)
    assert_named(result, "database")


@pytest.mark.sweep(1)
@pytest.mark.parametrize("seed", range(3))
def test_clean_drills_raise_no_alarm_while_the_source_is_written_to(
    seed: int, tmp_path: Path, make_sample: Sample
) -> None:
    make_sample(tmp_path / "sample.db", seed)
    with closing(sqlite3.connect(tmp_path / "sample.db")) as db:
        db.execute(f"PRAGMA journal_mode = {'WAL' if seed % 2 else 'DELETE'}")
    stop = threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(tmp_path / "sample.db", timeout=30)) as db:
            n = 0
            while not stop.is_set():
                n += 1
                db.execute("INSERT INTO pair VALUES ('w', ?, ?)", (str(n), 1000 + n))
                db.execute("UPDATE customer SET balance = balance + 1, photo = zeroblob(? % 9000)", (n * 997,))
                db.execute("DELETE FROM purchase WHERE id = ?", (n % 200,))
                db.commit()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        records = [holdfast.backup(f"sqlite:///{tmp_path}/sample.db", store=str(tmp_path / "store")) for _ in range(3)]
    finally:
        stop.set()
        writer.join()
    for record in records:
        result = holdfast.drill(record.id, store=str(tmp_path / "store"))
        assert (result.passed, result.state, result.problems) == (True, "proven", ())
        assert result.compared > 20


def test_the_proof_depends_neither_on_the_order_of_rows_nor_on_the_layout_of_the_file(
    tmp_path: Path, make_sample: Sample
) -> None:
    make_sample(tmp_path / "a.db")
    script = "".join(f"{line}\n" for line in _dump_without_virtual(tmp_path / "a.db"))
    with closing(sqlite3.connect(tmp_path / "b.db")) as db:
        db.executescript("PRAGMA page_size = 1024; PRAGMA user_version = 3; PRAGMA application_id = 4711;" + script)
        db.execute("CREATE TABLE shuffled AS SELECT value FROM heap ORDER BY random()")
        db.executescript("DROP TRIGGER heap_once; DELETE FROM heap; INSERT INTO heap SELECT value FROM shuffled;")
        db.executescript("DROP TABLE shuffled; VACUUM;")
        db.commit()

    def tables(path: Path) -> dict[str, tuple[int, str]]:
        record = holdfast.backup(f"sqlite:///{path}", store=str(tmp_path / "store"))
        manifest = json.loads(Path(record.path, "backup_manifest.json").read_text())
        objects = manifest["proof"]["objects"]
        return {entry["name"]: (entry["rows"], entry["digest"]) for entry in objects if entry["kind"] == "table"}

    first, second = tables(tmp_path / "a.db"), tables(tmp_path / "b.db")
    for name in ("customer", "purchase", "pair", "heap", "empty", "sqlite_sequence", 'odd "name" too'):
        assert first[name] == second[name]


def _dump_without_virtual(path: Path) -> Iterator[str]:
    with closing(sqlite3.connect(path)) as db:
        db.text_factory = lambda raw: raw.decode(errors="surrogateescape")
        db.execute("DROP TABLE prose")
        db.execute("DELETE FROM heap WHERE value = cast(x'ff41' AS TEXT)")  # SQL text cannot hold it
        db.commit()
        yield from db.iterdump()


def test_rows_of_a_large_database_are_counted_and_digested_only_on_request(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "large.db")) as db:
        db.execute("CREATE TABLE t (x)")
        db.execute("WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n LIMIT 50001) INSERT INTO t "
                   "SELECT i FROM n")  # fmt: skip
        db.commit()
    url, store = f"sqlite:///{tmp_path}/large.db", str(tmp_path / "store")
    tables = {}
    for proof in (None, True, False):
        record = holdfast.backup(url, store=store, proof=proof)
        manifest = json.loads(Path(record.path, "backup_manifest.json").read_text())
        tables[proof] = manifest["proof"] and manifest["proof"]["objects"][-1]
        expected = "verified" if proof is False else "proven"
        assert holdfast.drill(record.id, store=store).state == expected
    assert tables[None] == {"kind": "table", "name": "t", "rows": 50001, "digest": ""}
    assert tables[True]["rows"] == 50001
    assert len(tables[True]["digest"]) == 32
    assert tables[False] is None


def test_a_drill_cannot_be_sent_to_a_place_of_an_sqlite_url(tmp_path: Path, make_sample: Sample) -> None:
    make_sample(tmp_path / "sample.db")
    record = holdfast.backup(f"sqlite:///{tmp_path}/sample.db", store=str(tmp_path / "store"))
    with pytest.raises(UsageError, match="temporary file"):
        holdfast.drill(record.id, store=str(tmp_path / "store"), into=f"sqlite:///{tmp_path}")
    assert holdfast.list_backups(str(tmp_path / "store"))[0].state == "complete"


def test_an_index_that_its_source_had_at_fault_is_named_and_no_damage_of_the_backup(
    tmp_path: Path, make_sample: Sample
) -> None:
    make_sample(tmp_path / "sample.db")
    image = bytearray((tmp_path / "sample.db").read_bytes())
    at = image.index(b"name-1-0007")
    image[at : at + 11] = b"name-9-9999"  # in the table or in its index, but not in both
    (tmp_path / "sample.db").write_bytes(image)
    url, store = f"sqlite:///{tmp_path}/sample.db", str(tmp_path / "store")
    record = holdfast.backup(url, store=store)  # quick_check does not compare indexes with tables
    assert (record.state, record.warnings) == ("complete", ())
    result = holdfast.drill(record.id, store=store)
    assert (result.passed, result.state) == (True, "proven")
    (fault,) = result.faults
    assert fault.startswith("index customer_name does not agree with table customer (row ")
    assert fault.endswith("run REINDEX customer_name in the source")
    holdfast.restore(record.id, f"sqlite:///{tmp_path}/copy.db", store=store)
    assert (tmp_path / "copy.db").read_bytes() == image
    assert holdfast.backup(url, store=store, check="full").warnings == (fault,)


def test_a_script_that_needs_its_application_is_not_drilled_and_stays_as_it_was(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.create_function("hashed", 1, len, deterministic=True)
        db.executescript("CREATE TABLE t (x); CREATE INDEX t_x ON t (hashed(x)); INSERT INTO t VALUES ('a');")
    store = str(tmp_path / "store")
    record = holdfast.backup(f"sqlite:///{tmp_path}/app.db", store=store, options={"format": "sql"})
    with pytest.raises(HoldfastError, match="no such function: hashed") as failure:
        holdfast.drill(record.id, store=store)
    assert failure.value.exit_code == 1
    assert holdfast.list_backups(store)[0].state == "complete"


def test_what_cannot_be_checked_of_one_table_is_a_warning_and_the_rest_is_proven(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.executescript(
            "CREATE TABLE t (x); INSERT INTO t VALUES ('no JSON'); CREATE TABLE u (x); CREATE INDEX i ON u (x)"
        )
        db.execute("PRAGMA writable_schema = ON")
        column = "'CREATE TABLE t (x, y INTEGER AS (json_extract(x, ''$.y'')) NOT NULL)'"
        db.execute(f"UPDATE sqlite_schema SET sql = {column} WHERE name = 't'")
        db.commit()
    store = str(tmp_path / "store")
    record = holdfast.backup(f"sqlite:///{tmp_path}/app.db", store=store)
    result = holdfast.drill(record.id, store=store)
    assert (result.state, result.warnings) == (
        "proven", ("table t with its indexes could not be checked: malformed JSON",)
    )  # fmt: skip


def test_a_script_that_is_not_what_was_stored_is_damaged_also_where_it_names_a_function(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.executescript("CREATE TABLE t (x); CREATE INDEX t_x ON t (lower(x)); INSERT INTO t VALUES ('a');")
    store = str(tmp_path / "store")
    options = {"format": "sql"}
    record = holdfast.backup(f"sqlite:///{tmp_path}/app.db", store=store, codec="none", options=options)
    blob = Path(record.path) / "database.sql"
    os.chmod(blob, 0o600)
    blob.write_bytes(blob.read_bytes().replace(b"lower(", b"mower("))
    result = holdfast.drill(record.id, store=store)
    assert (result.passed, result.state) == (False, "damaged")
    assert "is not what was stored" in result.problems[0]


def test_the_command_line_exits_13_and_names_the_object(tmp_path: Path, make_sample: Sample) -> None:
    make_sample(tmp_path / "sample.db")
    store = str(tmp_path / "store")
    record = holdfast.backup(f"sqlite:///{tmp_path}/sample.db", store=store)
    blob = stored_image(record)
    blob.write_bytes(blob.read_bytes()[:-10])
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", "drill", "latest", "--store", store, "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 13
    assert "database.sqlite" in done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    (result,) = (line for line in lines if line["type"] == "drill")
    assert (result["passed"], result["state"]) == (False, "damaged")
