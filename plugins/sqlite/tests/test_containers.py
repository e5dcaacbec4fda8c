"""Targets as they are in containers: files that are mounted by themselves, and open where nobody sees it."""

import os
from pathlib import Path
from typing import Any

import pytest
from support.sqlite_files import Restoring, crash, listing, make, opened, read_pragma, words

import holdfast
from holdfast.errors import IntegrityError, UnsafeError


@pytest.mark.sweep(3)
@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize("source", ["delete", "wal", "page size", "encoding"])
def test_a_file_that_is_mounted_by_itself_is_written_in_one_transaction(
    source: str, mode: str, tmp_path: Path, place: Path, backups: Any, restoring: Restoring, mounted: Any
) -> None:
    pragmas = {"page size": ("page_size=8192",), "encoding": ("encoding='UTF-16le'",)}.get(source, ())
    wanted = "wal" if source == "wal" else "delete"
    make(tmp_path / "new.db", "new", *pragmas, mode=wanted)
    record = backups.make(tmp_path / "new.db")
    file, target = tmp_path / "host.db", place / "app.db"
    make(file, "old", mode=mode, rows=3000)
    before = file.stat()
    ran = restoring.run(record, target, "--replace", under=mounted(file, target))
    assert ran.returncode == 0, ran.stderr
    assert "is mounted by itself" in ran.stderr
    assert (file.stat().st_ino, file.stat().st_mode) == (before.st_ino, before.st_mode)
    assert words(file) == {"new"}
    names = ("journal_mode", "page_size", "encoding")
    assert [read_pragma(file, name) for name in names] == [read_pragma(tmp_path / "new.db", name) for name in names]
    assert os.listdir(place) == ["app.db"]


def test_a_mounted_file_without_bytes_or_with_a_log_is_filled(
    tmp_path: Path, place: Path, new: holdfast.Backup, restoring: Restoring, mounted: Any
) -> None:
    file = tmp_path / "host.db"
    file.touch()
    under = mounted(file, place / "app.db")
    assert restoring.run(new, place / "app.db", under=under).returncode == 0
    assert words(file) == {"new"}
    make(tmp_path / "crashed.db", "old", mode="wal")
    crash(tmp_path / "crashed.db", "UPDATE t SET x = 'stale row'")
    file.write_bytes((tmp_path / "crashed.db").read_bytes())
    (place / "app.db-wal").write_bytes((tmp_path / "crashed.db-wal").read_bytes())
    assert restoring.run(new, place / "app.db", "--replace", under=under).returncode == 0
    assert words(file) == {"new"}
    assert os.listdir(place) == ["app.db"]


def test_a_mounted_file_that_cannot_be_a_target_stays_as_it_is(
    tmp_path: Path, place: Path, new: holdfast.Backup, restoring: Restoring, mounted: Any
) -> None:
    file = tmp_path / "host.db"
    file.write_bytes(b"encrypted, or anything else " * 100)
    under = mounted(file, place / "app.db")
    ran = restoring.run(new, place / "app.db", "--replace", under=under)
    assert ran.returncode == IntegrityError.exit_code
    assert "cannot be replaced" in ran.stderr
    assert file.read_bytes() == b"encrypted, or anything else " * 100
    file.write_bytes(b"")
    make(file, "old", mode="wal")
    with opened(file):
        for options in ([], ["--live"]):
            ran = restoring.run(new, place / "app.db", "--replace", *options, under=under)
            assert ran.returncode == UnsafeError.exit_code, ran.stderr
        assert "under another name" in ran.stderr
        assert os.listdir(place) == ["app.db"]
    assert words(file) == {"old"}


def test_a_hard_link_is_told_that_the_old_database_is_still_there(
    place: Path, new: holdfast.Backup, restoring: Restoring
) -> None:
    make(place / "app.db", "old", mode="wal")
    os.link(place / "app.db", place / "snapshot.db")
    ran = restoring.run(new, place / "app.db", "--replace")
    assert "1 other name (hard links)" in ran.stderr
    assert (words(place / "app.db"), words(place / "snapshot.db")) == ({"new"}, {"old"})


