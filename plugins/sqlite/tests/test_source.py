"""A source is read in whatever state it is, and never changed."""

import errno
import hashlib
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.errors import CredentialsError, IntegrityError, LockedError, UnreachableError
from holdfast_sqlite.errors import source_error
from holdfast_sqlite.snapshot.source import shared_file_system_of

SIDE_FILES = ("", "-wal", "-journal")
_DYING = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
for statement in sys.argv[2:]:
    connection.execute(statement)
os._exit(0)
"""


def dying_writer(path: Path, *statements: str) -> None:
    """Run statements in a process that then ends without any clean-up, as one that is killed."""
    subprocess.run([sys.executable, "-c", _DYING, str(path), *statements], check=True)


def with_log(path: Path, rows: int = 500) -> None:
    """Leave a database with an unmerged log behind, and nobody who uses it."""
    dying_writer(
        path,
        "PRAGMA journal_mode=WAL",
        "CREATE TABLE t(id INTEGER PRIMARY KEY, x TEXT)",
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) "
        "INSERT INTO t(x) SELECT hex(randomblob(300)) FROM n",
        "UPDATE t SET x = 'changed' WHERE id % 3 = 0",
    )


def with_hot_journal(path: Path) -> bytes:
    """Leave a half-written transaction behind; the image from before it."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t(x)")
        connection.executemany("INSERT INTO t VALUES (?)", [(os.urandom(3000),) for _ in range(200)])
    before = path.read_bytes()
    dying_writer(path, "PRAGMA cache_size=2", "BEGIN", "UPDATE t SET x = randomblob(3000)")
    assert path.read_bytes() != before
    return before


def state(path: Path) -> dict[str, str | None]:
    return {
        suffix: hashlib.sha256(Path(f"{path}{suffix}").read_bytes()).hexdigest()
        for suffix in SIDE_FILES
        if Path(f"{path}{suffix}").exists()
    }


def rows(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return connection.execute("SELECT * FROM t").fetchall()


def method(record: holdfast.Backup) -> str:
    import json

    return str(json.loads((Path(record.path) / "backup_manifest.json").read_text())["hints"]["method"])


@contextmanager
def open_elsewhere(path: Path, *statements: str) -> Iterator[int]:
    """Another process that has run statements and keeps its connection; its id."""
    code = _DYING.replace("os._exit(0)", "print('ready', flush=True); sys.stdin.read(); os._exit(0)")
    command = [sys.executable, "-c", code, str(path), *statements]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.communicate()


@pytest.mark.parametrize("way", ["raw", "backup"])
@pytest.mark.parametrize("style", ["image", "sql"])
@pytest.mark.parametrize("shm", [True, False])
def test_a_database_with_an_unmerged_log_is_read_and_not_changed(
    way: str, style: str, shm: bool, tmp_path: Path, backups: Any
) -> None:
    source = tmp_path / "app.db"
    with_log(source)
    Path(f"{source}-shm").unlink() if not shm else None
    before = state(source)
    record = backups.make(source, options={"method": way, "format": style})
    assert state(source) == before
    assert before["-wal"]
    copy = backups.restore(record, tmp_path / "copy.db")
    assert rows(copy) == rows(source)


def test_a_quiet_database_in_wal_mode_has_no_side_files_afterwards(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t(x)")
    before = source.read_bytes()
    record = backups.make(source)
    assert method(record) == "raw"
    assert source.read_bytes() == before == backups.image(record)
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("app")] == ["app.db"]


@pytest.mark.parametrize(
    ("damage", "options"),
    [
        (b"", {"store": "/proc/nowhere"}),
        (b"", {"select": ("nope",)}),
        (b"", {"codec": "none", "on_event": lambda _event: 1 / 0}),
        (b"\xff" * 3000, {}),
        (b"\xff" * 3000, {"options": {"format": "sql"}, "allow_damaged": True}),
    ],
    ids=["store", "selection", "watcher", "damage", "script"],
)
def test_a_backup_that_fails_leaves_no_side_files_either(
    damage: bytes, options: dict[str, Any], tmp_path: Path, backups: Any
) -> None:
    source = tmp_path / "app.db"
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t(x)")
    with open(source, "r+b") as file:
        os.pwrite(file.fileno(), damage, 4096)
    with pytest.raises((holdfast.HoldfastError, ZeroDivisionError)):
        holdfast.backup(f"sqlite:///{source}", **{"store": str(backups.store), **options})
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith("app")] == ["app.db"]


