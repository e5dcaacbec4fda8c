"""Stores on a server, by the commands: all of them work there, and a run that is killed leaves nothing half listed."""

import os
import shutil
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commandline import Shell, make_shell
from support.databases import add_row, dump, make_database
from support.servers.sshd import SSHServer


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return make_shell(tmp_path)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_database(tmp_path / "app.db", noise=2 << 20)


def test_all_that_is_done_with_a_store_is_done_over_sftp(
    server: SSHServer, name: str, shell: Shell, source: Path
) -> None:
    store = ("--store", server.url(name))
    first = shell.backup(f"sqlite:///{source}", *store)["id"]
    add_row(source)
    second = shell.backup(f"sqlite:///{source}", *store)["id"]
    assert [(each["id"], each["state"]) for each in shell.listing(*store)] == [
        (first, "complete"),
        (second, "complete"),
    ]
    shell.run("verify", "--all", "--read-data", *store)
    shell.run("drill", second, *store)
    shell.run("restore", second, f"sqlite:///{shell.folder}/new.db", *store)
    assert dump(shell.folder / "new.db") == dump(source)
    shell.run("copy", server.url(name), shell.folder / "copies", "--all")
    shell.run("copy", shell.folder / "copies", server.url(f"{name}-copies"), "--all")
    shell.run("verify", "--all", "--read-data", "--store", server.url(f"{name}-copies"))
    shell.run("rename", "app", "shop", *store)
    shell.run("prune", "--keep-last", "1", *store)
    assert [each["id"] for each in shell.listing(*store)] == [second]
    names = shell.files(server.folder / name)
    assert [path for path in names if first in path or ".leases/" in path or ".partial" in path] == []
    assert not [path for path in (server.folder / name).rglob("*") if path.is_file() and path.stat().st_mode & 0o077]


def test_a_folder_of_the_server_is_an_ordinary_store(server: SSHServer, name: str, shell: Shell, source: Path) -> None:
    """What was made over SFTP is used on the server itself as a folder, and the reverse."""
    first = shell.backup(f"sqlite:///{source}", "--store", server.url(name))["id"]
    shell.run("verify", "--read-data", "--store", server.folder / name)
    second = shell.backup(f"sqlite:///{source}", "--store", server.folder / name)["id"]
    assert {each["id"] for each in shell.listing("--store", server.url(name))} == {first, second}


def test_without_ssh_the_hint_says_what_to_install(server: SSHServer, name: str, shell: Shell) -> None:
    ran = shell.fails(14, "list", "--store", server.url(name), env={"PATH": "/nonexistent"})
    assert "no program 'ssh'" in ran.error
    assert "openssh-client" in ran.stderr


def test_a_store_that_is_not_there_is_exit_10(server: SSHServer, name: str, shell: Shell, source: Path) -> None:
    shell.fails(10, "list", "--store", server.url(name))
    assert not (server.folder / name).exists()
    ran = shell.fails(10, "backup", f"sqlite:///{source}", "--store", server.url(f"{name}/missing/deeper"))
    assert "there is no folder" in ran.error
    (server.folder / name).write_text("a file")
    for command in (("list",), ("backup", f"sqlite:///{source}")):
        assert "is a file" in shell.fails(10, *command, "--store", server.url(name)).error


@pytest.mark.parametrize("moment", ["lease", "half", "whole"])
def test_a_killed_backup_is_not_listed_and_leaves_nothing_to_the_next_prune(
    server: SSHServer, name: str, shell: Shell, source: Path, moment: str
) -> None:
    store, folder = ("--store", server.url(name)), server.folder / name
    kept = shell.backup(f"sqlite:///{source}", *store)["id"]
    make_database(source.with_name("large.db"), noise=12 << 20)
    reached = {
        "lease": lambda: any((folder / ".leases").iterdir()),
        "half": lambda: any(path.stat().st_size for path in folder.glob("large/*/.partial-*")),
        "whole": lambda: any(folder.glob("large/*/SHA256SUMS")),
    }[moment]
    running = shell.start("backup", f"sqlite:///{source.with_name('large.db')}", *store)
    deadline = time.monotonic() + 30
    while not _safely(reached) and running.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)
    running.send_signal(signal.SIGKILL)
    running.communicate()
    shutil.rmtree(shell.scratch)
    shell.scratch.mkdir()
    listed = {each["id"] for each in shell.listing(*store)}
    assert kept in listed
    shell.run("verify", "--all", "--read-data", *store)
    for lease in (folder / ".leases").iterdir():  # instead of waiting until it is over
        os.utime(lease, (0, 0))
    shell.run("prune", "--keep-last", "5", *store)
    names = shell.files(folder)
    assert [path for path in names if ".partial" in path] == []
    shell.backup(f"sqlite:///{source}", "--name", "other", *store)
    assert list((folder / ".leases").iterdir()) == []
    assert {path.split("/")[1] for path in names if path.count("/") > 1 and ".leases" not in path} == listed


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_backup_tidies_up(
    server: SSHServer, name: str, shell: Shell, source: Path, ending: signal.Signals
) -> None:
    folder = server.folder / name
    make_database(source.with_name("large.db"), noise=30 << 20)
    running = shell.start("backup", f"sqlite:///{source.with_name('large.db')}", "--store", server.url(name))
    while not any(path.stat().st_size for path in folder.glob("large/*/.partial-*")) and running.poll() is None:
        time.sleep(0.002)
    running.send_signal(ending)
    _, stderr = running.communicate(timeout=30)
    assert running.returncode == 128 + ending, stderr
    assert "Traceback" not in stderr
    assert [path for path in shell.files(folder) if "/" in path] == []


def _safely(reached: Callable[[], bool]) -> bool:
    try:
        return reached()
    except FileNotFoundError:  # renamed, or removed, at this moment
        return False


def test_two_backups_at_once_do_not_disturb_each_other(
    server: SSHServer, name: str, shell: Shell, source: Path
) -> None:
    store = ("--store", server.url(name))
    running = [shell.start("backup", f"sqlite:///{source}", "--name", "app", *store) for _ in range(2)]
    results = [(each.communicate(timeout=60), each.returncode) for each in running]
    codes = [code for _, code in results]
    assert codes == [0, 0], results
    assert len(shell.listing(*store)) == codes.count(0)
    shell.run("verify", "--all", *store)
