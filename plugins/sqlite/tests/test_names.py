"""A database is its inode, not its name: what is used under another name is refused, or read rightly."""

import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from support.disks import own_mounts
from support.sqlite_users import KILLED, USER, running, use_and_be_killed

import holdfast
from holdfast.errors import UnsafeError

ACCOUNTS = 300
# Transfers, so that the sum is the same at every moment, with a checkpoint every few of them. Every other connection
# is closed at once, as by a program that opens one for each request.
_WRITER = """
import random, sqlite3, sys, threading
ended = threading.Event()
threading.Thread(target=lambda: (sys.stdin.read(), ended.set()), daemon=True).start()
chance = random.Random(1)
keep = sys.argv[2] == "stays"
def opened():
    connection = sqlite3.connect(sys.argv[1], isolation_level=None, timeout=60)
    connection.execute("PRAGMA synchronous=OFF")
    connection.execute("PRAGMA wal_autocheckpoint=10")
    return connection
connection = opened()
number = 0
while not ended.is_set():
    connection.execute("BEGIN IMMEDIATE")
    for _ in range(5):
        one, other = chance.randrange(1, 301), chance.randrange(1, 301)
        connection.execute("UPDATE account SET n = n - 1 WHERE id = ?", (one,))
        connection.execute("UPDATE account SET n = n + 1 WHERE id = ?", (other,))
    connection.execute("COMMIT")
    number += 1
    if number == 20:
        print("ready", flush=True)
    if not keep and number % 5 == 0:
        connection.close()
        ended.wait(0.002)
        connection = opened()
"""


