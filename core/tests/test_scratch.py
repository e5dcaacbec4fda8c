"""Scratch folders come and go with their run, and what killed processes left is swept."""

import errno
import fcntl
import os
import shutil
import signal
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from holdfast.errors import HoldfastError, IntegrityError, UnreachableError, UnsafeError
from holdfast.scratch import PREFIX, scratch_folder, sweep

HOLDER = """
import time
from holdfast.scratch import scratch_folder
with scratch_folder() as folder:
    (folder / "image").write_bytes(b"x" * 1000)
    print(folder, flush=True)
    time.sleep(60)
"""


@pytest.fixture(autouse=True)
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    return tmp_path


def test_a_folder_is_private_and_goes_with_its_block(root: Path) -> None:
    with scratch_folder() as folder:
        assert folder.parent == root
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "file").write_text("x")
    assert not list(root.iterdir())


@pytest.mark.parametrize("place", ["/proc", "."])
def test_a_place_where_no_folder_can_be_made_is_one_error(
    place: str, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # In a folder that was removed under a process, as in /proc, nothing can be made, though it is a folder.
    (root / "gone").mkdir()
    monkeypatch.chdir(root / "gone")
    (root / "gone").rmdir()
    monkeypatch.setenv("TMPDIR", place)
    with pytest.raises(HoldfastError, match="cannot make a scratch folder"), scratch_folder():
        pass


def test_a_folder_goes_after_an_error_too(root: Path) -> None:
    with pytest.raises(ZeroDivisionError), scratch_folder():
        raise ZeroDivisionError
    assert not list(root.iterdir())


@pytest.mark.parametrize(
    "error", [UnreachableError("no database"), UnsafeError("who did that"), HoldfastError("no"), FileNotFoundError()]
)
def test_a_folder_that_somebody_removed_is_what_an_error_names(root: Path, error: Exception) -> None:
    """As `rm -rf /var/tmp/*` of a nightly job does: not the database is gone, nor has anybody changed the target."""

    def fail(*, clean: bool) -> None:
        with scratch_folder() as folder:
            if clean:
                shutil.rmtree(folder)
            raise error

    with pytest.raises(HoldfastError, match=r"^the scratch folder .* was removed by another program") as caught:
        fail(clean=True)
    assert (caught.value.exit_code, type(caught.value)) == (1, HoldfastError)
    with pytest.raises(type(error)) as kept:
        fail(clean=False)
    assert kept.value is error


def test_damage_is_damage_though_the_folder_is_gone(root: Path) -> None:
    def fail() -> None:
        with scratch_folder() as folder:
            shutil.rmtree(folder)
            raise IntegrityError("other bytes")

    with pytest.raises(IntegrityError, match=r"^other bytes$"):
        fail()


def test_what_a_killed_process_left_goes_with_the_next_run(root: Path) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER], stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        left = Path(holder.stdout.readline().strip())
        holder.send_signal(signal.SIGKILL)
    assert left.is_dir()
    with scratch_folder():
        assert not left.exists()


def test_the_folder_of_a_living_process_stays(root: Path) -> None:
    with scratch_folder() as folder:
        assert sweep(str(root)) == []
        assert folder.is_dir()


def test_only_our_own_folders_are_swept(root: Path) -> None:
    """A link, a file and a stranger's name are not ours, whatever they are called."""
    (root / "elsewhere").mkdir()
    (root / f"{PREFIX}link").symlink_to(root / "elsewhere")
    (root / f"{PREFIX}file").write_text("x")
    (root / "holdfast-other").mkdir()
    before = sorted(os.listdir(root))
    assert sweep(str(root)) == []
    assert sorted(os.listdir(root)) == before


def no_lock(monkeypatch: pytest.MonkeyPatch, *kinds: Callable[[int], bool]) -> None:
    """Let locks of what is of such a kind be refused as NFS refuses that of a folder."""
    flock = fcntl.flock

    def refuse(descriptor: int, operation: int) -> None:
        if any(kind(os.fstat(descriptor).st_mode) for kind in kinds):
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        flock(descriptor, operation)

    monkeypatch.setattr(fcntl, "flock", refuse)


def test_where_a_folder_takes_no_lock_a_file_in_it_does(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on NFS, where an exclusive lock is for what is open for writing."""
    no_lock(monkeypatch, stat.S_ISDIR)
    with scratch_folder() as folder:
        assert sweep(str(root)) == []
        assert folder.is_dir()
    assert not list(root.iterdir())
    left = root / f"{PREFIX}000000000000"
    left.mkdir()
    (left / ".lock").touch()
    assert sweep(str(root)) == [str(left)]
    assert not list(root.iterdir())


def test_where_nothing_takes_a_lock_nothing_is_swept(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    no_lock(monkeypatch, stat.S_ISDIR, stat.S_ISREG)
    with scratch_folder() as folder:
        assert sweep(str(root)) == []
        assert folder.is_dir()
    assert not list(root.iterdir())
