"""`holdfast rename`: all that a source has goes along, and whatever cuts a run off leaves one of the two names."""

import errno
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.commandline import Shell
from support.databases import add_row

import holdfast
from holdfast.errors import HoldfastError, LockedError, NotFoundError, UnsafeError
from holdfast.store.folder import FolderStorage


def listed(shell: Shell, *arguments: str) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = json.loads(shell.run("list", *arguments, "--json").stdout)
    return rows


def test_a_renamed_source_is_the_same_with_all_that_it_has(shell: Shell) -> None:
    first = shell.backup("sqlite:///app.db", "--tag", "kept")["id"]
    shell.run("pin", first)
    add_row(shell.folder / "app.db")
    second = shell.backup("sqlite:///app.db")["id"]
    shell.run("drill", second)
    before = listed(shell)
    shell.run("rename", "app", "shop")
    renamed = listed(shell)
    assert [row["id"] for row in renamed] == [first, second]
    for old, new in zip(before, renamed, strict=True):
        changed = {key for key in old if old[key] != new[key]}
        assert changed == {"name", "path", "file_path"}
        assert new["name"] == "shop"
    assert (renamed[0]["pinned"], renamed[1]["state"]) == (True, "proven")
    assert shell.run("verify", "--read-data").code == 0
    shell.run("restore", "shop/latest", "sqlite:///copy.db")
    assert (shell.folder / "copy.db").read_bytes() == (shell.folder / "app.db").read_bytes()
    # Later backups follow, whether the job names the source or not, and retention counts all of them together.
    third = shell.backup("sqlite:///app.db")
    assert third["name"] == "shop"
    fourth = shell.run("backup", "sqlite:///app.db", "--name", "app", "--json")
    assert json.loads(fourth.stdout.splitlines()[-1])["name"] == "shop"
    assert "the source 'app' is called 'shop' now" in fourth.stderr
    shell.run("prune", "--keep-last", "1")
    assert len(listed(shell)) == 3  # the pinned, the newest proven, and the newest
    assert [path.name for path in shell.store.iterdir() if path.is_dir() and path.name[0] != "."] == ["shop"]
    assert shell.run("list", "--unproven-for", "1d").code == 0


