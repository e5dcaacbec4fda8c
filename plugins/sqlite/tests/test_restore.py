"""A restore puts the whole backup in the target's place or leaves the target as it was."""

import fcntl
import hashlib
import json
import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.errors import CredentialsError, HoldfastError, IntegrityError, LockedError, UnreachableError, UnsafeError

_HOLDER = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]:
    connection.execute(statement).fetchall()
print("ready", flush=True)
for line in sys.stdin:
    print(connection.execute(line).fetchall(), flush=True)
"""


class Holder:
    """A process that has a database open and runs statements on demand."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.pid = process.pid
        self._process = process

    def run(self, statement: str) -> str:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(statement + "\n")
        self._process.stdin.flush()
        return self._process.stdout.readline().strip()


@contextmanager
def holding(path: Path, *statements: str) -> Iterator[Holder]:
    command = [sys.executable, "-c", _HOLDER, str(path), *statements]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        yield Holder(process)
        process.communicate()


def make(path: Path, word: str, *, mode: str = "delete", page_size: int = 4096, rows: int = 300) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA page_size={page_size}")
        connection.execute(f"PRAGMA journal_mode={mode}")
        connection.execute("CREATE TABLE t(x)")
        connection.executemany("INSERT INTO t VALUES (?)", [(f"{word} {number}",) for number in range(rows)])


