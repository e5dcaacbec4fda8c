"""Whom a restored file belongs to: what it replaces tells, or what is left of that."""

import json
import os
import shutil
import stat
import struct
from pathlib import Path
from typing import Any

import pytest
from support.sqlite_files import Restoring, make, powerless, words

import holdfast
from holdfast.errors import CredentialsError, UsageError

NOBODY = 65534


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")


@needs_root
def test_a_lost_file_gets_the_owner_of_its_source_or_of_what_it_left_or_of_its_folder(
    tmp_path: Path, place: Path, backups: Any, restoring: Restoring
) -> None:
    source = place / "app.db"
    make(source, "new", mode="wal")
    source.chmod(0o660)
    os.chown(source, 1234, 5678)
    record = backups.make(source)
    source.unlink()
    ran = restoring.run(record, source)
    assert "warning" not in ran.stderr
    assert _owner(source) == (1234, 5678, 0o660)
    source.unlink()
    (place / "app.db-wal").touch()
    (place / "app.db-wal").chmod(0o640)
    os.chown(place / "app.db-wal", 4321, 8765)
    restoring.run(record, source)
    assert _owner(source) == (4321, 8765, 0o640)
    source.unlink()
    (place / "app.db-shm").touch()  # made by root, who had it open
    restoring.run(record, source)
    assert _owner(source) == (1234, 5678, 0o660)
    os.chown(place, NOBODY, NOBODY)
    ran = restoring.run(record, place / "copy.db")
    assert "warning" not in ran.stderr
    assert _owner(place / "copy.db") == (NOBODY, NOBODY, 0o660 & ~_umask())
    assert words(place / "copy.db") == {"new"}


@needs_root
def test_what_cannot_be_given_back_is_said(
    place: Path, new: holdfast.Backup, backups: Any, restoring: Restoring
) -> None:
    place.chmod(0o777)
    make(place / "app.db", "old")
    (place / "app.db").chmod(0o666)
    os.chown(place / "app.db", NOBODY, NOBODY)
    record = backups.make(place / "app.db")
    ran = restoring.run(new, place / "app.db", "--replace", under=powerless())
    assert "belonged to nobody:nogroup, and now belongs to root:root" in ran.stderr
    assert words(place / "app.db") == {"new"}
    (place / "app.db").unlink()
    ran = restoring.run(record, place / "app.db", under=powerless())
    assert "belonged to nobody:nogroup, and now belongs to root:root" in ran.stderr
    os.chown(place, 0, 1)
    place.chmod(0o2775)  # as Kubernetes makes volumes for a group
    ran = restoring.run(new, place / "other.db")
    assert "others who may write its folder may not write it" in ran.stderr
    assert _owner(place / "other.db")[:2] == (0, 1)


def test_a_copy_is_no_more_readable_than_its_source_was(place: Path, backups: Any) -> None:
    for mode, expected in [(0o600, 0o600), (0o444, 0o644), (0o666, 0o666 & ~_umask())]:
        source = place / f"{mode:o}.db"
        make(source, "new")
        source.chmod(mode)
        copy = backups.restore(backups.make(source), place / f"copy-{mode:o}.db")
        assert _owner(copy)[2] == expected


def _owner(path: Path) -> tuple[int, int, int]:
    status = path.stat()
    return status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)


def _umask() -> int:
    current = os.umask(0o022)
    os.umask(current)
    return current


def _access_list(*entries: tuple[int, int, int]) -> bytes:
    """An access control list as the kernel has it: linux/posix_acl_xattr.h."""
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


_NONE = 0xFFFFFFFF
_LIST = _access_list((1, 6, _NONE), (2, 6, NOBODY), (4, 4, _NONE), (0x10, 6, _NONE), (0x20, 4, _NONE))


def test_access_control_lists_and_attributes_of_the_old_file_stay_and_no_other_comes(
    place: Path, new: holdfast.Backup, backups: Any
) -> None:
    make(place / "app.db", "old")
    os.setxattr(place / "app.db", "system.posix_acl_access", _LIST)
    os.setxattr(place / "app.db", "user.note", b"kept")
    backups.restore(new, place / "app.db", replace=True)
    assert os.getxattr(place / "app.db", "system.posix_acl_access") == _LIST
    assert os.getxattr(place / "app.db", "user.note") == b"kept"
    make(place / "plain.db", "old")
    os.setxattr(place, "system.posix_acl_default", _LIST)
    backups.restore(new, place / "plain.db", replace=True)
    assert "system.posix_acl_access" not in os.listxattr(place / "plain.db")
    backups.restore(new, place / "fresh.db")
    assert os.getxattr(place / "fresh.db", "system.posix_acl_access") == _LIST


@needs_root
def test_another_users_file_in_a_sticky_folder_stays_and_the_reason_is_told(
    place: Path, new: holdfast.Backup, restoring: Restoring
) -> None:
    make(place / "app.db", "old")
    (place / "app.db").chmod(0o666)
    os.chown(place / "app.db", 1234, 1234)
    os.chown(place, NOBODY, NOBODY)
    place.chmod(0o1777)
    ran = restoring.run(new, place / "app.db", "--replace", under=powerless())
    assert ran.returncode == CredentialsError.exit_code
    assert "cannot replace" in ran.stderr
    assert "another user's" in ran.stderr
    assert ".holdfast-" not in ran.stderr
    assert words(place / "app.db") == {"old"}
    assert os.listdir(place) == ["app.db"]


