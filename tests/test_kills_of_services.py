"""Killed at any request to a service, a backup or copy leaves nothing half listed, and nothing that stays.

The suite kills at three requests of each, `make sweeps` at twenty.
"""

import contextlib
import json
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest
from support.servers.seaweed import running_seaweed
from support.servers.sshd import running_sshd
from support.sweeps import tries

import holdfast
from holdfast.api import Storage
from holdfast.functions import installed

# Forks a child for each command, so that imports are made once; its n-th request is its last. Tells what ended it, and
# how many requests it made.
RUNNER = """
import http.client, json, os, signal, sys
from holdfast.cli import run
import holdfast.cli.backup, holdfast.cli.copy, holdfast.operations.copy, holdfast.functions, holdfast_sqlite.plugin
import botocore.session, holdfast_s3.storage, holdfast_sftp.storage
from holdfast_sftp.connection import Connection
holdfast.functions.installed()


def counting(send, moment, counted):
    def counted_send(*arguments, **more):
        counted.append(1)
        if len(counted) == moment:
            os.kill(os.getpid(), signal.SIGKILL)
        return send(*arguments, **more)
    return counted_send


ends = []
for moment, arguments in json.load(sys.stdin):
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        counted = []
        for place, name in ((http.client.HTTPConnection, "send"), (Connection, "_write")):
            setattr(place, name, counting(getattr(place, name), moment, counted))
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1), os.dup2(null, 2)
        code = run(arguments)
        os.write(write, b"%d" % len(counted))
        os._exit(code)
    os.close(write)
    status = os.waitpid(child, 0)[1]
    count = os.read(read, 100)
    os.close(read)
    ends.append([-os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status), int(count or 0)])
print(json.dumps(ends))
"""


@dataclass(frozen=True, kw_only=True)
class Service:
    """Where stores of a test lie: by a name their URL, and what ends the leases of those that were killed."""

    url: Callable[[str], str]
    end_leases: Callable[[str], None]

    def storage(self, name: str) -> Storage:
        return installed().storage(self.url(name))


@pytest.fixture(scope="module")
def s3() -> Iterator[Service]:
    with running_seaweed() as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.keys.items():
            patch.setenv(name, value)
        client = server.client()

        def end_leases(name: str) -> None:
            for item in client.list_objects_v2(Bucket="first", Prefix=f"{name}/.leases/").get("Contents", ()):
                client.delete_object(Bucket="first", Key=item["Key"])

        # Five MB are the smallest parts that there are.
        yield Service(url=lambda name: f"{server.url('first', name)}&part_size=5M", end_leases=end_leases)


@pytest.fixture(scope="module")
def sftp() -> Iterator[Service]:
    with running_sshd() as server:

        def end_leases(name: str) -> None:
            for lease in (server.folder / name / ".leases").glob("*"):
                lease.unlink()

        yield Service(url=server.url, end_leases=end_leases)


@pytest.fixture(params=["s3", "sftp"])
def service(request: pytest.FixtureRequest) -> Service:
    """One after the other."""
    chosen: Service = request.getfixturevalue(request.param)
    return chosen


@pytest.fixture
def app(tmp_path: Path) -> str:
    """A database of some parts, which no codec makes smaller."""
    with closing(sqlite3.connect(tmp_path / "app.db")) as db:
        db.execute("CREATE TABLE t (x)")
        db.executemany("INSERT INTO t VALUES (randomblob(1000000))", [()] * 7)
        db.commit()
    return f"sqlite:///{tmp_path}/app.db"


def kill(service: Service, *command: str) -> list[str]:
    """Run a command, in which STORE is a store, to its end and then killed at some of its requests; the stores."""
    names = [uuid.uuid4().hex[:12] for _ in range(1 + tries(3, long=20))]

    def run(*jobs: tuple[int, str]) -> list[tuple[int, int]]:
        words = [
            [moment, [service.url(name) if word == "STORE" else word for word in command]] for moment, name in jobs
        ]
        done = subprocess.run(
            [sys.executable, "-c", RUNNER], input=json.dumps(words), capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return [(code, count) for code, count in json.loads(done.stdout)]

    ((code, total),) = run((0, names[0]))
    assert code == 0
    assert total > len(names)
    moments = [1 + (total - 2) * number // max(1, len(names) - 2) for number in range(len(names) - 1)]
    ends = run(*zip(moments, names[1:], strict=True))
    # Threads come before each other now and then: of the last requests some may be one fewer.
    assert [code for code, _ in ends[:-1]] == [-9] * (len(ends) - 1), ends
    return names


def check_tidy(storage: Storage, ids: set[str]) -> None:
    """Make sure that nothing lies in a store but these backups."""
    paths = [stat.path for stat in storage.list()]
    assert [path for path in paths if ".partial" in path] == []
    assert {path.split("/")[1] for path in paths if path.count("/") > 1} == ids


def records_of(store: str) -> list[holdfast.Backup]:
    """What is listed, where there is a store yet; all of it is whole."""
    with contextlib.suppress(holdfast.NotFoundError):
        records = holdfast.list_backups(store)
        assert [result.passed for result in holdfast.verify(store=store, read_data=True)] == [True] * len(records)
        return records
    return []


@pytest.mark.sweep(1)
def test_a_backup_that_is_killed_at_any_request(service: Service, app: str) -> None:
    seen = []
    for name in kill(service, "backup", app, "--store", "STORE", "--codec", "none", "--jobs", "2"):
        store = service.url(name)
        records = records_of(store)
        seen.append(len(records))
        service.end_leases(name)
        if any(stat.path == "holdfast.json" for stat in service.storage(name).list()):
            holdfast.prune(store, keep_last=9)
            check_tidy(service.storage(name), {record.id for record in records})
        record = holdfast.backup(app, store=store)
        assert [each.id for each in holdfast.list_backups(store)] == [*(each.id for each in records), record.id]
    assert seen[0] == 1
    assert 0 in seen


@pytest.mark.sweep(1)
def test_a_copy_that_is_killed_at_any_request_is_gone_on_with(service: Service, app: str, tmp_path: Path) -> None:
    template = tmp_path / "store"
    for _ in range(2):
        holdfast.backup(app, store=template, codec="none")
    files = {
        str(path.relative_to(template)): path.stat().st_size
        for path in template.glob("app/2*/*")
        if path.is_file() and path.name != "backup_manifest.json"
    }
    ids = {record.id for record in holdfast.list_backups(template)}
    seen = set()
    for name in kill(service, "copy", str(template), "STORE", "--jobs", "2"):
        store = service.url(name)
        records = records_of(store)
        service.end_leases(name)
        there = {stat.path: stat.size for stat in service.storage(name).list()}
        lacking = {path: size for path, size in files.items() if there.get(path) != size}
        again = holdfast.copy(store=template, to=store)
        again.raise_for_failures()
        assert sum(copied.stored_bytes for copied in again.copies) == sum(lacking.values())
        assert {copied.id for copied in again.copies if copied.copied} == ids - {record.id for record in records}
        seen.add(len(lacking))
        assert len(records_of(store)) == 2
        holdfast.prune(store, keep_last=9)
        check_tidy(service.storage(name), ids)
    assert {0, len(files)} <= seen
