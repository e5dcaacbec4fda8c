"""Places where no database can be put say why; what a file system cannot do is done without."""

import errno
import fcntl
import os
import sqlite3
import struct
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from support.refused_calls import refusing
from support.sqlite_files import Restoring, listing, make, powerless, words

import holdfast
from holdfast.errors import CredentialsError, HoldfastError, UnreachableError, UnsafeError

_IMMUTABLE, _APPEND = 0x10, 0x20  # linux/fs.h
_GET_FLAGS, _SET_FLAGS = 0x80086601, 0x40086602


def test_read_only_mounts_are_told_as_such(
    tmp_path: Path, place: Path, new: holdfast.Backup, restoring: Restoring, mounted: Any
) -> None:
    make(place / "app.db", "old", mode="wal")
    before = listing(place)
    under = mounted(tmp_path / "new.db", tmp_path / "any")
    for command in (["--bind", str(place), str(place)], ["-o", "remount,bind,ro", str(place)]):
        subprocess.run([*under, "mount", *command], check=True)
    for options in (["--replace"], ["--replace", "--live"], ["--replace", "-n"]):
        ran = restoring.run(new, place / "app.db", *options, under=under)
        assert ran.returncode == CredentialsError.exit_code
        assert "the file system is read-only" in ran.stderr
        assert ".holdfast-" not in ran.stderr
    assert restoring.run(new, place / "none.db", under=under).returncode == CredentialsError.exit_code
    assert listing(place) == before


def test_a_full_disk_is_told_with_what_is_needed_and_free(
    tmp_path: Path, backups: Any, restoring: Restoring, mounted: Any
) -> None:
    with closing(sqlite3.connect(tmp_path / "large.db")) as connection:
        connection.execute("CREATE TABLE t AS SELECT randomblob(9000000) AS x")
        connection.commit()
    under = mounted(tmp_path / "large.db", tmp_path / "any")
    for style in ("image", "sql"):
        record = backups.make(tmp_path / "large.db", options={"format": style})
        ran = restoring.run(record, tmp_path / "disk" / "app.db", under=under)
        assert ran.returncode == HoldfastError.exit_code
        assert f"cannot write beside {tmp_path}/disk/app.db: no space left on the device" in ran.stderr
        assert " bytes are free" in ran.stderr
        assert subprocess.run([*under, "ls", "-A", "disk"], capture_output=True, check=True).stdout == b""
    ran = restoring.run(record, tmp_path / "disk" / "app.db", "--select", "t", under=under)
    assert f"cannot write beside {tmp_path}/disk/app.db: no space left" in ran.stderr


@contextmanager
def flagged(path: Path, flag: int) -> Iterator[None]:
    """Set the attribute immutable or append-only."""

    def change(flags: int) -> None:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            (present,) = struct.unpack("l", fcntl.ioctl(descriptor, _GET_FLAGS, bytes(8)))
            fcntl.ioctl(descriptor, _SET_FLAGS, struct.pack("l", present & ~(_IMMUTABLE | _APPEND) | flags))
        finally:
            os.close(descriptor)

    change(flag)
    try:
        yield
    finally:
        change(0)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root sets these attributes")
@pytest.mark.parametrize("flag", [_IMMUTABLE, _APPEND])
def test_immutable_and_append_only_files_are_told_as_such(
    flag: int, place: Path, new: holdfast.Backup, restoring: Restoring
) -> None:
    make(place / "app.db", "old")
    before = listing(place)
    for path in [place / "app.db", *([place] if flag == _IMMUTABLE else [])]:
        with flagged(path, flag):
            ran = restoring.run(new, place / "app.db", "--replace")
        assert ran.returncode == CredentialsError.exit_code
        assert "immutable" in ran.stderr
        assert ".holdfast-" not in ran.stderr
        assert listing(place) == before