@needs_root
@pytest.mark.parametrize("number", [(1 << 32) - 1, 1 << 40, 1 << 70, -7])
def test_an_owner_that_no_system_has_counts_as_none(
    number: int, place: Path, backups: Any, restoring: Restoring
) -> None:
    source = place / "app.db"
    make(source, "new")
    record = backups.make(source)
    manifest = Path(record.path) / "backup_manifest.json"
    written = json.loads(manifest.read_text())
    written["hints"]["file"] |= {"user": number, "group": number}
    manifest.write_text(json.dumps(written))
    source.unlink()
    ran = restoring.run(record, source)
    assert ran.returncode == 0, ran.stderr
    assert "belonged to" not in ran.stderr
    assert _owner(source)[:2] == (0, 0)
    assert words(source) == {"new"}


@needs_root
@pytest.mark.parametrize(("owner", "before"), [("nobody:nogroup", "none"), ("65534", "root"), ("folder", "root")])
def test_a_restored_file_belongs_to_whom_its_user_names(place: Path, backups: Any, owner: str, before: str) -> None:
    make(place / "app.db", "new")
    record = backups.make(place / "app.db")
    target = place / "copies" / "app.db"
    target.parent.mkdir()
    if before == "root":
        shutil.copy(place / "app.db", target)
    os.chown(target.parent, 65534, 65534)
    url = f"sqlite:///{target}"
    result = holdfast.restore(record, url, store=str(backups.store), replace=True, options={"owner": owner})
    status = target.stat()
    assert (status.st_uid, status.st_gid) == (65534, 65534)
    assert [warning for warning in result.warnings if "belong" in warning] == []


def test_an_owner_that_cannot_be_is_refused_before_anything_is_touched(place: Path, backups: Any) -> None:
    make(place / "app.db", "new")
    record = backups.make(place / "app.db")
    for owner, kind in (("no such user", UsageError), (":", UsageError), (str(1 << 33), UsageError)):
        with pytest.raises(kind, match="owner is"):
            backups.restore(record, place / "copy.db", options={"owner": owner})
    if os.geteuid() != 0:
        with pytest.raises(CredentialsError, match="cannot be given to"):
            backups.restore(record, place / "copy.db", options={"owner": "0:0"})
    assert not (place / "copy.db").exists()


@pytest.mark.parametrize("before", ["none", "another"])
@pytest.mark.parametrize("mode", ["0640", "600", "0o664", "0440"])
def test_a_restored_file_has_the_mode_that_its_user_names(place: Path, backups: Any, before: str, mode: str) -> None:
    make(place / "app.db", "new")
    record = backups.make(place / "app.db")
    target = place / "copies" / "app.db"
    target.parent.mkdir()
    if before == "another":
        shutil.copy(place / "app.db", target)
        target.chmod(0o644)
    target.parent.chmod(0o777)  # else nothing would have to be said of who may write there
    result = holdfast.restore(
        record, f"sqlite:///{target}", store=str(backups.store), replace=True, options={"mode": mode}
    )
    assert stat.S_IMODE(target.stat().st_mode) == int(mode, 8)
    assert result.warnings == ()


@needs_root
def test_a_mode_holds_along_with_an_owner_and_a_list_of_the_folder(place: Path, backups: Any) -> None:
    make(place / "app.db", "new")
    record = backups.make(place / "app.db")
    os.setxattr(place, "system.posix_acl_default", _LIST)
    backups.restore(record, place / "copy.db", options={"mode": "0640", "owner": "65534:65534"})
    assert _owner(place / "copy.db") == (65534, 65534, 0o640)


def test_a_mode_that_cannot_be_is_refused_before_anything_is_touched(
    place: Path, backups: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    make(place / "app.db", "new")
    record = backups.make(place / "app.db")
    for mode in ("u=rw", "0888", "4755", "-1", "0x1ff", " 640"):
        with pytest.raises(UsageError, match="such as 0640"):
            backups.restore(record, place / "copy.db", options={"mode": mode})
    monkeypatch.setattr(os, "chmod", lambda *args: None)  # as file systems do that have one mode for all
    with pytest.raises(CredentialsError, match="cannot be given the mode 0664"):
        backups.restore(record, place / "copy.db", options={"mode": "0664"})
    assert not (place / "copy.db").exists()
    assert sorted(path.name for path in place.iterdir()) == ["app.db"]


def test_the_same_file_keeps_its_mode_and_that_is_said(place: Path, backups: Any) -> None:
    make(place / "app.db", "new")
    record = backups.make(place / "app.db")
    shutil.copy(place / "app.db", place / "copy.db")
    (place / "copy.db").chmod(0o644)
    url = f"sqlite:///{place / 'copy.db'}"
    options = {"mode": "0600"}
    live = holdfast.restore(record, url, store=str(backups.store), replace=True, live=True, options=options)
    part = holdfast.restore(record, url, store=str(backups.store), replace=True, select=("*",), options=options)
    for result in (live, part):
        assert any("the same file as before, and keeps its mode" in warning for warning in result.warnings)
    assert _owner(place / "copy.db")[2] == 0o644
