"""What is to take the place of a file or folder is made next to it, and takes it whole or not at all."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from holdfast.api import HoldfastError, Staging, UnreachableError, UnsafeError, check_folder


def make(staging: Staging, content: str) -> None:
    """Fill what is staged: a file, or a folder with a file in a folder."""
    path = Path(staging.path)
    if path.is_dir():
        path = path / "part" / "file"
        path.parent.mkdir()
    path.write_text(content)


def put(target: Path, content: str) -> None:
    if target.suffix:
        target.write_text(content)
    else:
        (target / "part").mkdir(parents=True)
        (target / "part" / "file").write_text(content)


def content(target: Path) -> str | None:
    file = target if target.suffix else target / "part" / "file"
    return file.read_text() if file.exists() else None


@pytest.fixture(params=["db.file", "folder"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return tmp_path / "place" / str(request.param)


@pytest.fixture(autouse=True)
def _place(tmp_path: Path) -> None:
    (tmp_path / "place").mkdir()


def staging(target: Path, *, replace: bool = False) -> Staging:
    return Staging(str(target), folder=not target.suffix, replace=replace)


def names(target: Path) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


@pytest.mark.parametrize("replace", [False, True])
def test_it_takes_a_place_that_is_free(target: Path, replace: bool) -> None:
    staged = staging(target, replace=replace)
    staged.check()
    assert names(target) == []
    staged.claim()
    make(staged, "new")
    assert content(target) is None
    staged.publish()
    staged.abandon()
    assert content(target) == "new"
    assert names(target) == [target.name]


def test_it_takes_the_place_of_what_may_be_replaced(target: Path) -> None:
    put(target, "old")
    staged = staging(target, replace=True)
    staged.check()
    staged.claim()
    make(staged, "new")
    assert content(target) == "old"
    staged.publish()
    staged.abandon()
    assert content(target) == "new"
    assert names(target) == [target.name]


def test_it_has_the_owner_and_mode_of_what_it_replaces(target: Path) -> None:
    put(target, "old")
    target.chmod(0o750)
    if os.geteuid() == 0:
        os.chown(target, 4711, 4712)
    before = target.stat()
    staged = staging(target, replace=True)
    staged.claim()
    make(staged, "new")
    assert os.stat(staged.path).st_mode & 0o077 == 0
    staged.publish()
    staged.abandon()
    after = target.stat()
    assert (after.st_mode, after.st_uid, after.st_gid) == (before.st_mode, before.st_uid, before.st_gid)


def test_data_is_replaced_only_by_word(target: Path) -> None:
    put(target, "old")
    with pytest.raises(UnsafeError, match="exists and holds data") as caught:
        staging(target).check()
    assert caught.value.hint == "use --replace to overwrite it"


def test_what_holds_nothing_may_be_replaced(target: Path) -> None:
    if target.suffix:
        target.touch()
    else:
        target.mkdir()
    staged = staging(target)
    staged.check()
    staged.claim()
    make(staged, "new")
    staged.publish()
    staged.abandon()
    assert content(target) == "new"
    assert names(target) == [target.name]


def test_what_has_come_meanwhile_stays(target: Path) -> None:
    staged = staging(target)
    staged.check()
    staged.claim()
    make(staged, "new")
    put(target, "another's")
    with pytest.raises(UnsafeError, match="created by another process meanwhile"):
        staged.publish()
    staged.abandon()
    assert content(target) == "another's"
    assert names(target) == [target.name]


def test_what_is_abandoned_leaves_the_target_as_it_was(target: Path) -> None:
    put(target, "old")
    staged = staging(target, replace=True)
    staged.abandon()  # before it was made
    staged.claim()
    make(staged, "new")
    staged.abandon()
    assert content(target) == "old"
    assert names(target) == [target.name]


def test_a_folder_that_cannot_be_put_in_place_leaves_the_old_one(target: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(target, "old")
    staged = staging(target, replace=True)
    staged.claim()
    make(staged, "new")
    rename = os.rename

    def interrupted(old: str, new: str) -> None:
        if old == staged.path:
            raise KeyboardInterrupt
        rename(old, new)

    monkeypatch.setattr("os.rename", interrupted)
    monkeypatch.setattr("os.replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        staged.publish()
    staged.abandon()
    assert content(target) == "old"
    assert names(target) == [target.name]


KILLED = """
import os, signal, sys
from holdfast.api import Staging
target, folder, when = sys.argv[1], sys.argv[2] == "True", sys.argv[3]
staged = Staging(target, folder=folder, replace=True)
staged.claim()
rename = os.rename
def killed(old, new):
    rename(old, new)
    if new.endswith(".old") or when == "end":
        os.kill(os.getpid(), signal.SIGKILL)
if when == "claim":
    os.kill(os.getpid(), signal.SIGKILL)