def test_places_where_no_database_can_be_say_why(
    tmp_path: Path, place: Path, new: holdfast.Backup, backups: Any
) -> None:
    os.mkfifo(place / "pipe")
    (place / "loop").symlink_to("loop")
    (place / "dangling").symlink_to("missing/app.db")
    (place / "mounted.db").mkdir()
    for name, error, text in [
        ("pipe", UnsafeError, "a named pipe"),
        ("loop", UnsafeError, "a link that leads to itself"),
        ("mounted.db", UnsafeError, "a folder"),
        ("dangling", UnreachableError, f"{place}/missing' of the target does not exist"),
        ("pipe/app.db", UnreachableError, "is not a folder"),
        ("x" * 200 + "/" + "y" * 200, UnreachableError, "does not exist"),
    ]:
        with pytest.raises(error, match=text.replace("'", "'?")):
            backups.restore(new, place / name, replace=True)
    deep = place.joinpath("x" * 200, "y" * 200, "z" * 200)
    deep.mkdir(parents=True)
    with pytest.raises(UnreachableError, match=r"too long.*510"):
        backups.restore(new, deep / "app.db")
    # An ordinary user may make no file in these folders.
    with pytest.raises((UnsafeError, CredentialsError), match=r"a device|folder /dev of the target cannot be written"):
        backups.restore(new, Path("/dev/null"), replace=True)
    with pytest.raises(HoldfastError, match=r"/proc/app.db: no file can be made there|folder /proc of the target"):
        backups.restore(new, Path("/proc/app.db"))


def test_a_dangling_link_gets_its_file_where_it_leads(place: Path, new: holdfast.Backup, backups: Any) -> None:
    (place / "data").mkdir()
    (place / "link.db").symlink_to("data/app.db")
    backups.restore(new, place / "link.db")
    assert (place / "link.db").is_symlink()
    assert words(place / "data" / "app.db") == {"new"}


def test_a_folder_that_can_be_written_and_not_read_takes_a_database(
    place: Path, new: holdfast.Backup, restoring: Restoring
) -> None:
    place.chmod(0o300)
    ran = restoring.run(new, place / "app.db", under=powerless())
    place.chmod(0o700)
    assert ran.returncode == 0, ran.stderr
    assert words(place / "app.db") == {"new"}


@pytest.mark.parametrize(
    ("error", "calls"),
    [
        (errno.EINVAL, ("fallocate",)),  # ZFS
        (errno.ENOSPC, ("fallocate",)),  # ZFS that has room
        (errno.EOPNOTSUPP, ("fallocate",)),  # NFS, FUSE; musl leaves it at that
        (errno.EPERM, ("link", "linkat")),  # FAT, SMB
        (errno.EINVAL, ("fsync",)),  # folders on SMB and VirtualBox
        (errno.EPERM, ("chmod", "fchmod", "fchmodat")),  # FAT
    ],
)
def test_what_a_file_system_cannot_is_done_without(
    error: int, calls: tuple[str, ...], place: Path, new: holdfast.Backup, restoring: Restoring
) -> None:
    for options in ((), ("--replace",)):
        ran = restoring.run(new, place / "app.db", *options, under=refusing(error, *calls))
        assert ran.returncode == 0, ran.stderr
        assert ("has the mode 0600" in ran.stderr) == (not options and "chmod" in calls)
        assert words(place / "app.db") == {"new"}
        assert os.listdir(place) == ["app.db"]


@pytest.mark.parametrize("error", [errno.EBUSY, errno.EXDEV])  # a mount, mergerfs
def test_where_nothing_can_be_renamed_over_a_file_it_is_written_in_one_transaction(
    error: int, place: Path, new: holdfast.Backup, restoring: Restoring
) -> None:
    make(place / "app.db", "old", mode="wal")
    ran = restoring.run(new, place / "app.db", "--replace", under=refusing(error, "rename", "renameat"))
    assert ran.returncode == 0, ran.stderr
    assert "cannot be renamed over" in ran.stderr
    assert words(place / "app.db") == {"new"}
    assert os.listdir(place) == ["app.db"]


def test_a_quota_is_told_of_the_target_and_leaves_it(place: Path, new: holdfast.Backup, restoring: Restoring) -> None:
    make(place / "app.db", "old")
    before = listing(place)
    ran = restoring.run(new, place / "app.db", "--replace", under=refusing(errno.EDQUOT, "fallocate"))
    assert ran.returncode == HoldfastError.exit_code
    assert f"cannot write beside {place}/app.db: the disk quota is used up" in ran.stderr
    assert listing(place) == before
