"""The operators of `holdfast-airflow` in an Airflow with its scheduler; run by `make orchestrators` alone."""

import json
import os
import shutil
import sqlite3
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
from orchestrators.page import write_example
from support.servers.airflow import Airflow, DagRun, running_airflow, wait_for
from support.servers.postgres import PostgresServer, free_port, running

PROGRAMS = Path(os.environ["HOLDFAST_TEST_ORCHESTRATORS"]) / "airflow" / "bin"
PASSWORD = "Kräuter/9x?@:% tea"


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("airflow")
    (folder / "dags").mkdir()
    shutil.copy(Path(__file__).parent / "dags.py", folder / "dags")
    write_example("nightly_dag.py", folder / "dags")
    for name, rows in {"app": 3, "other": 4, "target_0": 1, "target_1": 1, "target_2": 1}.items():
        make(folder / f"{name}.db", rows)
    with closing(sqlite3.connect(folder / "large.db")) as db:
        db.execute("CREATE TABLE t(x BLOB)")
        db.executemany("INSERT INTO t VALUES (?)", [(os.urandom(1 << 19).hex().encode(),) for _ in range(60)])
        db.commit()
    return folder


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with running() as made:
        made.execute("postgres", f"CREATE ROLE keeper SUPERUSER LOGIN PASSWORD '{PASSWORD}'", "CREATE DATABASE shop")
        made.execute("postgres", "CREATE DATABASE shop_staging")
        made.execute("shop", "CREATE TABLE orders AS SELECT generate_series(1, 50) AS id")
        rules = made.folder / "data" / "pg_hba.conf"
        rules.write_text(f"host all keeper 127.0.0.1/32 scram-sha-256\n{rules.read_text()}")
        made.execute("postgres", "SELECT pg_reload_conf()")
        yield made


@pytest.fixture(scope="module")
def arguments() -> Iterator[set[str]]:
    """The command lines of all processes that there have been, as far as looking often tells."""
    seen: set[str] = set()
    ended = threading.Event()

    def look() -> None:
        while not ended.wait(0.02):
            for process in Path("/proc").glob("[0-9]*"):
                try:
                    seen.add((process / "cmdline").read_text(errors="replace").replace("\0", " "))
                except OSError:
                    continue

    thread = threading.Thread(target=look, daemon=True)
    thread.start()
    yield seen
    ended.set()
    thread.join()


@pytest.fixture(scope="module")
def airflow(root: Path, server: PostgresServer, arguments: set[str]) -> Iterator[Airflow]:
    files = ("app", "other", "large", "target_0", "target_1", "target_2")
    shop = {"conn_type": "postgres", "host": "127.0.0.1", "port": server.port, "login": "keeper", "schema": "shop"}
    connections: dict[str, dict[str, Any]] = {
        **{name: {"conn_type": "sqlite", "host": f"{root}/{name}.db"} for name in files},
        "nowhere": {"conn_type": "postgres", "host": "127.0.0.1", "port": free_port(), "schema": "shop"},
        "shop": {**shop, "password": PASSWORD, "extra": {"sslmode": "prefer", "cursor": "dictcursor"}},
        "shop_staging": {**shop, "schema": "shop_staging", "password": PASSWORD},
        "wrong_password": {**shop, "password": f"no {PASSWORD}"},
    }
    variables = {
        **{f"AIRFLOW_CONN_{name.upper()}": json.dumps(fields) for name, fields in connections.items()},
        "HOLDFAST_TEST_ROOT": str(root),
        "HOLDFAST_CACHE": str(root / "cache"),
    }
    with running_airflow(PROGRAMS, root / "home", root / "dags", {}, variables) as made:
        yield made


def make(path: Path, rows: int) -> None:
    with closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE t(x)")
        db.executemany("INSERT INTO t VALUES (?)", [(number,) for number in range(rows)])
        db.commit()


def rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as db:
        return int(db.execute("SELECT count(*) FROM t").fetchone()[0])


def backups(store: Path) -> list[dict[str, Any]]:
    """The manifests of a store, and nothing else that it holds of backups."""
    folders = [path for path in store.glob("*/*") if path.is_dir() and not path.parent.name.startswith(".")]
    assert all((path / "backup_manifest.json").exists() for path in folders), folders
    return [json.loads((path / "backup_manifest.json").read_text()) for path in folders]


