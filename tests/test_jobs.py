"""`holdfast run`: what is due is done once, by processes that end with it, and one line says what became of each."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.commandline import Shell
from support.disks import own_mounts
from support.servers.mariadb import MariaDB, mariadb
from support.servers.postgres import PostgresServer, postgres_server

from holdfast.jobs.limits import HostLocks, lock_name, state_folder
from holdfast.store import findings
from holdfast.store.findings import Depth
from holdfast.store.folder import FolderStorage

__all__ = ["mariadb", "postgres_server"]

APP = '[job.app]\nsource = "sqlite:///app.db"\n'


def write(shell: Shell, text: str) -> tuple[str, ...]:
    (shell.folder / "holdfast.toml").write_text(text)
    return "run", "--config", "holdfast.toml", "--json"


def lines(ran: Any) -> list[dict[str, Any]]:
    return [line for line in ran.lines if line["type"] != "error"]


@contextmanager
def write_lock(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as db:
        db.execute("BEGIN EXCLUSIVE")
        yield
        db.rollback()


def test_what_is_due_is_done_step_by_step_and_then_is_not_due(shell: Shell) -> None:
    defaults = (
        '[defaults]\nevery = "400d"\nverify = {every = "400d", read_data = true}\ndrill.every = "400d"\n'
        'keep = {last = 1}\ncopy = ["./other"]\nbackup.tags = ["by job"]\n'
    )
    words = write(shell, defaults + APP)
    (plan,) = lines(shell.run(*words, "--due", "-n"))
    steps = ["backup", "verify", "drill", "copy", "prune"]
    assert plan == {"type": "plan", "job": "app", "source": "sqlite:///app.db", "run": plan["run"], "due": steps}
    assert not shell.store.exists()
    (line,) = lines(shell.run(*words, "--due"))
    assert ([step["step"] for step in line["steps"]], line["exit_code"]) == (steps, 0)
    (record,) = shell.listing()
    assert (record["id"], record["run"], record["state"]) == (line["id"], plan["run"], "proven")
    assert record["tags"] == ["by job"]
    assert [copy["id"] for copy in shell.listing("--store", "other")] == [line["id"]]
    (plan,) = lines(shell.run(*words, "app", "-n"))
    assert plan["due"] == ["backup", "copy", "prune"], "the checks are not due, whatever is asked for"
    assert lines(shell.run(*words, "--due")) == []
    assert "which jobs?" in shell.fails(2, "run").stderr
    assert "no job 'ap'" in shell.fails(2, *words, "ap").stderr


def test_a_step_that_fails_ends_its_database_and_stops_no_other(shell: Shell) -> None:
    (shell.folder / "bad.db").write_bytes(b"no database" * 1000)
    defaults = '[defaults]\ndrill.every = "1d"\nkeep.last = 1\n'
    words = write(
        shell, f'{defaults}{APP}[job.bad]\nsource = "sqlite:///bad.db"\n[job.gone]\nsource = "sqlite:///no.db"\n'
    )
    ran = shell.run(*words, "--all", code=3)
    codes = {line["job"]: ([step["step"] for step in line["steps"]], line["exit_code"]) for line in lines(ran)}
    assert codes == {"app": (["backup", "drill", "prune"], 0), "bad": (["backup"], 13), "gone": (["backup"], 15)}
    messages = {line["job"]: line["steps"][-1].get("message") for line in lines(ran)}
    assert "does not exist" in messages["gone"]
    assert ran.last["message"] == "2 of 3 failed"


def test_after_a_drill_that_failed_the_drill_is_tried_again_and_no_backup_made(shell: Shell) -> None:
    words = write(shell, APP + 'every = "400d"\ndrill.every = "400d"\ncopy = ["./other"]\n')
    shell.run(*words, "--due")
    (made,) = shell.listing()
    storage = FolderStorage(str(shell.store))
    findings.record(storage, f"app/{made['id']}", depth=Depth.DRILL, problems=["differs"], detail={})
    (passed,) = (shell.store / "app" / made["id"] / "findings").glob("*-drill-passed-*")
    passed.unlink()
    assert [each["state"] for each in shell.listing()] == ["damaged"]
    (plan,) = lines(shell.run(*words, "--due", "-n"))
    assert plan["due"] == ["drill"]
    (line,) = lines(shell.run(*words, "--due"))
    assert ([step["step"] for step in line["steps"]], line["id"], line["exit_code"]) == (["drill"], made["id"], 0)
    assert [each["state"] for each in shell.listing()] == ["proven"]
    # what lies there damaged is another matter: a backup is missing
    findings.record(storage, f"app/{made['id']}", depth=Depth.STORED, problems=["flipped"], detail={})
    (plan,) = lines(shell.run(*words, "--due", "-n"))
    assert plan["due"] == ["backup", "copy"]


def test_a_backup_of_a_part_counts_for_a_job_of_that_part_alone(shell: Shell) -> None:
    """What is made by hand counts otherwise, whatever its run."""
    part = 'backup.select = ["t*"]\nbackup.options = {format = "sql"}\n'
    words = write(shell, f"{APP}[job.part]\nsource = 'sqlite:///app.db'\n{part}")
    shell.backup("sqlite:///app.db", "-o", "format=sql", "--select", "[a-z]*")
    assert [line["job"] for line in lines(shell.run(*words, "--due", "-n"))] == ["app"]
    shell.backup("sqlite:///app.db")
    assert lines(shell.run(*words, "--due", "-n")) == []


def test_two_hosts_with_one_file_and_store_make_each_backup_once(shell: Shell) -> None:
    text = '[defaults]\nretry = {times = 50, wait = "0.1s"}\n[limits]\nparallel = 2\n'
    for name in "abcd":
        (shell.folder / f"{name}.db").write_bytes((shell.folder / "app.db").read_bytes())
        text += f'[job.{name}]\nsource = "sqlite:///{name}.db"\n'
    words = write(shell, text)
    hosts = [shell.start(*words, "--due", env={"HOLDFAST_STATE": str(shell.folder / name)}) for name in ("h1", "h2")]
    ended = [host.communicate(timeout=120) for host in hosts]
    assert [host.returncode for host in hosts] == [0, 0], ended
    records = shell.listing()
    assert sorted(record["name"] for record in records) == ["a", "b", "c", "d"]
    ids = {line["id"] for output, _ in ended for line in map(json.loads, output.splitlines())}
    assert ids == {record["id"] for record in records}


def test_a_job_that_is_run_already_is_skipped_and_an_untrusted_one_refused(shell: Shell) -> None:
    words = write(shell, APP)
    locks = HostLocks(state_folder({"HOLDFAST_STATE": str(shell.folder / "state")}))
    lock = locks.try_lock(lock_name("job", str(shell.folder / "holdfast.toml"), "app"))
    assert lock is not None
    with lock:
        (line,) = lines(shell.run(*words, "--due", env={"HOLDFAST_STATE": str(shell.folder / "state")}))
    assert line == {"type": "skipped", "job": "app", "reason": "another process is running it"}
    write(shell, f'{APP}hooks.before = [["touch", "touched"]]\n')
    (refused,) = lines(shell.run("run", "--due", "--json", code=3))
    assert (refused["exit_code"], "not trusted" in refused["message"]) == (16, True)
    assert not (shell.folder / "touched").exists()


def test_only_what_may_be_otherwise_soon_is_tried_again(shell: Shell) -> None:
    options = 'backup.options = {lock_timeout = "0.1"}\nretry = {times = 30, wait = "0.2s"}\n'
    words = write(shell, f"{APP}{options}")
    with write_lock(shell.folder / "app.db"):
        process = shell.start(*words, "app")
        time.sleep(1.5)  # its first try is over by then, or the lock is gone before: both end well
    output, _ = process.communicate(timeout=60)
    (line,) = (line for line in map(json.loads, output.splitlines()) if line["type"] == "database")
    assert (process.returncode, line["exit_code"]) == (0, 0)
    (shell.folder / "app.db").write_bytes(b"no database" * 1000)
    (line,) = lines(shell.run(*words, "app", code=3))
    assert (line["steps"][0]["attempts"], line["exit_code"]) == (1, 13)


def children_of(folder: Path) -> list[int]:
    """The processes that work in a folder."""
    numbers = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.readlink(f"/proc/{name}/cwd") == str(folder) and int(name) != os.getpid():
                numbers.append(int(name))
        except OSError:
            continue
    return numbers


@pytest.mark.parametrize("end", ["timeout", "SIGTERM", "SIGKILL"])
def test_whatever_ends_a_run_or_a_step_ends_all_of_it(end: str, shell: Shell) -> None:
    """Nothing goes on unseen, and the next run makes the backup."""
    timeout = "2s" if end == "timeout" else "1h"
    text = f'{APP}backup.options = {{lock_timeout = "600"}}\ntimeout = "{timeout}"\n'
    words = write(shell, text)
    with write_lock(shell.folder / "app.db"):
        process = shell.start(*words, "--due")
        deadline = time.monotonic() + 60
        while len(children_of(shell.folder)) < 3 and process.poll() is None:  # the run, its step, the engine's child
            assert time.monotonic() < deadline
            time.sleep(0.02)
        if end != "timeout":
            process.send_signal(signal.Signals[end])
        output, said = process.communicate(timeout=60)
        while children_of(shell.folder):
            assert time.monotonic() < deadline, "something goes on"
            time.sleep(0.05)
    assert process.returncode == {"timeout": 3, "SIGTERM": 143, "SIGKILL": -9}[end], said
    if end == "timeout":
        assert "did not end within 2 s, and was killed" in output
    assert not shell.store.exists() or shell.listing() == []
    for folder in shell.scratch.iterdir():
        os.rename(folder, shell.folder / f"left-{folder.name}")
    write(shell, APP)
    (line,) = lines(shell.run(*words, "--due"))
    assert line["exit_code"] == 0


def test_hooks_get_the_record_and_keep_no_backup_from_being_made(shell: Shell) -> None:
    hooks = (
        "[job.app.hooks]\nbefore = [['sh', '-c', 'cat > before; exit 3']]\nafter = [['touch', 'after']]\n"
        "failed = [['sh', '-c', 'cat > failed']]\nfinally = [['sh', '-c', 'cat > finally; echo bye']]\n"
    )
    words = write(shell, f"{APP}{hooks}")
    database, job = lines(shell.run(*words, "app", code=3))
    assert (database["exit_code"], job["exit_code"]) == (0, 1)
    assert job["message"].startswith("sh (before) ended with 3")
    records = {name: json.loads((shell.folder / name).read_text()) for name in ("before", "failed", "finally")}
    assert {name: record["event"] for name, record in records.items()} == {name: name for name in records}
    assert records["finally"]["databases"][0]["id"] == shell.listing()[0]["id"]
    assert not (shell.folder / "after").exists()
    write(shell, f"{APP}{hooks.replace('exit 3', 'exit 75')}")
    (skipped,) = lines(shell.run(*words, "app"))
    assert (skipped["type"], "75" in skipped["reason"]) == ("skipped", True)
    assert len(shell.listing()) == 1


def test_as_the_pod_of_a_cron_job_it_needs_no_home_no_user_and_nothing_but_its_volumes(shell: Shell) -> None:
    """A root file system that cannot be written, a /tmp of its own, a user that no passwd knows."""
    own_mounts()
    write(shell, f"{APP}drill.every = '1d'\nkeep.last = 3\n")
    printed = shell.run("schedule", "kubernetes", "--config", "holdfast.toml").stdout
    pod = json.loads(printed)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    mounts = [mount["mountPath"] for mount in container["volumeMounts"]]
    assert mounts == ["/tmp", "/etc/holdfast", str(shell.store)]
    shell.store.mkdir()
    (shell.folder / "tmp").mkdir()
    confine = (
        'mount --make-rprivate / && mount --bind "$0" "$0" && cd "$0" && mount --bind backups backups && '
        'mount --bind tmp tmp && mount -o remount,bind,ro / && mount -o remount,bind,ro "$0" && cd "$0" && '
        "! touch x 2> /dev/null && "
        'exec setpriv --ambient-caps=-all --inh-caps=-all "$@"'
    )
    user = pod["securityContext"]["runAsUser"]
    way = ("unshare", "--user", f"--map-user={user}", f"--map-group={user}", "--mount", "--keep-caps")
    environment = {each["name"]: each["value"].replace("/tmp", f"{shell.folder}/tmp") for each in container["env"]}
    kept = {"PATH": os.environ["PATH"], **environment}
    words = [sys.executable, "-m", *container["command"][:-1], "holdfast.toml", "--json"]
    done = subprocess.run(
        [*way, "sh", "-c", confine, shell.folder, *words], env=kept, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    (line,) = map(json.loads, done.stdout.splitlines())
    assert [step["step"] for step in line["steps"]] == ["backup", "drill", "prune"]
    assert shell.listing()[0]["state"] == "proven"


def check_fleet(shell: Shell, source: str, drop: Any, *, password: bool = False) -> None:
    """Every database of a server, and the one that has vanished when it is run again."""
    secret = 'password_command = ["cat", "secret"]\n' if password else ""
    text = (
        f'[job.fleet]\nsource = "{source}"\ndatabases = "fleet_*"\nexclude = ["fleet_tmp*"]\nevery = "400d"\n{secret}'
    )
    words = write(shell, text)
    made = lines(shell.run(*words, "--due"))
    assert [(line["exit_code"], line["name"]) for line in sorted(made, key=lambda line: line["name"])] == [
        (0, "fleet_a"),
        (0, "fleet_b"),
    ]
    assert lines(shell.run(*words, "--due")) == []
    drop("fleet_b")
    ran = shell.run(*words, "--due", code=3)
    (line,) = lines(ran)
    assert (line["type"], "vanished" in line["message"], "fleet_b" in line["message"]) == ("job", True, True)
    write(shell, text + "max_missing = 1\n")
    assert "vanished" in shell.run(*words, "--due").stderr
    for path in shell.store.rglob("*"):
        assert not path.is_file() or b"hunter2" not in path.read_bytes()


def test_the_databases_of_a_postgresql_server(postgres_server: PostgresServer, shell: Shell) -> None:
    names = ("fleet_a", "fleet_b", "fleet_tmp")
    for name in names:
        postgres_server.execute("postgres", f"CREATE DATABASE {name}")
    try:
        url = postgres_server.url("postgres").replace("/postgres?", "/?")
        check_fleet(shell, url, lambda name: postgres_server.execute("postgres", f"DROP DATABASE {name}"))
    finally:
        for name in names:
            postgres_server.execute("postgres", f"DROP DATABASE IF EXISTS {name}")


def test_the_databases_of_a_mariadb_server_by_a_password_that_nobody_sees(mariadb: MariaDB, shell: Shell) -> None:
    names = ("fleet_a", "fleet_b", "fleet_tmp")
    for name in names:
        mariadb.rows(f"CREATE DATABASE {name}")
    mariadb.rows("CREATE USER fleet IDENTIFIED BY 'hunter2'")
    mariadb.rows("GRANT ALL ON *.* TO fleet")
    (shell.folder / "secret").write_text("hunter2\n")
    try:
        url = mariadb.url()
        at = url.partition("://")[2].rpartition("@")[2]
        check_fleet(shell, f"mariadb://fleet@{at}", lambda name: mariadb.rows(f"DROP DATABASE {name}"), password=True)
    finally:
        mariadb.rows("DROP USER fleet")
        for name in names:
            mariadb.rows(f"DROP DATABASE IF EXISTS {name}")