def words(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {row[0].split()[0] for row in connection.execute("SELECT x FROM t")}


def listing(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def new(tmp_path: Path, backups: Any) -> holdfast.Backup:
    """A backup to restore, in WAL mode."""
    make(tmp_path / "new.db", "new", mode="wal")
    record = backups.make(tmp_path / "new.db")
    assert isinstance(record, holdfast.Backup)
    return record


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "place").mkdir()
    return tmp_path / "place" / "target.db"


@pytest.mark.parametrize("side", ["-wal", "-journal"])
@pytest.mark.parametrize("exists", [True, False])
def test_stale_side_files_never_bring_the_old_content_back(
    side: str, exists: bool, target: Path, tmp_path: Path, new: holdfast.Backup, backups: Any
) -> None:
    make(target, "old", mode="wal" if side == "-wal" else "delete")
    logged = ("PRAGMA wal_autocheckpoint=0", "UPDATE t SET x = 'stale row'")
    journalled = ("PRAGMA cache_size=1", "BEGIN", "UPDATE t SET x = 'stale row' || randomblob(5000)")
    ending = logged if side == "-wal" else journalled
    code = _HOLDER.partition("print(")[0] + "import os; os._exit(0)"
    subprocess.run([sys.executable, "-c", code, str(target), *ending], check=True)
    assert os.path.getsize(f"{target}{side}")
    if not exists:
        target.unlink()
    backups.restore(new, target, replace=True)
    assert words(target) == {"new"}
    assert sorted(os.listdir(target.parent)) == ["target.db"]


@pytest.mark.parametrize("statement", ["SELECT 1", "SELECT count(*) FROM t", "BEGIN IMMEDIATE"])
@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_target_in_use_is_refused_with_the_process_that_holds_it(
    statement: str, mode: str, target: Path, new: holdfast.Backup, backups: Any
) -> None:
    make(target, "old", mode=mode)
    with holding(target, statement) as holder:
        before = {name: data for name, data in listing(target.parent).items() if not name.endswith("-shm")}
        with pytest.raises(UnsafeError, match=f"in use by process {holder.pid}") as failure:
            backups.restore(new, target, replace=True)
        assert "--live" in str(failure.value.hint)
        assert {name: data for name, data in listing(target.parent).items() if not name.endswith("-shm")} == before
        assert "old" in holder.run("SELECT max(x) FROM t")
    backups.restore(new, target, replace=True)
    assert words(target) == {"new"}


def test_a_target_that_this_very_process_has_open_is_refused(target: Path, new: holdfast.Backup, backups: Any) -> None:
    make(target, "old")
    with closing(sqlite3.connect(target, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        with pytest.raises(UnsafeError, match=f"process {os.getpid()}"):
            backups.restore(new, target, replace=True)
        code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
        other = subprocess.run([sys.executable, "-c", code, str(target)], capture_output=True, text=True, check=False)
        assert "locked" in other.stderr


@pytest.mark.parametrize("mode", ["wal", "delete"])
@pytest.mark.parametrize("source_mode", ["wal", "delete"])
def test_live_restores_into_a_database_in_use(
    mode: str, source_mode: str, target: Path, tmp_path: Path, backups: Any
) -> None:
    make(tmp_path / "other.db", "new", mode=source_mode, rows=5000)
    record = backups.make(tmp_path / "other.db")
    make(target, "old", mode=mode)
    with holding(target, "SELECT count(*) FROM t") as holder, holding(target, "SELECT 1") as second:
        backups.restore(record, target, replace=True, live=True)
        assert holder.run("SELECT count(*), min(x), max(x) FROM t") == "[(5000, 'new 0', 'new 999')]"
        assert holder.run("INSERT INTO t VALUES ('new and later')") == "[]"
        assert second.run("SELECT count(*) FROM t") == "[(5001,)]"
        assert second.run("PRAGMA integrity_check") == "[('ok',)]"
        assert holder.run("PRAGMA journal_mode") == f"[('{mode}',)]"
    assert words(target) == {"new"}


def test_live_waits_for_a_writer_no_longer_than_it_was_told_to(
    target: Path, new: holdfast.Backup, backups: Any
) -> None:
    make(target, "old")
    with holding(target, "BEGIN IMMEDIATE", "UPDATE t SET x = 'old but changed'") as holder:
        with pytest.raises(LockedError) as failure:
            backups.restore(new, target, replace=True, live=True, options={"lock_timeout": 0.3})
        assert "lock_timeout" in str(failure.value.hint)
        assert holder.run("COMMIT") == "[]"
    assert words(target) == {"old"}


def test_live_cannot_change_the_page_size_of_a_database_in_wal_mode(
    target: Path, new: holdfast.Backup, backups: Any
) -> None:
    make(target, "old", mode="wal", page_size=8192)
    with holding(target, "SELECT count(*) FROM t"), pytest.raises(UnsafeError, match="pages of 4096"):
        backups.restore(new, target, replace=True, live=True)
    assert words(target) == {"old"}


def test_live_makes_a_new_file_where_there_is_none(target: Path, new: holdfast.Backup, backups: Any) -> None:
    assert words(backups.restore(new, target, live=True)) == {"new"}


def test_a_target_with_data_is_refused_and_an_empty_one_is_not(
    target: Path, new: holdfast.Backup, backups: Any
) -> None:
    make(target, "old")
    before = listing(target.parent)
    with pytest.raises(UnsafeError, match="holds data"):
        backups.restore(new, target)
    assert listing(target.parent) == before
    target.write_bytes(b"not a database, but somebody's")
    with pytest.raises(UnsafeError, match="holds data"):
        backups.restore(new, target)
    assert words(backups.restore(new, target, replace=True)) == {"new"}
    target.unlink()
    with closing(sqlite3.connect(target)) as connection:
        connection.execute("PRAGMA user_version=3")
    assert words(backups.restore(new, target)) == {"new"}


def test_mode_owner_and_link_of_the_target_stay(target: Path, new: holdfast.Backup, backups: Any) -> None:
    make(target, "old")
    target.chmod(0o640)
    if os.geteuid() == 0:
        os.chown(target, 65534, 65534)
    before = target.stat()
    link = target.parent / "link.db"
    link.symlink_to("target.db")
    backups.restore(new, link, replace=True)
    after = target.stat()
    assert link.is_symlink()
    assert (after.st_uid, after.st_gid, stat.S_IMODE(after.st_mode)) == (before.st_uid, before.st_gid, 0o640)
    assert after.st_ino != before.st_ino
    assert words(target) == {"new"}


def test_a_new_target_gets_the_mode_that_the_umask_leaves(target: Path, new: holdfast.Backup, backups: Any) -> None:
    before = os.umask(0o027)
    try:
        backups.restore(new, target)
    finally:
        os.umask(before)
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


@pytest.mark.parametrize("live", [False, True])
@pytest.mark.parametrize("kind", ["cut off", "flipped"])
def test_a_blob_that_is_not_what_was_stored_leaves_the_target_as_it_was(
    kind: str, live: bool, target: Path, new: holdfast.Backup, backups: Any
) -> None:
    make(target, "old")
    before = listing(target.parent)
    (blob,) = Path(new.path).glob("*.zst")
    data = bytearray(blob.read_bytes())
    if kind == "cut off":
        del data[-10:]
    else:
        data[len(data) // 2] ^= 4
    blob.chmod(0o600)
    blob.write_bytes(data)
    with pytest.raises(IntegrityError):
        backups.restore(new, target, replace=True, live=live)
    assert listing(target.parent) == before


def test_a_full_disk_leaves_the_target_as_it_was(
    target: Path, tmp_path: Path, new: holdfast.Backup, backups: Any
) -> None:
    make(target, "old", rows=5)
    before = listing(target.parent)
    store, url = str(backups.store), f"sqlite:///{target}"
    # A limit on the size of files is a disk that has no room for more than 4 KiB.
    command = f"ulimit -f 4; exec {sys.executable} -m holdfast restore {new.id} {url} --store {store} --replace"
    result = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert result.returncode == 1, result.stderr
    assert "would be larger than" in result.stderr
    assert listing(target.parent) == before


def test_a_dry_run_touches_nothing(target: Path, new: holdfast.Backup, backups: Any) -> None:
    command = [sys.executable, "-m", "holdfast", "restore", new.id, f"sqlite:///{target}", "-n"]
    result = subprocess.run([*command, "--store", str(backups.store)], capture_output=True, text=True, check=False)
    assert result.returncode == 0
    assert not listing(target.parent)


def test_places_where_no_file_can_be_are_told_apart(
    target: Path, tmp_path: Path, new: holdfast.Backup, backups: Any
) -> None:
    with pytest.raises(UnreachableError, match="does not exist"):
        backups.restore(new, tmp_path / "no" / "x.db")
    target.mkdir()
    with pytest.raises(UnsafeError, match="not a regular file"):
        backups.restore(new, target, replace=True)
    target.parent.chmod(0o555)
    powers = "-dac_override,-dac_read_search,-fowner,-chown"
    prefix = ["setpriv", "--bounding-set", powers, "--inh-caps", powers] if os.geteuid() == 0 else []
    command = [sys.executable, "-m", "holdfast", "restore", new.id, f"sqlite:///{target.parent}/x.db"]
    result = subprocess.run(
        [*prefix, *command, "--store", str(backups.store)], capture_output=True, text=True, check=False
    )
    target.parent.chmod(0o755)
    assert result.returncode == CredentialsError.exit_code, result.stderr


def test_a_restore_that_fails_at_the_swap_puts_side_files_and_wal_mode_back(
    target: Path, new: holdfast.Backup, backups: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(target, "old", mode="wal")
    rename = os.rename

    def failing(source: str, destination: str) -> None:
        if destination == str(target):
            raise OSError(5, "Input/output error")
        rename(source, destination)

    monkeypatch.setattr(os, "rename", failing)
    with pytest.raises(HoldfastError, match="input/output error"):
        backups.restore(new, target, replace=True)
    assert words(target) == {"old"}
    with closing(sqlite3.connect(target)) as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert [name for name in os.listdir(target.parent) if "holdfast" in name] == []


def test_restored_by_hand_with_the_commands_of_the_backup(
    tmp_path: Path, backups: Any, picture: Callable[..., Any]
) -> None:
    source = tmp_path / "app.db"
    make(source, "old", mode="wal")
    for style in ("image", "sql"):
        record = backups.make(source, options={"format": style})
        instructions = (Path(record.path) / "RESTORE.md").read_text()
        lines = instructions.rpartition("```sh\n")[2].partition("```")[0]
        copy = tmp_path / f"{style}.db"
        subprocess.run(["bash", "-ec", lines.replace("TARGET_DB", str(copy))], cwd=record.path, check=True)
        assert picture(copy, layout=False) == picture(source, layout=False)


@pytest.mark.parametrize("name", ["x" * 247, "é" * 125 + ".db", "x" * 255])
def test_a_target_whose_name_is_as_long_as_a_name_can_be_is_restored_and_replaced(
    tmp_path: Path, backups: Any, name: str
) -> None:
    source, folder = tmp_path / "app.db", tmp_path / "targets"
    make(source, "old")
    old = backups.make(source)
    folder.mkdir()
    for options in ({}, {"replace": True}):
        backups.restore(old, folder / name, **options)
        assert os.listdir(folder) == [name]
        assert (folder / name).read_bytes() == backups.image(old)


def test_what_a_killed_restore_left_is_removed_by_the_next_one_into_the_same_target_alone(
    tmp_path: Path, backups: Any
) -> None:
    source, folder = tmp_path / "app.db", tmp_path / "targets"
    make(source, "new")
    record = backups.make(source)
    folder.mkdir()
    mine, other = (f".holdfast-{hashlib.sha256(name).hexdigest()[:12]}" for name in (b"target.db", b"other.db"))
    left = {f"{mine}-{'a' * 12}", f"{mine}-{'b' * 12}", f"{other}-{'a' * 12}", f"{mine}-notes"}
    for name in left:
        (folder / name).touch()
    with open(folder / f"{mine}-{'b' * 12}", "rb") as running:
        fcntl.flock(running, fcntl.LOCK_EX)
        backups.restore(record, folder / "target.db")
    assert set(os.listdir(folder)) == {"target.db"} | left - {f"{mine}-{'a' * 12}"}


@pytest.mark.parametrize("recorded", [-1, "", "../../etc/passwd", {"a": 1}, [True], "x" * 10_000_000])
def test_a_format_that_there_is_not_is_damage_of_the_manifest(recorded: Any, tmp_path: Path, backups: Any) -> None:
    make(tmp_path / "app.db", "old")
    record = backups.make(tmp_path / "app.db", options={"format": "sql"})
    manifest = Path(record.path) / "backup_manifest.json"
    written = json.loads(manifest.read_text())
    written["hints"]["format"] = recorded
    manifest.write_text(json.dumps(written))
    with pytest.raises(IntegrityError, match="the manifest says that the backup is in the format") as failure:
        backups.restore(record, tmp_path / "copy.db")
    assert len(str(failure.value)) < 200
    assert not (tmp_path / "copy.db").exists()