def test_a_backup_that_fails_leaves_side_files_that_others_use(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("CREATE TABLE t(x)")

    def join_in(event: Any) -> None:
        if event.type == "started":
            users.enter_context(open_elsewhere(source, "BEGIN", "SELECT * FROM t"))
            raise holdfast.HoldfastError("enough")

    with ExitStack() as users:
        with pytest.raises(holdfast.HoldfastError, match="enough"):
            backups.make(source, on_event=join_in)
        assert Path(f"{source}-wal").exists()
        assert Path(f"{source}-shm").exists()


def test_a_log_that_others_use_keeps_its_files_and_their_locks(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"
    with_log(source)
    with open_elsewhere(source, "BEGIN IMMEDIATE", "INSERT INTO t(x) VALUES ('not committed')"):
        record = backups.make(source)
        connection = sqlite3.connect(source, timeout=0, isolation_level=None)
        with closing(connection), pytest.raises(sqlite3.OperationalError, match="locked"):
            connection.execute("BEGIN IMMEDIATE")
    assert method(record) == "raw"
    copy = backups.restore(record, tmp_path / "copy.db")
    assert rows(copy) == rows(source)


def test_backing_up_in_the_process_that_uses_the_database_keeps_its_locks(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"
    with closing(sqlite3.connect(source, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t(x)")
        connection.execute("BEGIN IMMEDIATE")
        connection.execute("INSERT INTO t VALUES (1)")
        backups.make(source)
        code = "import sqlite3, sys; sqlite3.connect(sys.argv[1], timeout=0).execute('BEGIN IMMEDIATE')"
        other = subprocess.run([sys.executable, "-c", code, str(source)], capture_output=True, text=True, check=False)
        assert "database is locked" in other.stderr
        connection.execute("COMMIT")


def test_a_hot_journal_is_rolled_back_in_a_copy(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"
    committed = with_hot_journal(source)
    before = state(source)
    assert "-journal" in before
    record = backups.make(source)
    assert method(record) == "private copy"
    assert state(source) == before
    copy = backups.restore(record, tmp_path / "copy.db")
    (tmp_path / "committed.db").write_bytes(committed)
    assert rows(copy) == rows(tmp_path / "committed.db")


def read_only(folder: Path, *command: str) -> subprocess.CompletedProcess[str]:
    """Run a command that cannot write to a folder, not even as root."""
    folder.chmod(0o555)
    powers = "-dac_override,-dac_read_search,-fowner,-chown"
    prefix = ["setpriv", "--bounding-set", powers, "--inh-caps", powers] if os.geteuid() == 0 else []
    try:
        return subprocess.run([*prefix, *command], capture_output=True, text=True, check=False)
    finally:
        folder.chmod(0o755)


@pytest.mark.parametrize("kind", ["log", "clean wal", "journal", "plain"])
def test_a_database_on_read_only_media_is_backed_up(kind: str, tmp_path: Path, backups: Any) -> None:
    folder = tmp_path / "media"
    folder.mkdir()
    source = folder / "app.db"
    if kind == "journal":
        with_hot_journal(source)
    else:
        with_log(source)
        if kind == "log":
            Path(f"{source}-shm").unlink()
        else:
            with closing(sqlite3.connect(source)) as connection:
                connection.execute(f"PRAGMA journal_mode={'WAL' if kind == 'clean wal' else 'DELETE'}")
    before, names = state(source), sorted(os.listdir(folder))
    store = str(backups.store)
    result = read_only(folder, sys.executable, "-m", "holdfast", "backup", f"sqlite:///{source}", "--store", store)
    assert result.returncode == 0, result.stderr
    assert (state(source), sorted(os.listdir(folder))) == (before, names)
    copy = tmp_path / "copy.db"
    holdfast.restore("latest", f"sqlite:///{copy}", store=store)
    assert rows(copy) == rows(source)


@pytest.mark.parametrize("mode", ["DELETE", "WAL"])
def test_a_database_held_exclusively_is_a_lock_that_was_not_obtained(mode: str, tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"
    statements = [f"PRAGMA journal_mode={mode}", "PRAGMA locking_mode=EXCLUSIVE", "CREATE TABLE t(x)"]
    with open_elsewhere(source, *statements) as pid:
        before = state(source)
        with pytest.raises(LockedError, match=rf"locked, by process {pid} \(python") as failure:
            backups.make(source, options={"lock_timeout": 0.2})
        assert "lock_timeout" in str(failure.value.hint)
        assert state(source) == before


def test_a_doubt_sends_the_backup_to_sqlite_and_is_logged(
    tmp_path: Path, backups: Any, caplog: pytest.LogCaptureFixture
) -> None:
    source = tmp_path / "app.db"
    with_log(source)
    # A stray log beside a database in rollback mode: SQLite replays it, and the raw way knows nothing of that.
    stray = tmp_path / "stray.db"
    with closing(sqlite3.connect(stray, isolation_level=None)) as connection:
        connection.execute("CREATE TABLE t(x)")
    Path(f"{stray}-wal").write_bytes(Path(f"{source}-wal").read_bytes()[:20])
    with caplog.at_level(logging.INFO, "holdfast.sqlite"):
        record = backups.make(stray)
    assert method(record) == "backup"
    assert "copied by SQLite's backup: it is in rollback mode and has a write-ahead log" in caplog.text
    with pytest.raises(holdfast.HoldfastError, match="raw copy is not safe"):
        backups.make(stray, options={"method": "raw"})


def test_journal_modes_of_every_kind_are_read_raw(tmp_path: Path, backups: Any) -> None:
    for mode in ("DELETE", "TRUNCATE", "PERSIST", "MEMORY", "OFF", "WAL"):
        source = tmp_path / f"{mode}.db"
        with closing(sqlite3.connect(source, isolation_level=None)) as connection:
            connection.execute(f"PRAGMA journal_mode={mode}")
            connection.execute("CREATE TABLE t(x)")
            connection.execute("INSERT INTO t VALUES (1)")
            record = backups.make(source)
        assert method(record) == "raw"
        assert backups.image(record) == source.read_bytes()


def test_an_empty_file_is_an_empty_database_and_said_to_be_empty(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"
    source.touch()
    record = backups.make(source)
    assert record.warnings == ("the file is empty, which is a database without tables to SQLite",)
    assert backups.restore(record, tmp_path / "copy.db").read_bytes() == b""


def test_an_empty_file_with_a_log_was_a_database_and_its_log_is_not_deleted(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"
    with_log(source)
    source.write_bytes(b"")
    before = state(source)
    with pytest.raises(IntegrityError, match="the file is empty, and the log beside it has"):
        backups.make(source)
    record = backups.make(source, allow_damaged=True)
    assert record.state == "damaged"
    assert state(source) == before


def test_unknown_and_encrypted_files_are_told_apart_from_databases(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "secret.db"
    source.write_bytes(os.urandom(8192))
    with pytest.raises(IntegrityError, match="not an SQLite database") as failure:
        backups.make(source)
    assert "SQLCipher" in str(failure.value.hint)
    record = backups.make(source, allow_damaged=True)
    assert record.state == "damaged"
    assert backups.image(record) == source.read_bytes()


@pytest.mark.parametrize(
    "name",
    ["plain.db", "a b.db", "100%.db", "what?.db", "a#b.db", "ä☃.db", "it's \"x\".db", "new\nline.db", "--x", "a&b=c;d",
     "file:x.db", ":memory:x", b"\xff\xfe.db"],
)  # fmt: skip
def test_odd_names_are_backed_up_and_restored(name: str | bytes, tmp_path: Path, backups: Any) -> None:
    source = tmp_path / os.fsdecode(name)
    with_log(source, rows=5)
    record = backups.make(source)
    target = tmp_path / "to" / os.fsdecode(name)
    target.parent.mkdir()
    assert rows(backups.restore(record, target)) == rows(source)


def test_a_link_is_followed_to_the_log_beside_its_file(tmp_path: Path, backups: Any) -> None:
    (tmp_path / "real").mkdir()
    source = tmp_path / "real" / "app.db"
    with_log(source)
    link = tmp_path / "link.db"
    link.symlink_to(source)
    assert rows(backups.restore(backups.make(link), tmp_path / "copy.db")) == rows(source)


def test_a_source_that_may_not_be_read_is_a_matter_of_credentials(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"
    with_log(source)
    source.chmod(0)
    command = [sys.executable, "-m", "holdfast", "backup", f"sqlite:///{source}", "--store", str(backups.store)]
    (tmp_path / "other").mkdir()
    result = read_only(tmp_path / "other", *command)
    assert result.returncode == CredentialsError.exit_code, result.stderr
    assert "permission denied" in result.stderr


def test_shared_file_systems_are_found_by_their_mounts(tmp_path: Path) -> None:
    assert shared_file_system_of(str(tmp_path)) is None


def test_a_source_that_goes_away_while_it_is_read_is_missing_and_not_broken() -> None:
    message = {"kind": "os", "errno": errno.ENOENT, "text": "", "file": "app.db"}
    error = source_error(message, "database app.db", 1)
    assert isinstance(error, UnreachableError)
    assert error.message == "database app.db was removed or renamed while it was read"