def test_what_fails_once_the_new_name_is_there_says_that_it_is(shell: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    """The folder of the store could not be synced: that is an error, and no reason to say that nothing was renamed."""
    shell.backup("sqlite:///app.db")
    sync = FolderStorage.barrier

    def barrier(storage: FolderStorage) -> None:
        if (shell.store / "shop").exists():
            raise OSError(errno.EIO, os.strerror(errno.EIO), str(shell.store))
        sync(storage)

    monkeypatch.setattr(FolderStorage, "barrier", barrier)
    with pytest.raises(HoldfastError, match="input/output error; 'app' is called 'shop' all the same"):
        holdfast.rename("app", "shop", store=str(shell.store))
    assert {row["name"] for row in listed(shell)} == {"shop"}


def test_the_old_name_says_what_the_source_is_called_now(shell: Shell) -> None:
    shell.backup("sqlite:///app.db")
    shell.run("rename", "app", "shop")
    said = "the source that was called 'app' is now 'shop'"
    assert said in shell.fails(10, "restore", "app/latest", "sqlite:///copy.db").stderr
    assert said in shell.fails(10, "prune", "app", "--keep-last", "1").stderr
    assert said in shell.run("list", "app").stderr
    assert said in shell.fails(10, "rename", "app", "store").stderr
    assert "nothing to do" in shell.run("rename", "app", "shop").stderr
    shell.run("rename", "shop", "app")
    assert [row["name"] for row in listed(shell)] == ["app"]


def test_a_name_that_is_free_again_goes_to_another_database_and_to_no_other_backups(shell: Shell) -> None:
    old = shell.backup("sqlite:///app.db")["id"]
    shell.run("rename", "app", "shop")
    (shell.folder / "other").mkdir()
    shutil.copy(shell.folder / "app.db", shell.folder / "other" / "app.db")
    assert shell.backup("sqlite:///other/app.db")["name"] == "app"
    assert shell.backup("sqlite:///app.db")["name"] == "shop"
    assert "is taken" in shell.fails(16, "rename", "shop", "app").stderr
    shell.run("delete", "app/latest", "--allow-last")
    assert [row["name"] for row in listed(shell)] == ["shop", "shop"]
    shell.run("delete", old)
    shell.run("delete", "latest", "--allow-last")
    assert [path.name for path in shell.store.iterdir() if path.is_dir() and path.name[0] != "."] == []


def test_a_folder_that_was_renamed_by_hand_is_finished(shell: Shell) -> None:
    shell.backup("sqlite:///app.db")
    os.rename(shell.store / "app", shell.store / "shop")
    assert "holdfast rename app shop" in shell.fails(13, "restore", "latest", "sqlite:///copy.db").stderr
    shell.run("rename", "app", "shop")
    shell.run("restore", "shop/latest", "sqlite:///copy.db")


def test_backups_of_another_database_do_not_become_ones_of_the_source_they_lie_in(shell: Shell) -> None:
    shell.backup("sqlite:///app.db")
    shutil.copy(shell.folder / "app.db", shell.folder / "shop.db")
    shell.backup("sqlite:///shop.db")
    (backup,) = (path for path in (shell.store / "app").iterdir() if path.is_dir())
    shutil.move(backup, shell.store / "shop")
    shutil.rmtree(shell.store / "app")
    assert "another database" in shell.fails(16, "rename", "app", "shop").stderr


def test_a_source_in_use_is_not_renamed(shell: Shell) -> None:
    from holdfast.functions import installed
    from holdfast.store.catalog import open_catalog
    from holdfast.store.readers import deleting, reading, using_source

    shell.backup("sqlite:///app.db")
    store = str(shell.store)
    catalog = open_catalog(store, installed())
    (entry,) = catalog.listing().entries
    for use in (reading(catalog.storage, entry), deleting(catalog.storage, entry), using_source(catalog.storage, "app"),
                catalog.storage.lease(entry.id)):  # fmt: skip
        with use, pytest.raises(LockedError, match="being made, read or deleted"):
            holdfast.rename("app", "shop", store=store)
    with pytest.raises(NotFoundError):
        holdfast.rename("none", "shop", store=store)
    shutil.copy(shell.folder / "app.db", shell.folder / "shop.db")
    holdfast.backup(f"sqlite:///{shell.folder}/shop.db", store=store)
    with pytest.raises(UnsafeError, match="taken"):
        holdfast.rename("app", "shop", store=store)


KILLED = """
import os, signal, sys
import holdfast
holdfast.list_backups(sys.argv[1])
import holdfast.operations.rename
count = 0
def hook(event, _):
    global count
    if event.startswith(("open", "os.", "fcntl.")):
        count += 1
        if count == moment:
            os.kill(os.getpid(), signal.SIGKILL)
moment, ended, template = 1, None, sys.argv[1]
import shutil
while ended is None:
    store = f"{template}-{moment}"
    shutil.copytree(template, store)
    if not os.fork():
        sys.addaudithook(hook)
        holdfast.rename("app", "shop", store=store)
        os._exit(0)
    status = os.wait()[1]
    ended = os.WEXITSTATUS(status) if os.WIFEXITED(status) else None
    moment += 1
print(moment, ended)
"""


def test_killed_at_any_moment_it_leaves_the_old_name_or_the_new_and_the_next_run_finishes(
    shell: Shell, tmp_path: Path
) -> None:
    backup_id = shell.backup("sqlite:///app.db")["id"]
    shell.run("pin", backup_id)
    done = subprocess.run([sys.executable, "-c", KILLED, str(shell.store)], capture_output=True, text=True, check=True)
    moments, ended = map(int, done.stdout.split())
    assert ended == 0
    names = []
    for moment in range(1, moments):
        store = f"{shell.store}-{moment}"
        (record,) = holdfast.list_backups(store)
        assert (record.state, record.pinned, record.id) == ("complete", True, backup_id)
        names.append(record.name)
        holdfast.rename("app", "shop", store=store)
        (record,) = holdfast.list_backups(store)
        assert (record.name, record.state, record.pinned) == ("shop", "complete", True)
        assert holdfast.backup(f"sqlite:///{tmp_path}/app.db", store=store).name == "shop"
        shutil.rmtree(store)
    assert sorted(set(names)) == ["app", "shop"]
    assert names == sorted(names)
    assert moments > 20