os.rename = killed
staged.publish()
"""


def kill(target: Path, when: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(target), str(not target.suffix), when], check=False)
    assert done.returncode == (0 if when != "claim" and target.suffix else -signal.SIGKILL)


def test_what_a_killed_restore_has_left_is_removed(target: Path) -> None:
    put(target, "old")
    kill(target, "claim")
    assert len(names(target)) == 2
    running = staging(target, replace=True)
    running.claim()
    assert len(names(target)) == 2
    staged = staging(target, replace=True)
    staged.claim()
    assert {Path(running.path).name, Path(staged.path).name, target.name} == set(names(target))
    for part in (staged, running):
        part.abandon()
    assert names(target) == [target.name]
    assert content(target) == "old"


def test_a_folder_that_was_moved_aside_comes_back(tmp_path: Path) -> None:
    """A restore was killed between the two renames; nobody takes the place for a free one."""
    target = tmp_path / "place" / "folder"
    put(target, "old")
    kill(target, "between")
    assert not target.exists()
    with pytest.raises(UnsafeError, match="what it held is in"):
        staging(target).check()
    staged = staging(target, replace=True)
    staged.check()
    staged.claim()
    assert content(target) == "old"
    make(staged, "new")
    staged.publish()
    staged.abandon()
    assert content(target) == "new"
    assert names(target) == [target.name]


def test_a_target_of_another_kind_is_refused(target: Path) -> None:
    if target.suffix:
        target.mkdir()
    else:
        target.touch()
    with pytest.raises(UnsafeError, match="exists and is not a"):
        staging(target, replace=True).check()


def test_a_link_stays_a_link(target: Path) -> None:
    put(target, "old")
    link = target.with_name(f"link{target.suffix}")
    link.symlink_to(target)
    staged = staging(link, replace=True)
    staged.claim()
    make(staged, "new")
    staged.publish()
    staged.abandon()
    assert link.is_symlink()
    assert content(target) == "new"


def test_the_folder_of_a_target_is_there_and_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(UnreachableError, match="does not exist"):
        Staging(str(tmp_path / "missing" / "target")).check()
    (tmp_path / "file").touch()
    with pytest.raises(UnreachableError, match="is not a folder"):
        check_folder(str(tmp_path / "file"))


def test_a_name_that_somebody_else_has_taken_is_not_followed(target: Path) -> None:
    staged = staging(target)
    staged.claim()
    os.rename(staged.path, f"{staged.path}.stolen")
    os.symlink("/etc", staged.path)
    with pytest.raises(UnsafeError, match="replaced by somebody else"):
        staged.publish()
    staged.abandon()
    assert not target.exists()
    assert issubclass(UnsafeError, HoldfastError)


def test_a_context_removes_what_was_not_published(target: Path) -> None:
    with Staging(target, folder=not target.suffix) as staging:
        staging.claim()
        make(staging, "new")
    assert list(target.parent.iterdir()) == []
    with Staging(target, folder=not target.suffix) as staging:
        staging.claim()
        make(staging, "new")
        staging.publish()
    assert content(target) == "new"


def with_log(tmp_path: Path) -> Path:
    target = tmp_path / "logged" / "db.file"
    target.parent.mkdir()
    target.write_text("old")
    Path(f"{target}.log").write_text("of the old one")
    return target


def test_side_files_of_a_target_that_is_replaced_go_with_it(tmp_path: Path) -> None:
    target = with_log(tmp_path)
    with Staging(target, replace=True, side_files=(".log",)) as staging:
        staging.claim()
        make(staging, "new")
        staging.publish()
    assert [path.name for path in target.parent.iterdir()] == ["db.file"]
    assert target.read_text() == "new"


def test_side_files_stay_with_a_target_that_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    target = with_log(tmp_path)
    with Staging(target, replace=True, side_files=(".log",)) as staging:
        staging.claim()
        make(staging, "new")
        monkeypatch.setattr(os, "replace", lambda *_: os.stat(tmp_path / "missing"))
        with pytest.raises(FileNotFoundError):
            staging.publish()
    assert sorted(path.name for path in target.parent.iterdir()) == ["db.file", "db.file.log"]
    assert target.read_text() == "old"


@pytest.mark.parametrize("replaced", [False, True])
def test_side_files_that_a_killed_restore_had_moved_aside_are_brought_back_or_removed(
    tmp_path: Path, replaced: bool
) -> None:
    target = with_log(tmp_path)
    killed = Staging(target, replace=True, side_files=(".log",))
    killed.claim()
    os.rename(f"{target}.log", f"{killed.path}.log.old")
    if replaced:
        os.replace(killed.path, target)
    os.close(killed.descriptor if not replaced else killed._descriptor or -1)
    with Staging(target, replace=True, side_files=(".log",)) as staging:
        staging.claim()
    assert sorted(path.name for path in target.parent.iterdir()) == ["db.file", "db.file.log"][: 2 - replaced]
