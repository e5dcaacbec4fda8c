"""Clusters with faults: what `holdfast run --executor dask://…` says and returns, and what goes on elsewhere."""

import json
import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.commandline import Shell, make_shell
from support.databases import make_database
from support.servers.dask_cluster import DaskCluster, dask_cluster, steps_of

FILES = 'every = "400d"\n[job.files]\nsource = "sqlite:///data/*.db"\ndatabases = "*"\n'
# Not a step ends while somebody writes, and the one that waits for it does so in a child of the engine.
SLOW = 'backup.options = {lock_timeout = "600"}\n'
WITHOUT = "import sys\nsys.modules['holdfast_dask'] = None\n"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DaskCluster]:
    """A scheduler; each test starts the worker that it needs."""
    quick = {"DASK_DISTRIBUTED__SCHEDULER__ALLOWED_FAILURES": "0"}
    with dask_cluster(tmp_path_factory.mktemp("cluster"), env=quick) as running:
        yield running


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A folder with three databases."""
    (tmp_path / "data").mkdir()
    for name in "abc":
        make_database(tmp_path / "data" / f"{name}.db")
    return make_shell(tmp_path)


@contextmanager
def worker(cluster: DaskCluster, *words: str, env: dict[str, str] | None = None) -> Iterator[str]:
    name = f"w{time.monotonic_ns()}"
    cluster.start_worker(name, *words, env=env)
    try:
        yield name
    finally:
        if name in cluster.programs:
            cluster.stop(name)


def write(shell: Shell, url: str, settings: str = "", defaults: str = "") -> tuple[str, ...]:
    text = f"[defaults]\n{defaults}{FILES}{settings}"
    (shell.folder / "holdfast.toml").write_text(text)
    return "run", "--due", "--config", "holdfast.toml", "--json", "--executor", url


def until(what: Callable[[], Any], message: str, seconds: float = 60.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := what()):
        assert time.monotonic() < deadline, message
        time.sleep(0.02)
    return value


def steps(lines: list[dict[str, Any]]) -> list[tuple[int, str]]:
    """The exit code and message of each database."""
    return [(line["exit_code"], line["steps"][-1].get("message", "")) for line in lines if line["type"] == "database"]


def test_what_cannot_be_reached_is_exit_15(shell: Shell, cluster: DaskCluster) -> None:
    ran = shell.fails(15, *write(shell, "dask://127.0.0.1:1?timeout=2"))
    assert "the Dask scheduler at tcp://127.0.0.1:1 does not answer" in ran.stderr
    ran = shell.run(*write(shell, f"{cluster.url}?timeout=2"), code=3)
    (code, message), *_ = steps([line for line in ran.lines if line["type"] == "database"])
    assert (code, "has had no worker for 2 s" in message) == (15, True)
    for wrong in ("dask://", "dask://u:hunter2@h:1", "dask://h/path", "dask://h?protocol=udp", "dask://h?x=1"):
        assert "hunter2" not in shell.fails(2, *write(shell, wrong)).stderr


def test_a_worker_that_lacks_something_is_exit_14_and_says_what(
    shell: Shell, cluster: DaskCluster, tmp_path: Path
) -> None:
    (tmp_path / "without.py").write_text(WITHOUT)
    words = write(shell, cluster.url)
    with worker(cluster, "--preload", str(tmp_path / "without.py")):
        failures = steps(shell.run(*words, code=3).lines)
    assert {code for code, _ in failures} == {14}
    assert "holdfast_dask" in failures[0][1]
    with worker(cluster, env={"HOLDFAST_DISABLE_PLUGINS": "sqlite"}):
        failures = steps(shell.run(*words, code=3).lines)
    assert {code for code, _ in failures} == {14}
    assert "no engine for 'sqlite'" in failures[0][1]


@pytest.mark.parametrize("end", ["SIGINT", "SIGKILL"])
def test_a_run_that_is_ended_ends_what_the_workers_are_at(end: str, shell: Shell, cluster: DaskCluster) -> None:
    """Dask itself lets them go on."""
    locks = [sqlite3.connect(path, isolation_level=None) for path in (shell.folder / "data").iterdir()]
    with worker(cluster) as name:
        for lock in locks:
            lock.execute("BEGIN EXCLUSIVE")
        process = shell.start(*write(shell, cluster.url, SLOW))
        number = cluster.process_of(name)
        until(lambda: len(steps_of(number)) == 2, "the worker is at nothing")
        process.send_signal(signal.Signals[end])
        process.communicate(timeout=60)
        assert process.returncode == {"SIGINT": 130, "SIGKILL": -9}[end]
        until(lambda: not steps_of(number), "a step goes on")
        for lock in locks:
            lock.close()
        assert not shell.store.exists() or shell.listing() == []


def test_a_scheduler_that_is_restarted_costs_no_second_backup(shell: Shell, tmp_path: Path) -> None:
    settings = 'retry = {times = 30, wait = "1s"}\n'
    for number in range(6):
        make_database(shell.folder / "data" / f"more{number}.db")
    with dask_cluster(tmp_path / "cluster", "one") as own:
        process = shell.start(*write(shell, own.url, defaults=settings))
        until(lambda: steps_of(own.process_of("one")), "the worker is at nothing")
        own.stop("scheduler", kill=True)
        own.start_scheduler()
        until(lambda: own.programs["one"].poll() is not None or own.log("one").count("Registered to") > 1, "it hangs")
        if own.programs["one"].poll() is not None:
            own.start_worker("one")
        output, said = process.communicate(timeout=200)
        assert process.returncode == 0, (output, said)
    lines = [json.loads(line) for line in output.splitlines()]
    records = shell.listing()
    assert (len(lines), len(records), len({record["name"] for record in records})) == (9, 9, 9)
    assert {line["id"] for line in lines} == {record["id"] for record in records}


def test_workers_of_another_format_of_plans_refuse_them(shell: Shell, cluster: DaskCluster, tmp_path: Path) -> None:
    (tmp_path / "other.py").write_text("import holdfast.jobs.wire\nholdfast.jobs.wire.FORMAT = 2\n")
    with worker(cluster, "--preload", str(tmp_path / "other.py")):
        (code, message), *_ = steps(shell.run(*write(shell, cluster.url), code=3).lines)
    assert (code, "cannot read it" in message) == (14, True)


def test_tasks_that_end_their_workers_are_given_up(shell: Shell, cluster: DaskCluster, tmp_path: Path) -> None:
    """Here with the first, by default with the fourth."""
    (tmp_path / "dying.py").write_text(
        "import os\nimport holdfast_dask.worker\nholdfast_dask.worker.call = lambda *_: os._exit(3)\n"
    )
    with worker(cluster, "--preload", str(tmp_path / "dying.py")):
        failures = steps(shell.run(*write(shell, cluster.url), code=3).lines)
    assert {(code, "Dask gave the task up: KilledWorker" in message) for code, message in failures} == {(1, True)}
