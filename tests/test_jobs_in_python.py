"""`check_config`, `show_config` and `run_jobs`: the jobs of a `holdfast.toml` in a program."""

import json
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commandline import Shell

import holdfast
from holdfast.errors import NotFoundError, PartialError, UsageError

JOBS = """
[job.app]
source = "sqlite:///app.db"
store = "./kept"
[job.lost]
source = "sqlite:///lost.db"
store = "./kept"
[job.many]
source = "sqlite:///data/"
databases = "*"
store = "./kept"
"""


@pytest.fixture
def config(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in shell.environment().items():
        monkeypatch.setenv(name, value)
    (shell.folder / "holdfast.toml").write_text(JOBS)
    return shell.folder / "holdfast.toml"


def test_jobs_run_in_another_folder_and_what_fails_is_a_result(config: Path, shell: Shell, tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []
    result = holdfast.run_jobs(
        config=config, on_result=lambda done: seen.append((done.job, threading.current_thread().name))
    )
    assert sorted(seen) == [("app", "MainThread"), ("lost", "MainThread")]
    made = {done.job: done for done in result.databases}
    assert (made["app"].exit_code, made["app"].name, made["app"].steps[0].step) == (0, "app", "backup")
    assert [record.id for record in holdfast.list_backups(shell.folder / "kept")] == [made["app"].id]
    assert [(done.job, done.exit_code) for done in result.failed] == [("lost", 15)]
    assert [(job.job, job.exit_code) for job in result.failed_jobs] == [("many", 15)]
    with pytest.raises(PartialError, match=r"2 failed: sqlite:///lost\.db: database lost\.db does not exist; many: "):
        result.raise_for_failures()
    assert json.loads(json.dumps(result.as_data()))["databases"][0]["steps"]
    planned = holdfast.run_jobs(due=True, dry_run=True, config=config)
    assert ([plan.job for plan in planned.planned], [job.job for job in planned.failed_jobs]) == (["lost"], ["many"])
    assert holdfast.run_jobs("app", due=True, config=config) == holdfast.JobsResult()


def test_databases_that_have_vanished_are_told(config: Path, shell: Shell) -> None:
    (shell.folder / "data").mkdir()
    for name in ("a", "b"):
        (shell.folder / "data" / f"{name}.db").write_bytes((shell.folder / "app.db").read_bytes())
    holdfast.run_jobs("many", config=config).raise_for_failures()
    (shell.folder / "data" / "b.db").unlink()
    result = holdfast.run_jobs("many", config=config)
    assert [job.message for job in result.failed_jobs] == ["a database has vanished: sqlite:///data/b.db"]
    assert ["vanished" in warning for warning in result.warnings] == [True]


def test_a_wrong_call_or_file_is_the_error_that_it_is(config: Path) -> None:
    with pytest.raises(UsageError, match="no job '-n' in"):
        holdfast.run_jobs("-n", config=config)
    with pytest.raises(NotFoundError, match="there is no file"):
        holdfast.run_jobs(config="nowhere.toml")
    config.write_text(f"{JOBS}every = '1x'\nspraed = '1h'\n")
    check = holdfast.check_config(config)
    assert (check.passed, check.jobs, len(check.problems)) == (False, (), 1)
    assert (check.problems[0].key, check.problems[0].line) == ("job.many.spraed", 13)
    for call in (check.raise_for_problems, lambda: holdfast.show_config("app", config=config)):
        with pytest.raises(UsageError, match=r"13: job\.many\.spraed: "):
            call()
    with pytest.raises(UsageError, match=r"13: job\.many\.spraed: "):
        holdfast.run_jobs(config=config)


def test_what_holds_for_a_job_is_told_with_its_origin(config: Path) -> None:
    settings = {setting.key: setting for setting in holdfast.show_config("app", config=config)["app"]}
    assert (settings["store"].value, settings["store"].origin) == ("./kept", f"{config}:4")
    assert settings["every"].origin == "built in"
    assert list(holdfast.show_config(config=config)) == ["app", "lost", "many"]


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_run_ends_with_the_program_that_began_it(number: int, config: Path, shell: Shell) -> None:
    """Its backup waits for a lock of the database, and would for hours."""
    (shell.folder / "holdfast.toml").write_text(f'{JOBS}[defaults]\nretry = {{times = 9, wait = "1h"}}\n')
    code = (
        "import sqlite3, holdfast, sys\n"
        "db = sqlite3.connect('app.db', isolation_level=None); db.execute('BEGIN EXCLUSIVE')\n"
        "print('begun', flush=True)\n"
        "holdfast.run_jobs('app', config='holdfast.toml')\n"
    )
    environment = {**shell.environment(), "HOLDFAST_JOBS_TEST": str(shell.folder)}
    process = subprocess.Popen(
        [sys.executable, "-c", code], cwd=shell.folder, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    with process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        until(lambda: bool(ours(shell.folder) - {process.pid}))
        process.send_signal(number)
        process.communicate(timeout=60)
    until(lambda: not ours(shell.folder))


def ours(folder: Path) -> set[int]:
    """The processes that were started by the program of a test."""
    mark = f"HOLDFAST_JOBS_TEST={folder}".encode()
    numbers = set()
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (process / "environ").read_bytes().split(b"\0"):
                numbers.add(int(process.name))
        except OSError:
            continue
    return numbers


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
