"""Leases in a folder: one holder at a time, and none for longer than its process."""

import errno
import fcntl
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import msgspec
import pytest

from holdfast.errors import LockedError
from holdfast.host import Host
from holdfast.store import _leases
from holdfast.store.folder import FolderStorage


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(str(tmp_path / "store"))


def put(storage: FolderStorage, path: str, content: bytes = b"x") -> None:
    with storage.writer(path) as writer:
        writer.write(content)


def test_a_lease_is_not_lost_to_somebody_who_only_looks_whether_it_is_dead(
    storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    looking: list[int] = []
    real = fcntl.flock

    def flock(descriptor: int, flags: int) -> None:
        """As if another process held the file that was just made until we have tried once."""
        if not looking:
            path = os.readlink(f"/proc/self/fd/{descriptor}")
            looking.append(os.open(path, os.O_RDWR))
            real(looking[0], fcntl.LOCK_EX)
            os.unlink(path)
            try:
                real(descriptor, flags)
            finally:
                os.close(looking[0])
        real(descriptor, flags)

    monkeypatch.setattr("holdfast.store._leases.fcntl.flock", flock)
    with storage.lease("app"), pytest.raises(LockedError), storage.lease("app"):
        pass


# --- leases ---


def test_a_lease_is_held_once_and_again_after_its_end(storage: FolderStorage) -> None:
    other = FolderStorage(storage.root)
    with storage.lease("id"):
        with pytest.raises(LockedError, match="another process is at work on id"), other.lease("id"):
            pass
        with other.lease("id-2"):
            pass
    with other.lease("id"):
        pass
    assert os.listdir(f"{storage.root}/.leases") == []
    assert list(storage.list()) == []  # a lease is no object


HOLDER = """
import sys, time
from holdfast.store.folder import FolderStorage
with FolderStorage(sys.argv[1]).lease("id"):
    print("held", flush=True)
    time.sleep(60)
"""


def test_the_lease_of_a_killed_process_ends_with_it(storage: FolderStorage) -> None:
    with subprocess.Popen([sys.executable, "-c", HOLDER, storage.root], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"held\n"
        with pytest.raises(LockedError), storage.lease("id"):
            pass
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with storage.lease("id"):
        pass


def test_a_lease_whose_file_cannot_be_removed_is_free_all_the_same(
    storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def unlink(path: str) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", path)

    before = os.listdir("/proc/self/fd")
    with monkeypatch.context() as patched, pytest.raises(PermissionError), storage.lease("id"):
        patched.setattr(os, "unlink", unlink)
    assert os.listdir("/proc/self/fd") == before
    with FolderStorage(storage.root).lease("id"):
        pass


def test_a_lease_is_never_held_twice_however_many_want_it(storage: FolderStorage) -> None:
    holding = 0
    most: list[int] = []
    start = threading.Barrier(6)

    def work() -> None:
        nonlocal holding
        own = FolderStorage(storage.root)
        start.wait()
        for _ in range(60):
            try:
                with own.lease("id"):
                    holding += 1
                    most.append(holding)
                    holding -= 1
            except LockedError:
                pass

    threads = [threading.Thread(target=work) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most
    assert max(most) == 1


def test_leases_in_a_folder_that_is_a_link_are_refused_and_nothing_behind_the_link_is_removed(
    storage: FolderStorage, tmp_path: Path
) -> None:
    put(storage, "app/a")
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "letter").write_bytes(b"dear")
    (elsewhere / "empty").write_bytes(b"")
    (Path(storage.root) / ".leases").symlink_to(elsewhere)
    with pytest.raises(NotADirectoryError), storage.lease("id"):
        pass
    assert sorted(os.listdir(elsewhere)) == ["empty", "letter"]


def test_only_empty_files_are_taken_for_the_leases_of_killed_runs(storage: FolderStorage) -> None:
    leases = Path(storage.root) / ".leases"
    leases.mkdir(parents=True)
    (leases / "dead").write_bytes(b"")
    (leases / "letter").write_bytes(b"dear")
    os.mkfifo(leases / "fifo")
    with storage.lease("id"):
        pass
    assert sorted(os.listdir(leases)) == ["fifo", "letter"]


def test_a_linked_folder_is_listed_as_a_link_and_never_entered(storage: FolderStorage, tmp_path: Path) -> None:
    put(storage, "app/a")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "letter").write_bytes(b"dear")
    (Path(storage.root) / "link").symlink_to(tmp_path / "elsewhere")
    for prefix in ("", "link"):
        assert [stat.regular for stat in storage.list(prefix) if stat.path == "link"] == [False]
        assert not [stat.path for stat in storage.list(prefix) if "letter" in stat.path]


def test_readers_share_a_lease_and_keep_others_out_until_the_last_is_done(storage: FolderStorage) -> None:
    put(storage, "app/x")
    with storage.shared_lease("name"):
        with storage.shared_lease("name"), pytest.raises(LockedError), storage.lease("name"):
            pass
        with pytest.raises(LockedError), storage.lease("name"):
            pass
    with storage.lease("name"), pytest.raises(LockedError), storage.shared_lease("name"):
        pass
    assert os.listdir(os.path.join(storage.root, ".leases")) == []


BACKUP = "20260301T010203Z-abcdef"
HERE = Host(name="here", id="1" * 16)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """This host has a name that no container got by chance."""
    monkeypatch.setattr(_leases, "_here", lambda: HERE)


def leave(storage: FolderStorage, name: str, host: Host, *, seconds_ago: float = 60) -> Path:
    """What a process on a host leaves that was killed, or whose lock this host does not see."""
    path = Path(storage.root) / ".leases" / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(msgspec.json.encode(host))
    os.utime(path, (time.time() - seconds_ago,) * 2)
    return path


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", [BACKUP, f"reading-{BACKUP}"])
def test_for_a_day_no_host_takes_the_lease_that_another_has_of_a_backup(storage: FolderStorage, name: str) -> None:
    """On a mount that grants locks by itself nobody sees those of another host."""
    path = leave(storage, name, Host(name="elsewhere", id="0" * 16))
    with pytest.raises(LockedError, match="a process on host elsewhere is at work on"), storage.lease(name):
        pass
    with storage.lease("of-something-else"):
        pass
    assert path.exists()
    os.utime(path, (time.time() - 25 * 3600,) * 2)
    with storage.lease("of-something-else"):
        pass
    assert not path.exists()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("host", [HERE, Host(name="0123456789ab"), Host(name="here")])
def test_what_a_killed_process_of_this_host_left_is_free_at_once(storage: FolderStorage, host: Host) -> None:
    """And that of a container, of which the next one has another name."""
    path = leave(storage, BACKUP, host)
    with storage.lease(BACKUP):
        assert msgspec.json.decode(path.read_bytes(), type=Host) == HERE
    assert not path.exists()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("content", [b"", b"{", b"\xff", b"[]", b'{"name": 1}'])
def test_a_lease_in_which_no_host_stands_is_free(storage: FolderStorage, content: bytes) -> None:
    leave(storage, BACKUP, Host(name="elsewhere")).write_bytes(content)
    with storage.lease(BACKUP):
        pass


@pytest.mark.usefixtures("here")
def test_readers_on_two_hosts_share_a_lease(storage: FolderStorage) -> None:
    leave(storage, f"reading-{BACKUP}", Host(name="elsewhere"))
    with storage.shared_lease(f"reading-{BACKUP}"), storage.shared_lease(f"reading-{BACKUP}"):
        pass