def make(path: Path, mode: str = "WAL") -> None:
    path.parent.mkdir(exist_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute("CREATE TABLE account(id INTEGER PRIMARY KEY, n INTEGER, pad BLOB)")
        connection.execute("BEGIN")
        rows = [(number, 100) for number in range(1, ACCOUNTS + 1)]
        connection.executemany("INSERT INTO account VALUES (?, ?, zeroblob(1500))", rows)
        connection.execute("COMMIT")


def total(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return int(connection.execute("SELECT sum(n) FROM account").fetchone()[0])


def container(file: Path, point: Path, *, own_processes: bool = False) -> tuple[str, ...]:
    """A command before another that runs it where `file` is mounted by itself at `point`, as a container does."""
    point.parent.mkdir(exist_ok=True)
    point.touch()
    script = 'mount --bind "$1" "$2" && shift 2 && exec "$@"'
    processes = ("--pid", "--fork", "--kill-child", "--mount-proc") if own_processes else ()
    return (*own_mounts(*processes), "sh", "-c", script, "sh", str(file), str(point))


def side_files(path: Path) -> list[str]:
    return sorted(entry.name for entry in path.parent.iterdir() if entry.name.startswith(f"{path.name}-"))


@pytest.mark.parametrize("manner", ["stays", "comes and goes"])
@pytest.mark.parametrize("way", ["link", "mount"])
def test_backups_beside_a_writer_under_another_name_are_right_or_refused(
    way: str, manner: str, tmp_path: Path, backups: Any
) -> None:
    used, named = tmp_path / "a" / "app.db", tmp_path / "b" / "app.db"
    make(named if way == "mount" else used)
    within: tuple[str, ...] = ()
    if way == "mount":
        within = container(named, used)
    else:
        named.parent.mkdir()
        os.link(used, named)
    refused = 0
    with running(_WRITER, used, manner, within=within):
        for number in range(8):
            try:
                record = backups.make(named, options={"method": "backup" if number % 4 == 3 else "auto"})
            except UnsafeError:
                refused += 1
            else:
                assert total(backups.restore(record, tmp_path / f"{number}.db")) == 100 * ACCOUNTS
            assert side_files(named) == []
    assert refused == 8 or manner != "stays"


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_name_that_leads_to_the_same_folder_is_no_other_name(mode: str, tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "a" / "app.db"
    make(source, mode)
    (tmp_path / "b").symlink_to(tmp_path / "a")
    (tmp_path / "link.db").symlink_to(source)
    with running(_WRITER, source, "stays"):
        for name in (tmp_path / "b" / "app.db", tmp_path / "link.db"):
            record = backups.make(name)
            assert total(backups.restore(record, tmp_path / f"{name.name}.copy")) == 100 * ACCOUNTS
            assert record.warnings == ()


def test_hard_links_in_rollback_mode_share_their_locks(tmp_path: Path, backups: Any) -> None:
    used, named = tmp_path / "a" / "app.db", tmp_path / "b" / "app.db"
    make(used, "DELETE")
    named.parent.mkdir()
    os.link(used, named)
    with running(_WRITER, used, "stays"):
        for number in range(3):
            record = backups.make(named)
            assert total(backups.restore(record, tmp_path / f"{number}.db")) == 100 * ACCOUNTS
            assert record.warnings == ()


def _unlink(source: Path) -> Path:
    Path(f"{source}-wal").unlink()
    Path(f"{source}-shm").unlink()
    return source


def _rename(source: Path) -> Path:
    return source.rename(source.with_name("moved.db"))


def _replace(source: Path) -> Path:
    copy = source.with_name("copy.db")
    shutil.copy(source, copy)
    return copy.rename(source)


def _link(source: Path) -> Path:
    other = source.with_name("other.db")
    os.link(source, other)
    return other


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (_unlink, "its log was removed while process {pid} (python"),
        (_rename, "it was renamed while process {pid} (python"),
        (_replace, "belongs to another file: process {pid} (python"),
        (_link, "in use under another name: process {pid} (python"),
    ],
)
def test_what_is_done_to_files_that_are_open_is_found_out(
    change: Callable[[Path], Path], words: str, tmp_path: Path, backups: Any
) -> None:
    source = tmp_path / "app.db"
    make(source)
    with running(USER, source, "UPDATE account SET n = n + 1") as pid:
        source = change(source)
        before = side_files(source)
        with pytest.raises(UnsafeError) as failure:
            backups.make(source)
        assert words.format(pid=pid) in failure.value.message
        assert failure.value.hint
        assert side_files(source) == before


@pytest.mark.parametrize("way", ["link", "mount"])
def test_a_log_that_a_killed_program_has_left_beside_another_name_is_refused(
    way: str, tmp_path: Path, backups: Any
) -> None:
    used, named = tmp_path / "a" / "app.db", tmp_path / "b" / "app.db"
    make(named if way == "mount" else used)
    within: tuple[str, ...] = ()
    with ExitStack() as stack:
        if way == "mount":
            within = container(named, used)
            # The container goes on without the program.
            script = [*within, "sh", "-c", f'"{sys.executable}" -c "$0" "$@"; echo ready; cat', KILLED]
            process = stack.enter_context(
                subprocess.Popen(
                    [*script, str(used), "UPDATE account SET n = n + 1"],
                    stdin=subprocess.PIPE,
                    stdout=subprocess.PIPE,
                )
            )
            stack.callback(process.communicate)
            assert process.stdout is not None
            assert [process.stdout.readline(), process.stdout.readline()] == [b"ready\n"] * 2
        else:
            named.parent.mkdir()
            os.link(used, named)
            use_and_be_killed(used, "UPDATE account SET n = n + 1")
        with pytest.raises(UnsafeError, match="has another name") as failure:
            backups.make(named)
        assert str(used) in failure.value.message
        assert side_files(named) == []


def test_a_name_that_cannot_be_found_is_warned_of(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"
    make(source)
    (tmp_path / "far" / "away").mkdir(parents=True)
    os.link(source, tmp_path / "far" / "away" / "else.db")
    assert "has 2 names (hard links), and 1 could not be found" in backups.make(source).warnings[0]


def test_a_program_that_begins_to_use_another_name_during_the_backup_is_found_at_its_end(
    tmp_path: Path, backups: Any
) -> None:
    source, other = tmp_path / "app.db", tmp_path / "other.db"
    make(source)
    os.link(source, other)
    with ExitStack() as users:

        def join_in(event: Any) -> None:
            if event.type == "started":
                users.enter_context(running(USER, other, "UPDATE account SET n = n + 1"))

        with pytest.raises(UnsafeError, match="in use under another name"):
            backups.make(source, on_event=join_in)
        assert side_files(source) == []


def test_a_write_without_any_lock_is_found_at_the_end(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"
    make(source)

    def write(event: Any) -> None:
        if event.type == "started":
            code = "import os, sys; f = os.open(sys.argv[1], os.O_RDWR); os.pwrite(f, b'x', 100_000)"
            subprocess.run([sys.executable, "-c", code, str(source)], check=True)

    with pytest.raises(UnsafeError, match="was changed while it was read"):
        backups.make(source, on_event=write)


@pytest.mark.parametrize("method", ["raw", "backup"])
def test_a_write_without_any_lock_is_found_while_writers_would_wait(method: str, tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"
    make(source)
    with closing(sqlite3.connect(source)) as connection:
        assert connection.execute("PRAGMA journal_mode=DELETE").fetchone() == ("delete",)
        connection.execute("CREATE TABLE noise AS SELECT zeroblob(40000000)")
        connection.commit()
    code = (
        "import os, sys; f = os.open(sys.argv[1], os.O_RDWR); x = os.pread(f, 1, 9_000_000)\n"
        "print('ready', flush=True)\n"
        "while True: os.pwrite(f, x, 9_000_000)"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(source)], stdout=subprocess.PIPE) as writer:
        try:
            assert writer.stdout is not None
            assert writer.stdout.readline() == b"ready\n"
            # On a busy machine it may not come to write in the milliseconds that count.
            with pytest.raises(UnsafeError, match="was changed while it was read"):
                any(backups.make(source, options={"method": method}) is None for _ in range(20))
        finally:
            writer.kill()
    assert backups.make(source, options={"method": method}).state == "complete"


def test_a_container_that_shares_the_folder_is_no_other_name(tmp_path: Path, backups: Any) -> None:
    """The usual sidecar: one process namespace does not see the other, and both use the same log."""
    source = tmp_path / "app.db"
    make(source)
    with running(_WRITER, source, "stays"):
        done = sidecar(source, backups.store)
        assert done.returncode == 0, done.stderr
        assert "warning" not in done.stderr
    assert total(backups.restore(latest(backups.store), tmp_path / "copy.db")) == 100 * ACCOUNTS


def test_a_container_that_has_the_file_alone_is_refused_although_its_user_is_not_seen(
    tmp_path: Path, backups: Any
) -> None:
    source = tmp_path / "app.db"
    make(source)
    point = tmp_path / "inner" / "app.db"
    with running(_WRITER, source, "stays"):
        done = sidecar(point, backups.store, container(source, point, own_processes=True))
    assert done.returncode == UnsafeError.exit_code, done.stderr
    assert "whom this process cannot see" in done.stderr
    assert side_files(point) == []


def sidecar(source: Path, store: Path, within: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
    """Back up in another process namespace."""
    backup = [sys.executable, "-m", "holdfast", "backup", f"sqlite:///{source}", "--store", str(store)]
    alone = within or own_mounts("--pid", "--fork", "--kill-child", "--mount-proc")
    command = [*alone, *backup, "-o", "lock_timeout=0.3"]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def latest(store: Path) -> holdfast.Backup:
    return holdfast.list_backups(store=str(store))[-1]


def test_a_program_that_has_lost_its_locks_is_warned_of(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"
    make(source)
    losing = USER.replace("print", "[open(sys.argv[1] + suffix).close() for suffix in ('', '-wal', '-shm')]\nprint")
    with running(losing, source, "UPDATE account SET n = n + 1") as pid:
        record = backups.make(source)
    assert f"process {pid} (python" in record.warnings[0]
    assert "has lost its locks" in record.warnings[0]
    assert total(backups.restore(record, tmp_path / "copy.db")) == 101 * ACCOUNTS


def test_a_program_that_serves_others_is_told_from_one_that_uses_the_database(tmp_path: Path, backups: Any) -> None:
    """A FUSE file system or a virtual machine has the files open for others, whose locks and maps stay with them."""
    source = tmp_path / "app.db"
    make(source)
    with running(USER, source, "UPDATE account SET n = n + 1"):
        for suffix in ("", "-wal", "-shm"):
            shutil.copy(f"{source}{suffix}", f"{tmp_path}/kept{suffix}")
    for suffix in ("", "-wal", "-shm"):
        os.rename(f"{tmp_path}/kept{suffix}", f"{source}{suffix}")
    serving = (
        "import os, sys; [os.open(p, os.O_RDWR) for p in sys.argv[1:]]; print('ready', flush=True); sys.stdin.read()"
    )
    files = [f"{source}{suffix}" for suffix in ("", "-wal", "-shm")]
    with running(serving, *files), pytest.raises(UnsafeError, match=r"process \d+ \(python.* without SQLite's locks"):
        backups.make(source)
    assert total(backups.restore(backups.make(source), tmp_path / "copy.db")) == 101 * ACCOUNTS


def test_a_program_that_has_the_file_open_for_reading_alone_hinders_nobody(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"
    make(source)
    reading = "import sys; files = [open(p) for p in sys.argv[1:]]; print('ready', flush=True); sys.stdin.read()"
    with running(USER, source, "UPDATE account SET n = n + 1"), running(reading, source, f"{source}-shm"):
        assert backups.make(source).warnings == ()
    with running(reading, source):
        assert backups.make(source).warnings == ()