@pytest.fixture(scope="module")
def nightly(airflow: Airflow) -> DagRun:
    run = airflow.trigger("nightly", "first")
    assert set(run.wait().values()) == {"success"}, [run.log(task) for task in run.tasks()]
    return run


def test_a_chain_leaves_small_plain_results_and_a_backup_of_its_run(nightly: DagRun, root: Path) -> None:
    results = {task: nightly.result(task) for task in nightly.tasks()}
    assert results["backup"]["run"] == "nightly/backup/first"
    assert [results[task]["state"] for task in ("backup", "verify", "drill")] == ["complete", "verified", "proven"]
    assert {results[task]["id"] for task in ("backup", "verify", "drill", "copy")} == {results["backup"]["id"]}
    assert (results["copy"]["store"], results["prune"]["kept_count"]) == (f"{root}/copies", 1)
    assert max(len(json.dumps(result)) for result in results.values()) < 1000
    assert [each["tags"] for each in backups(root / "store")] == [["nightly"]]
    assert len(backups(root / "copies")) == 1


def test_what_is_cleared_returns_the_backup_of_its_run(nightly: DagRun, root: Path) -> None:
    before = nightly.result("backup")
    nightly.clear("backup")
    wait_for(lambda: nightly.tasks()["backup"]["try_number"] == 2, "the second attempt")
    nightly.wait()
    assert nightly.result("backup") == {**before, "reused": True, "state": "proven"}
    assert len(backups(root / "store")) == 1


def test_a_worker_that_is_lost_after_its_backup_makes_no_second(airflow: Airflow, root: Path) -> None:
    run = airflow.trigger("interrupted", "first")
    assert run.wait() == {"backup": "success"}
    assert (run.tasks()["backup"]["try_number"], run.result("backup")["reused"]) == (3, True)
    assert len(backups(root / "interrupted")) == 1


def test_a_mapped_task_backs_each_database_up(airflow: Airflow, root: Path) -> None:
    run = airflow.trigger("several", "first")
    assert run.wait() == {"backup[0]": "success", "backup[1]": "success"}
    assert [run.result("backup", index)["name"] for index in (0, 1)] == ["app", "other"]
    assert len(backups(root / "several")) == 2


def test_only_what_may_pass_is_tried_again(airflow: Airflow, nightly: DagRun) -> None:
    run = airflow.trigger("failing", "first")
    assert set(run.wait().values()) == {"failed"}
    attempts = {name: task["try_number"] for name, task in run.tasks().items()}
    assert attempts == {"unreachable": 3, "refused": 1, "absent": 1, "missing": 1, "secret": 1}
    codes = {"unreachable": 15, "refused": 12, "absent": 14, "missing": 10}
    for task, code in codes.items():
        assert f"(exit code {code})" in run.log(task), task
    assert "name a connection instead" in run.log("secret")
    assert "hunter2" not in run.log("secret")


def test_no_secret_is_in_an_argument_a_log_or_the_database(
    airflow: Airflow, nightly: DagRun, root: Path, arguments: set[str]
) -> None:
    run = airflow.trigger("server", "first")
    assert set(run.wait().values()) == {"success"}, [run.log(task) for task in run.tasks()]
    assert run.result("drill")["state"] == "proven"
    assert any("pg_dump" in line for line in arguments), "looked too seldom"
    assert not [line for line in arguments if PASSWORD in line or "Kr%C3%A4uter" in line]
    forms = {PASSWORD, quote(PASSWORD, safe=""), quote(PASSWORD), json.dumps(PASSWORD)[1:-1], "Kr%C3%A4uter", "Kräuter"}
    for path in (path for top in ("home", "store") for path in (root / top).rglob("*") if path.is_file()):
        data = path.read_bytes()
        assert not [form for form in forms if form.encode() in data], path


def test_a_restore_waits_for_a_person_who_sees_what_it_does(airflow: Airflow, nightly: DagRun, root: Path) -> None:
    run = airflow.trigger("restore_0", "first")
    run.wait_for("back.approve", "awaiting_input")
    question = run.question("back.approve")
    backup = nightly.result("backup")["id"]
    assert question["subject"] == f"Restore app/{backup} into sqlite:///{root}/target_0.db?"
    assert "table t: gone (1 row)" in question["body"]
    assert rows(root / "target_0.db") == 1
    run.answer("back.approve", "Approve", run.result("back.plan")["digest"])
    assert set(run.wait().values()) == {"success"}, run.log("back.restore")
    assert rows(root / "target_0.db") == 3
    assert run.result("back.approve")["approved_by"]


