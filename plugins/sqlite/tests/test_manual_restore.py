"""By hand is as safe as the tool: what the commands of RESTORE.md do beside a database that is there or was there."""

import os
import re
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from support.disks import small_disk

import holdfast

_ENV = {"PATH": "/usr/bin:/bin:/usr/sbin", "LC_ALL": "C"}
_CODECS = ("zstd:1", "gzip:1", "none")


def make(path: Path, word: str, mode: str = "wal") -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}").fetchall()
        connection.execute("BEGIN")
        connection.execute("CREATE TABLE t(x)")
        connection.executemany("INSERT INTO t VALUES (?)", [(f"{word} {number}",) for number in range(300)])
        connection.execute("COMMIT")


def words(path: Path) -> set[str]:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return {row[0].split()[0] for row in connection.execute("SELECT x FROM t")}


def crash(path: Path, mode: str) -> None:
    """Make a database whose program was killed: its log or journal is still there, and not its index of the log."""
    make(path, "old", mode)
    statements = "PRAGMA wal_autocheckpoint=0; PRAGMA cache_size=1;"
    statements += "BEGIN;" if mode == "delete" else ""
    code = (
        "import os, sqlite3, sys; c = sqlite3.connect(sys.argv[1], isolation_level=None);"
        "[c.execute(s) for s in sys.argv[2].split(';')]; c.execute(\"UPDATE t SET x = 'stale ' || randomblob(4000)\");"
        "os._exit(0)"
    )
    subprocess.run([sys.executable, "-c", code, str(path), statements], check=True)
    assert os.path.getsize(f"{path}-{'wal' if mode == 'wal' else 'journal'}")


def commands_of(folder: Path, target: Path | str) -> list[str]:
    """The lines of the guide with the target put in, as it tells to."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (folder / "RESTORE.md").read_text(), re.DOTALL | re.MULTILINE)
    name = str(target).replace("'", "'\\''")
    return [line.replace("TARGET_DB", name) for block in blocks for line in block.splitlines()]


def follow(folder: Path, target: Path | str, *shell: str) -> "subprocess.CompletedProcess[str]":
    """Run the guide as one script, which goes on after a line that fails, as pasting it does."""
    script = "\n".join(commands_of(folder, target))
    command = [*(shell or ("sh",)), "-c", script]
    return subprocess.run(command, cwd=folder, env=_ENV, capture_output=True, text=True, check=False)


@pytest.fixture
def backup(tmp_path: Path) -> Callable[..., Path]:
    """A function that backs up a new database, and gives the backup's folder."""
    make(tmp_path / "new.db", "new")

    def run(form: str = "image", codec: str = "zstd:1") -> Path:
        record = holdfast.backup(
            f"sqlite:///{tmp_path}/new.db", store=str(tmp_path / "store"), codec=codec, options={"format": form}
        )
        return Path(record.path)

    return run


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "place").mkdir()
    return tmp_path / "place"


@pytest.mark.parametrize("mode", ["wal", "delete"])
@pytest.mark.parametrize("codec", _CODECS)
@pytest.mark.parametrize("form", ["image", "sql"])
def test_the_commands_restore_over_what_a_crash_has_left(
    form: str, codec: str, mode: str, place: Path, backup: Callable[..., Path]
) -> None:
    target = place / "app.db"
    crash(target, mode)
    ran = follow(backup(form, codec), target)
    assert ran.returncode == 0, ran.stderr
    assert words(target) == {"new"}
    assert os.listdir(place) == ["app.db"]


@pytest.mark.parametrize("shell", [("sh", "-eu"), ("bash", "-euo", "pipefail")])
@pytest.mark.parametrize("name", ["a b.db", 'the "big" one.db', "O'Brien's $HOME.db", "new.db", "back`id`\\n.db"])
def test_each_command_stands_for_itself_whatever_the_name(
    name: str, shell: tuple[str, ...], place: Path, backup: Callable[..., Path]
) -> None:
    folder, target = backup(), place / name
    for line in commands_of(folder, target):
        ran = subprocess.run([*shell, "-c", line], cwd=folder, env=_ENV, capture_output=True, text=True, check=False)
        assert ran.returncode == 0, ran.stderr
    assert words(target) == {"new"}
    assert os.listdir(place) == [name]


