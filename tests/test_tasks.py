"""The steps run as tasks in other processes: they pickle, and so do their results and errors."""

import json
import pickle
import sqlite3
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import IntegrityError, UnreachableError, UnsafeError, UsageError
from holdfast.tasks import backup_task, drill_task, plan_restore_task, prune_task, restore_task, verify_task


@pytest.fixture
def url(tmp_path: Path) -> str:
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.execute("CREATE TABLE t AS SELECT 1 AS x")
        db.commit()
    return f"sqlite:///{tmp_path}/app.db"


@pytest.mark.filterwarnings("ignore:resource_tracker")  # which an earlier test may have lost
def test_a_chain_of_steps_runs_in_another_process_and_returns_plain_data(url: str, tmp_path: Path) -> None:
    store = str(tmp_path / "store")
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        records = [pool.submit(backup_task, url, store=store, tags=["nightly"]).result() for _ in range(2)]
        checked = pool.submit(verify_task, records[1], read_data=True).result()
        proven = pool.submit(drill_task, records[1]).result()
        pruned = pool.submit(prune_task, store, keep_last=1).result()
        with pytest.raises(UnreachableError, match="does not exist") as raised:
            pool.submit(backup_task, url + ".no", store=store).result()
    assert raised.value.exit_code == 15
    assert (records[0]["tags"], records[0]["store"]) == (["nightly"], store)
    assert (checked["state"], proven["state"], proven["passed"]) == ("verified", "proven", True)
    assert (pruned["deleted"], pruned["kept"]) == ([records[0]["id"]], [records[1]["id"]])
    for result in (*records, checked, proven, pruned):
        assert json.loads(json.dumps(result)) == result


def test_a_plan_as_plain_data_and_a_reference_as_text_do_as_well(url: str, tmp_path: Path) -> None:
    record = backup_task({"source": url, "store": str(tmp_path / "store"), "codec": "none"})
    assert record["codec"] == "none"
    assert verify_task("latest", store=str(tmp_path / "store"))["id"] == record["id"]
    assert drill_task(record["id"], store=str(tmp_path / "store"))["compared"] > 0


def test_a_store_may_be_a_path_and_what_is_no_backup_is_a_usage_error(url: str, tmp_path: Path) -> None:
    record = backup_task(url, store=tmp_path / "store")
    for result in (verify_task(record["id"], store=tmp_path / "store"), prune_task(tmp_path / "store", keep_last=1)):
        assert json.loads(json.dumps(result))["store"] == str(tmp_path / "store")
    wrong: Any
    for wrong in ({}, None, 5):
        with pytest.raises(UsageError, match="named by a reference"):
            verify_task(wrong, store=tmp_path)
    with pytest.raises(UsageError, match="names is 'app'"):
        prune_task(tmp_path / "store", names="app", keep_last=1)  # type: ignore[arg-type]


def test_a_step_that_does_not_reach_its_aim_raises_an_error_that_pickles(url: str, tmp_path: Path) -> None:
    record = backup_task(url, store=str(tmp_path / "store"))
    (blob,) = Path(record["path"]).glob("database*")
    data = blob.read_bytes()
    blob.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    for step in (verify_task, drill_task):
        with pytest.raises(IntegrityError) as raised:
            step(record)
        copy = pickle.loads(pickle.dumps(raised.value))
        assert (type(copy), copy.message, copy.hint) == (IntegrityError, raised.value.message, raised.value.hint)


def test_a_restore_does_what_was_planned_or_is_refused(url: str, tmp_path: Path) -> None:
    record = backup_task(url, store=str(tmp_path / "store"))
    other = tmp_path / "other.db"
    target = f"sqlite:///{other}"
    with closing(sqlite3.connect(other)) as db:
        db.executescript("CREATE TABLE kept AS SELECT 1 AS x")
    before = other.read_bytes()
    with pytest.raises(UnsafeError, match="holds data"):
        plan_restore_task(record, target)
    plan = plan_restore_task(record, target, replace=True)
    assert json.loads(json.dumps(plan)) == plan
    assert [(change["name"], change["action"], change["rows"]) for change in plan["changes"]] == [("kept", "gone", 1)]
    assert plan["digest"] == plan_restore_task(record, target, replace=True)["digest"]
    refused: list[tuple[str, dict[str, Any]]] = [
        (f"sqlite:///{tmp_path}/new.db", {"replace": True}),
        (target, {"replace": True, "check": "full"}),
    ]
    for where, options in refused:
        with pytest.raises(UnsafeError, match="would not do what was planned"):
            restore_task(record, where, digest=plan["digest"], **options)
    with closing(sqlite3.connect(other)) as db:
        db.executescript("INSERT INTO kept VALUES (2)")
    with pytest.raises(UnsafeError, match="would not do what was planned"):
        restore_task(plan, target, digest=plan["digest"], replace=True)
    with closing(sqlite3.connect(other)) as db:
        assert db.execute("SELECT count(*) FROM kept").fetchone() == (2,)
    other.write_bytes(before)
    assert restore_task(plan, target, digest=plan["digest"], replace=True)["id"] == record["id"]
    with closing(sqlite3.connect(other)) as db:
        assert db.execute("SELECT x FROM t").fetchall() == [(1,)]
    assert restore_task("latest", f"sqlite:///{tmp_path}/new.db", store=record["store"])["target"].endswith("new.db")