def test_a_restore_that_is_rejected_is_skipped(airflow: Airflow, nightly: DagRun, root: Path) -> None:
    run = airflow.trigger("restore_1", "first")
    run.wait_for("back.approve", "awaiting_input")
    run.answer("back.approve", "Reject", run.result("back.plan")["digest"])
    assert run.wait() == {"back.plan": "success", "back.approve": "success", "back.restore": "skipped"}
    assert rows(root / "target_1.db") == 1


def test_a_restore_of_which_the_target_has_changed_is_refused(airflow: Airflow, nightly: DagRun, root: Path) -> None:
    run = airflow.trigger("restore_2", "first")
    run.wait_for("back.approve", "awaiting_input")
    with closing(sqlite3.connect(root / "target_2.db")) as db:
        db.execute("INSERT INTO t VALUES (7)")
        db.commit()
    run.answer("back.approve", "Approve", run.result("back.plan")["digest"])
    assert run.wait()["back.restore"] == "failed"
    assert "would not do what was planned" in run.log("back.restore")
    assert rows(root / "target_2.db") == 2


def test_an_approval_of_something_else_is_none(airflow: Airflow, nightly: DagRun, root: Path) -> None:
    run = airflow.trigger("restore_1", "second")
    run.wait_for("back.approve", "awaiting_input")
    run.answer("back.approve", "Approve", "0" * 64)
    assert run.wait() == {"back.plan": "success", "back.approve": "failed", "back.restore": "upstream_failed"}
    assert rows(root / "target_1.db") == 1


def test_a_restore_without_approval_is_refused_where_it_needs_one(
    airflow: Airflow, nightly: DagRun, root: Path
) -> None:
    run = airflow.trigger("restore_alone", "first")
    assert run.wait() == {"plan": "success", "new": "success", "unapproved": "failed", "full": "failed"}
    assert "has not been approved" in run.log("unapproved")
    assert "(exit code 16); hint: use --replace" in run.log("full")
    assert rows(root / "alone.db") == 3


def test_the_example_of_the_documentation(airflow: Airflow, root: Path) -> None:
    """Its store is that of the folder that the DAGs lie in."""
    run = airflow.trigger("shop_nightly", "first")
    assert run.wait() == {"backup": "success", "drill": "success", "prune": "success"}
    restore = airflow.trigger("shop_restore", "first")
    restore.wait_for("restore.approve", "awaiting_input")
    restore.answer("restore.approve", "Approve", restore.result("restore.plan")["digest"])
    assert set(restore.wait().values()) == {"success"}
    assert restore.result("restore.restore")["id"] == run.result("backup")["id"]


def test_the_operators_have_the_types_that_airflow_asks_for() -> None:
    """Where the rest of the code is checked, Airflow is not installed."""
    source = Path(__file__).parents[2] / "plugins" / "airflow" / "src"
    done = subprocess.run(
        [PROGRAMS / "mypy", "--strict", "--config-file", os.devnull, "--cache-dir", os.devnull, "holdfast_airflow"],
        cwd=source, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "Success: no issues" in done.stdout, done.stdout


def test_a_backup_that_is_ended_leaves_nothing(airflow: Airflow, root: Path) -> None:
    run = airflow.trigger("slow", "first")
    wait_for(lambda: any((root / "killed").glob("large/*")), "the backup to begin")
    airflow.ask("PATCH", f"{run.path}/taskInstances/killed", {"new_state": "failed"})
    assert run.wait() == {"killed": "failed", "timed_out": "failed"}
    for store in ("killed", "timed_out"):
        wait_for(partial(is_clean, root / store), f"{store} to be cleaned up")
        assert backups(root / store) == []
    wait_for(lambda: not processes_on(root / "large.db"), f"what is left: {processes_on(root / 'large.db')}")
    assert run.tasks()["killed"]["try_number"] == 1


def is_clean(store: Path) -> bool:
    """Whether nothing of a backup lies in a store."""
    return not any(store.glob("large/*"))


def processes_on(path: Path) -> list[str]:
    """The processes that have a file open."""
    holding = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(name) == str(path) for name in (process / "fd").iterdir()):
                holding.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:
            continue
    return holding