@pytest.mark.parametrize("codec", _CODECS)
@pytest.mark.parametrize("form", ["image", "sql"])
def test_a_stream_that_is_cut_off_replaces_nothing(
    form: str, codec: str, place: Path, backup: Callable[..., Path]
) -> None:
    folder, target = backup(form, codec), place / "app.db"
    crash(target, "wal")
    before = {path.name: path.read_bytes() for path in place.iterdir()}
    (blob,) = folder.glob("database*")
    blob.chmod(0o600)
    blob.write_bytes(blob.read_bytes()[:-20])
    for shell in ("sh", "bash"):
        ran = follow(folder, target, shell)
        assert ran.returncode != 0
        assert {path.name: path.read_bytes() for path in place.iterdir()} == before


def test_a_database_in_use_is_not_replaced_and_its_process_is_told(place: Path, backup: Callable[..., Path]) -> None:
    target = place / "app.db"
    make(target, "old")
    with open(target, "rb"):
        ran = follow(backup(), target)
    assert ran.returncode != 0
    assert str(os.getpid()) in ran.stdout
    assert "stop these" in ran.stderr
    assert words(target) == {"old"}


def test_owner_and_mode_are_those_of_the_old_file_or_of_the_source_and_a_link_is_kept(
    place: Path, tmp_path: Path, backup: Callable[..., Path]
) -> None:
    owner = (65534, 65534) if os.geteuid() == 0 else (os.geteuid(), os.getegid())
    (place / "link.db").symlink_to("data/app.db")
    target = place / "data" / "app.db"
    target.parent.mkdir()
    make(target, "old")
    target.chmod(0o640)
    os.chown(target, *owner)
    assert follow(backup(), place / "link.db").returncode == 0
    assert (place / "link.db").is_symlink()
    assert words(target) == {"new"}
    assert _owner(target) == (*owner, 0o640)
    target.unlink()
    os.chown(target.parent, *owner)
    (tmp_path / "new.db").chmod(0o660)
    assert follow(backup(), target).returncode == 0
    assert _owner(target) == (*owner, 0o660)


def _owner(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)


def test_a_place_where_nothing_can_be_put_says_so(place: Path, backup: Callable[..., Path]) -> None:
    (place / "app.db").mkdir()
    for target, reason in [
        (place / "app.db", "app.db"),
        (place / "missing" / "app.db", "No such file or directory"),
        (Path("/proc/app.db"), "/proc/app.db.new"),
    ]:
        ran = follow(backup(), target)
        assert ran.returncode != 0
        assert reason in ran.stderr
    assert not list((place / "app.db").iterdir())


def test_the_guide_says_how_a_quote_in_a_name_is_written(backup: Callable[..., Path]) -> None:
    assert "write a ' in its name as '\\''" in (backup() / "RESTORE.md").read_text()


def test_a_target_in_another_mount_namespace_is_not_taken_for_a_file_of_this_one(
    tmp_path: Path, backup: Callable[..., Path]
) -> None:
    """The kernel shows it below /proc/PID/root, and realpath makes of that a name of its own namespace."""
    folder = backup()
    disk = tmp_path / "disk"
    disk.mkdir()
    outside = disk / "target.db"
    outside.write_bytes(b"of this namespace")
    with small_disk(disk, "4m") as enter:
        subprocess.run([*enter, "cp", tmp_path / "new.db", outside], check=True)
        done = follow(folder, f"/proc/{enter[enter.index('-t') + 1]}/root{outside}")
    assert done.returncode != 0
    assert done.stderr.count("do this in its container") == 3
    assert outside.read_bytes() == b"of this namespace"
    assert [path.name for path in disk.iterdir()] == ["target.db"]
