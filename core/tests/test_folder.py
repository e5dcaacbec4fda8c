"""The folder storage: objects appear whole or not at all, and nothing outside of the folder is touched."""

import errno
import os
import stat
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import UsageError
from holdfast.store.folder import FolderStorage


@pytest.fixture
def storage(tmp_path: Path) -> FolderStorage:
    return FolderStorage(str(tmp_path / "store"))


def put(storage: FolderStorage, path: str, content: bytes = b"x") -> None:
    with storage.writer(path) as writer:
        writer.write(content)


def names(storage: FolderStorage) -> set[str]:
    return {stat.path for stat in storage.list()}


def test_an_object_is_seen_only_after_a_clean_exit(storage: FolderStorage) -> None:
    with storage.writer("app/a") as writer:
        writer.write(b"12")
        writer.write(memoryview(b"34"))
        with pytest.raises(FileNotFoundError):
            storage.read("app/a")
        (unfinished,) = names(storage)
        assert unfinished.startswith("app/.partial-")
    assert storage.read("app/a") == b"1234"
    assert names(storage) == {"app/a"}
    assert storage.stat("app/a").size == 4


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, OSError])
def test_an_error_leaves_no_object_and_no_file(storage: FolderStorage, error: type[BaseException]) -> None:
    with pytest.raises(error), storage.writer("app/a"):
        raise error
    assert names(storage) == set()


def test_an_error_tells_the_name_of_the_object_and_no_temporary_one(storage: FolderStorage) -> None:
    with pytest.raises(OSError) as failure:
        put(FolderStorage("/proc"), "app")
    assert failure.value.filename == "/proc/app"
    put(storage, "app/a")
    with pytest.raises(FileExistsError) as failure:
        put(storage, "app/a")
    assert failure.value.filename == f"{storage.root}/app/a"


def test_an_existing_object_is_never_changed(storage: FolderStorage) -> None:
    put(storage, "app/a", b"old")
    with pytest.raises(FileExistsError):
        put(storage, "app/a", b"new")
    assert storage.read("app/a") == b"old"
    assert names(storage) == {"app/a"}