@pytest.mark.sweep(3)
@pytest.mark.parametrize("select", [(), ("--select", "t")])
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_a_program_that_cannot_be_seen_is_known_to_have_the_target_open(
    mode: str,
    select: tuple[str, ...],
    place: Path,
    new: holdfast.Backup,
    restoring: Restoring,
    mounted: Any,
    tmp_path: Path,
) -> None:
    make(place / "app.db", "old", mode=mode)
    under = mounted(tmp_path / "new.db", tmp_path / "any")
    with opened(place / "app.db"):
        # A process namespace without that program, as another container has it.
        hidden = (*under, "unshare", "-p", "-f", "--mount-proc")
        ran = restoring.run(new, place / "app.db", "--replace", *select, under=hidden)
        assert ran.returncode == UnsafeError.exit_code, ran.stderr
        assert "is in use" in ran.stderr
    assert words(place / "app.db") == {"old"}
    assert restoring.run(new, place / "app.db", "--replace", *select, under=hidden).returncode == 0
    assert words(place / "app.db") == {"new"}


@pytest.mark.parametrize("select", [(), ("--select", "t")])
def test_live_refuses_a_database_that_is_open_under_another_name(
    select: tuple[str, ...], place: Path, new: holdfast.Backup, restoring: Restoring
) -> None:
    """Else its file would have two logs, which nobody can merge into one."""
    make(place / "app.db", "old", mode="wal")
    (place / "else").mkdir()
    other = place / "else" / "same.db"
    os.link(place / "app.db", other)
    with opened(other):
        ran = restoring.run(new, place / "app.db", "--replace", "--live", *select)
        assert ran.returncode == UnsafeError.exit_code, ran.stderr
        assert f"has it open as {other}" in ran.stderr
        assert sorted(os.listdir(place)) == ["app.db", "else"]
    assert words(other) == {"old"}
    with opened(place / "app.db"):
        assert restoring.run(new, place / "app.db", "--replace", "--live", *select).returncode == 0
    assert words(place / "app.db") == {"new"}


@pytest.mark.parametrize("mode", ["delete", "wal"])
@pytest.mark.parametrize(("shape", "text"), [("encoding='UTF-16le'", "UTF-16le"), ("page_size=8192", "8192")])
def test_live_refuses_what_open_connections_cannot_follow_and_touches_nothing(
    shape: str, text: str, mode: str, tmp_path: Path, place: Path, backups: Any, restoring: Restoring
) -> None:
    make(tmp_path / "other.db", "new", shape)
    record = backups.make(tmp_path / "other.db")
    make(place / "app.db", "old", mode=mode)
    crash(place / "app.db", "UPDATE t SET x = 'old row'" if mode == "wal" else "")
    (place / "app.db-shm").unlink(missing_ok=True)
    before = listing(place)
    ran = restoring.run(record, place / "app.db", "--replace", "--live")
    if mode == "delete" and "page" in shape:  # connections follow, as SQLite reads the size anew
        assert ran.returncode == 0, ran.stderr
        assert words(place / "app.db") == {"new"}
        return
    assert ran.returncode == UnsafeError.exit_code, ran.stderr
    assert text in ran.stderr
    assert "--replace" in ran.stderr
    assert listing(place) == before


def test_live_into_another_page_size_is_seen_by_programs_that_have_a_database_without_log_open(
    tmp_path: Path, place: Path, backups: Any, restoring: Restoring
) -> None:
    make(tmp_path / "other.db", "new", "page_size=8192")
    record = backups.make(tmp_path / "other.db")
    make(place / "app.db", "old")
    with opened(place / "app.db") as program:
        assert restoring.run(record, place / "app.db", "--replace", "--live").returncode == 0
        assert program.stdin is not None
        assert program.stdout is not None
        program.stdin.write("SELECT min(x) FROM t\n")
        program.stdin.flush()
        assert program.stdout.readline() == "[('new 0',)]\n"