@pytest.mark.parametrize("code", [errno.EPERM, errno.ENOTSUP, errno.EMLINK])
def test_a_file_system_without_hard_links_is_served_too(
    storage: FolderStorage, code: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise OSError(code, "no links here")

    monkeypatch.setattr(os, "link", link)
    put(storage, "app/a", b"old")
    with pytest.raises(FileExistsError):
        put(storage, "app/a", b"new")
    assert storage.read("app/a") == b"old"
    assert names(storage) == {"app/a"}


def test_a_name_reserved_where_there_are_no_hard_links_is_given_back_after_an_error(
    storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    def link(*_: object) -> None:
        raise OSError(errno.EPERM, "no links here")

    def replace(*_: object) -> None:
        raise OSError(errno.EIO, "Input/output error")

    with monkeypatch.context() as patched:
        patched.setattr(os, "link", link)
        patched.setattr(os, "replace", replace)
        with pytest.raises(OSError, match="Input/output"):
            put(storage, "app/a")
    assert names(storage) == set()
    put(storage, "app/a")


def test_of_many_writers_of_one_name_exactly_one_succeeds(storage: FolderStorage) -> None:
    start, outcomes = threading.Barrier(8), []

    def write(number: int) -> None:
        start.wait()
        try:
            put(storage, "app/a", bytes([number]))
            outcomes.append(number)
        except FileExistsError:
            pass

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [bytes([number]) for number in outcomes] == [storage.read("app/a")]


def test_files_and_folders_are_private(storage: FolderStorage) -> None:
    put(storage, "app/id/a")
    for path in ("", "app", "app/id"):
        assert stat.S_IMODE(os.stat(os.path.join(storage.root, path)).st_mode) == 0o700
    assert stat.S_IMODE(os.stat(f"{storage.root}/app/id/a").st_mode) == 0o600


def test_a_store_whose_marker_a_group_may_read_is_shared_with_it(storage: FolderStorage) -> None:
    """Whatever the umask is, and folders hand the group on that they are told to."""
    put(storage, "holdfast.json")
    os.chmod(f"{storage.root}/holdfast.json", 0o640)
    os.chmod(storage.root, 0o2750)
    before = os.umask(0o077)
    try:
        put(storage, "app/id/a")
    finally:
        os.umask(before)
    modes = [stat.S_IMODE(os.stat(f"{storage.root}/{path}").st_mode) for path in ("app/id/a", "app/id")]
    assert modes == [0o640, 0o2750]


@given(offset=st.integers(0, 30), length=st.none() | st.integers(0, 30))
def test_any_range_of_an_object_is_read(
    tmp_path_factory: pytest.TempPathFactory, offset: int, length: int | None
) -> None:
    storage = FolderStorage(str(tmp_path_factory.getbasetemp() / "ranges"))
    content = bytes(range(20))
    if not os.path.exists(storage.root):
        put(storage, "a", content)
    assert storage.read("a", offset, length) == content[offset : None if length is None else offset + length]


def test_deleting_removes_empty_folders_up_to_the_root_and_nothing_else(storage: FolderStorage) -> None:
    put(storage, "app/one/a/b")
    put(storage, "app/two/a")
    storage.delete("app/one/a/b")
    assert os.listdir(f"{storage.root}/app") == ["two"]
    storage.delete("app/one/a/b")  # again: no error
    storage.delete("app/two/a")
    assert os.listdir(storage.root) == []
    storage.delete("never/was/there")


@pytest.mark.parametrize("path", ["../x", "a/../../x", "/etc/passwd", "..", "", ".", "a\0b", "../store-2/x"])
def test_a_path_outside_of_the_folder_is_refused(storage: FolderStorage, path: str) -> None:
    put(storage, "a")
    for call in (storage.read, storage.stat, storage.delete):
        with pytest.raises(UsageError, match="is outside of the store"):
            call(path)
    with pytest.raises(UsageError), storage.writer(path):
        pass
    assert names(storage) == {"a"}


def test_links_are_neither_followed_nor_taken_for_objects(storage: FolderStorage, tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    put(storage, "app/a")
    os.symlink(tmp_path / "secret", f"{storage.root}/app/link")
    os.symlink(tmp_path, f"{storage.root}/outside")
    assert not storage.stat("app/link").regular
    regular = {stat.path: stat.regular for stat in storage.list()}
    assert regular == {"app/a": True, "app/link": False, "outside": False}
    for path in ("app/link", "outside/secret"):
        with pytest.raises(OSError) as caught:
            storage.read(path)
        assert caught.value.errno in (errno.ELOOP, errno.EISDIR)
    with pytest.raises(OSError, match="link"), storage.writer("outside/new"):
        pass
    storage.delete("app/link")
    assert (tmp_path / "secret").exists()


def test_the_root_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    os.symlink(tmp_path / "disk", tmp_path / "store")
    storage = FolderStorage(str(tmp_path / "store"))
    put(storage, "app/a", b"1")
    assert (tmp_path / "disk" / "app" / "a").read_bytes() == b"1"
    assert names(storage) == {"app/a"}


def test_a_fifo_is_not_waited_for(storage: FolderStorage) -> None:
    put(storage, "app/a")
    os.mkfifo(f"{storage.root}/app/pipe")
    assert not storage.stat("app/pipe").regular
    with pytest.raises(OSError, match="not a regular file"):
        storage.read("app/pipe")


def test_a_deep_tree_is_listed(storage: FolderStorage) -> None:
    put(storage, "app/a")
    deep = "d/" * 1050  # deeper than Python calls go
    folder = storage.root
    for _ in range(1050):
        folder += "/d"
        os.mkdir(folder)
    with open(f"{folder}/x", "wb"):
        pass
    paths = names(storage)
    os.unlink(f"{folder}/x")
    os.removedirs(folder)  # pytest could not
    assert paths == {"app/a", f"{deep}x"}


def test_a_missing_folder_is_an_empty_one(storage: FolderStorage) -> None:
    assert names(storage) == set()
    assert list(storage.list("app")) == []
    with pytest.raises(FileNotFoundError):
        storage.read("a")


def test_a_prefix_is_a_folder_and_not_the_beginning_of_a_name(storage: FolderStorage) -> None:
    put(storage, "app/a")
    put(storage, "app-2/b")
    assert [stat.path for stat in storage.list("app")] == ["app/a"]


def test_a_barrier_syncs_every_new_file_before_the_folder_that_names_it(
    storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    put(storage, "app/id/a")
    put(storage, "app/id/b")
    monkeypatch.setattr(os, "fsync", fsync)
    storage.barrier()
    root = storage.root
    assert {f"{root}/app/id/a", f"{root}/app/id/b"} == set(synced[:2])
    assert set(synced[2:]) == {f"{root}/app/id", f"{root}/app", root, os.path.dirname(root)}
    synced.clear()
    storage.barrier()
    assert synced == []


@pytest.mark.parametrize(
    ("path", "first"),
    [
        ("holdfast.json", True),
        ("app/source.json", True),
        ("app/id/backup_manifest.json", True),
        ("app/id/a.zst", False),
    ],
)
def test_what_is_believed_by_its_name_is_on_disk_before_it_has_it(
    storage: FolderStorage, path: str, first: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    happened: list[str] = []
    sync, link = os.fsync, os.link

    def fsync(descriptor: int) -> None:
        happened.append("sync")
        sync(descriptor)

    def publish(*names: str) -> None:
        happened.append("name")
        link(*names)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(os, "link", publish)
    put(storage, path)
    assert happened == (["sync", "name"] if first else ["name"])


def test_a_deletion_is_synced_by_the_next_barrier_once_for_all_that_goes_from_a_folder(
    storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(20):
        put(storage, f"app/id/{number}")
    put(storage, "app/id/kept")
    storage.barrier()
    synced: list[str] = []
    real = os.fsync

    def fsync(descriptor: int) -> None:
        synced.append(os.readlink(f"/proc/self/fd/{descriptor}"))
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)
    for number in range(20):
        storage.delete(f"app/id/{number}")
    assert synced == []
    storage.barrier()
    assert synced == [f"{os.path.realpath(storage.root)}/app/id"]
    synced.clear()
    storage.delete("app/id/kept")
    storage.barrier()
    assert synced == [os.path.realpath(storage.root)]  # the folders below it are gone


def test_a_failed_sync_is_an_error_and_stays_one(storage: FolderStorage, monkeypatch: pytest.MonkeyPatch) -> None:
    def fsync(_descriptor: int) -> None:
        raise OSError(errno.EIO, "Input/output error")

    put(storage, "a")
    monkeypatch.setattr(os, "fsync", fsync)
    for _ in range(2):
        with pytest.raises(OSError, match="Input/output"):
            storage.barrier()


def test_a_barrier_waits_for_another_one_that_has_taken_its_files_over(
    storage: FolderStorage, monkeypatch: pytest.MonkeyPatch
) -> None:
    syncing, go_on = threading.Event(), threading.Event()
    real = os.fsync

    def fsync(descriptor: int) -> None:
        syncing.set()
        go_on.wait(10)
        real(descriptor)

    put(storage, "a")
    monkeypatch.setattr(os, "fsync", fsync)
    first, second = threading.Thread(target=storage.barrier), threading.Thread(target=storage.barrier)
    first.start()
    syncing.wait(10)
    second.start()
    second.join(0.05)
    assert second.is_alive()
    go_on.set()
    first.join()
    second.join()


@pytest.mark.parametrize("url", ["s", "./s", "file:///tmp/s", "file:////tmp/s"])
def test_a_store_is_a_path_or_a_file_url(url: str) -> None:
    assert os.path.isabs(FolderStorage.at(url).location)


@pytest.mark.parametrize("url", ["", "a\0b", "file://host/x", "file://", "file:///x?y=1"])
def test_what_names_no_folder_is_refused(url: str) -> None:
    with pytest.raises(UsageError):
        FolderStorage.at(url)
