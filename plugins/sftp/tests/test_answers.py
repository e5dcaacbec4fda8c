"""What servers say instead of what is wanted: to the login, to writes, and of files that are none of ours."""

import contextlib
import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.commandline import Shell, make_shell
from support.databases import make_database
from support.disks import small_disk
from support.servers.sftp_filter import filtered
from support.servers.sshd import SSHServer, free_port, keygen, running_sshd

import holdfast
from holdfast.errors import CredentialsError, HoldfastError, NotFoundError, UnreachableError, UnsafeError, UsageError
from holdfast_sftp.location import Location
from holdfast_sftp.storage import SFTPStorage

SFTP_SERVER = "/usr/lib/openssh/sftp-server"


def opened(url: str) -> SFTPStorage:
    return SFTPStorage(Location.parse(url))


def put(storage: SFTPStorage, path: str, data: bytes) -> None:
    with storage.writer(path) as writer:
        writer.write(data)


def other_config(server: SSHServer, folder: Path, change: Callable[[str], str]) -> str:
    """The URL of a store with settings of ssh that are changed."""
    config = folder / "config"
    config.write_text(change(server.config.read_text()))
    return f"sftp://test{server.folder}/x?config={config}"


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    return make_shell(tmp_path)


def test_a_key_that_the_server_does_not_know_is_exit_12(server: SSHServer, shell: Shell) -> None:
    keygen(shell.folder / "key")
    url = other_config(
        server, shell.folder, lambda text: text.replace(f"{server.config.parent}/key", f"{shell.folder}/key")
    )
    ran = shell.fails(12, "list", "--store", url)
    assert "refuses to log in" in ran.error
    assert "Permission denied" in ran.error
    assert "ssh-add" in ran.stderr


@pytest.mark.parametrize("known", ["another", "none"])
def test_a_server_whose_key_is_not_the_known_one_is_refused(server: SSHServer, shell: Shell, known: str) -> None:
    hosts = shell.folder / "known_hosts"
    hosts.write_text(f"test {keygen(shell.folder / 'key')}" if known == "another" else "")
    url = other_config(
        server, shell.folder, lambda text: text.replace(f"{server.config.parent}/known_hosts", str(hosts))
    )
    ran = shell.fails(12, "list", "--store", url)
    assert "the key of the server is not the one that is known" in ran.error
    assert "ssh-keygen -R" in ran.stderr


def test_a_server_that_is_not_there_is_exit_15(server: SSHServer, shell: Shell) -> None:
    ran = shell.fails(15, "list", "--store", server.url("x", port=free_port()))
    assert "Connection refused" in ran.error
    ran = shell.fails(15, "list", "--store", f"sftp://no-such-host.invalid/x?config={server.config}")
    assert "no-such-host.invalid" in ran.error


def test_what_is_no_ssh_server_is_exit_15(server: SSHServer) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        url = server.url("x", port=listening.getsockname()[1])

        def close() -> None:
            with contextlib.suppress(OSError):
                while True:
                    listening.accept()[0].close()

        threading.Thread(target=close, daemon=True).start()
        with pytest.raises(UnreachableError):
            holdfast.list_backups(store=url)


@pytest.mark.parametrize(
    ("lines", "error", "text"),
    [
        (None, HoldfastError, "offers no SFTP"),
        ("exit 0", UnreachableError, "at once"),
        (f"echo Welcome to this server; exec {SFTP_SERVER}", HoldfastError, "SFTP begins: 'Welcome to this server'"),
        (f"echo; exec {SFTP_SERVER}", HoldfastError, "SFTP begins: an empty line"),
        ("echo This account is currently not available.; exit 1", HoldfastError, "not available"),
    ],
)
def test_a_server_without_sftp_says_what_it_says(
    lines: str | None, error: type[HoldfastError], text: str, tmp_path: Path
) -> None:
    script = tmp_path / "script"
    script.write_text(f"#!/bin/sh\n{lines}\n")
    script.chmod(0o755)
    with running_sshd(subsystem=str(script) if lines else "") as server, pytest.raises(error, match=text) as caught:
        holdfast.list_backups(store=server.url("x"))
    assert caught.value.exit_code == error.exit_code
    assert caught.value.hint


def test_settings_that_cannot_be_meant_are_told(server: SSHServer, tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no file"):
        holdfast.list_backups(store=f"sftp://test/x?config={tmp_path}/none")
    with pytest.raises(UsageError, match="Bad configuration option"):
        holdfast.list_backups(store=other_config(server, tmp_path, lambda text: f"{text}\nNonsense yes\n"))


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("sftp://user:secret@host/a", "password"),
        ("sftp://host/a?password=secret", "parameter"),
        ("sftp://host", "no folder"),
        ("sftp://host/", "no folder"),
        ("sftp://host/~", "no folder"),
        ("sftp:///a", "no server"),
        ("sftp://a,b/c", "no server"),
        ("sftp://-oProxyCommand=x/a", "no server"),
        ("sftp://-oProxyCommand=x@host/a", "no name"),
        ("sftp://host/a/../b", "'..'"),
        ("sftp://host/~other/a", "another account"),
        ("sftp://host/a%0Ab", "control character"),
        ("sftp://host/a?connections=0", "connections"),
        ("sftp://host/a?connections=many", "connections"),
    ],
)
def test_urls_that_cannot_be_meant_are_refused(url: str, text: str) -> None:
    with pytest.raises(UsageError) as caught:
        Location.parse(url)
    assert text in caught.value.message
    assert "secret" not in f"{caught.value.message}{caught.value.hint}"


def test_urls_name_servers_accounts_and_folders() -> None:
    location = Location.parse("sftp://backup@[::1]:2222/srv/b%C3%BC%20x/?connections=2")
    assert (location.user, location.host, location.port, location.connections) == ("backup", "::1", 2222, 2)
    assert location.root == "/srv/bü x".encode()
    assert Location.parse("sftp://host/~/a/b").root == b"a/b"


def test_a_folder_below_the_home_is_made_with_those_above_it(tmp_path: Path) -> None:
    with running_sshd(subsystem=f"internal-sftp -d {tmp_path}") as server:
        storage = opened(f"sftp://test/~/a/b?config={server.config}")
        put(storage, "c/d", b"x")
        assert (tmp_path / "a/b/c/d").read_bytes() == b"x"
        storage.delete("c/d")
        assert [stat.path for stat in storage.list()] == []
        assert list((tmp_path / "a/b").iterdir()) == []


@pytest.mark.parametrize(
    "subsystem",
    [
        "internal-sftp -P fsync,hardlink,limits,statvfs,posix-rename",
        filtered("bare"),
    ],
    ids=["refusing", "bare"],
)
def test_a_server_without_extensions_is_enough(subsystem: str, tmp_path: Path) -> None:
    source = make_database(tmp_path / "app.db", noise=1 << 20)
    with running_sshd(subsystem=subsystem) as server:
        url = server.url("x")
        backup = holdfast.backup(f"sqlite:///{source}", store=url)
        (result,) = holdfast.verify(store=url, read_data=True)
        assert result.passed
        storage = opened(url)
        with pytest.raises(FileExistsError):
            put(storage, "holdfast.json", b"another")
        context = storage.writer("a/b")
        context.__enter__().write(b"late")
        put(opened(url), "a/b", b"early")
        with pytest.raises(FileExistsError):
            context.__exit__(None, None, None)
        assert storage.read("a/b") == b"early"
        assert [each.id for each in holdfast.list_backups(store=url)] == [backup.id]


def test_a_server_that_overwrites_is_refused(tmp_path: Path) -> None:
    source = make_database(tmp_path / "app.db")
    with running_sshd(subsystem=filtered("overwrites")) as server:
        with pytest.raises(UnsafeError, match="overwrites what is there") as caught:
            holdfast.backup(f"sqlite:///{source}", store=server.url("x"))
        assert "hardlink@openssh.com" in str(caught.value.hint)
        assert [path for path in (server.folder / "x").rglob("*") if path.is_file()] == []


def test_a_server_that_may_only_be_read_suffices_for_what_only_reads(tmp_path: Path) -> None:
    source = f"sqlite:///{make_database(tmp_path / 'app.db')}"
    with running_sshd(subsystem="internal-sftp -R") as server:
        backup = holdfast.backup(source, store=server.folder / "x")
        store = server.url("x")
        assert [each.id for each in holdfast.list_backups(store=store)] == [backup.id]
        (result,) = holdfast.verify(store=store, read_data=True)
        assert result.passed
        assert "could not be recorded in the store: the server refuses" in result.warnings[0]
        holdfast.restore(backup.id, f"sqlite:///{tmp_path}/new.db", store=store)
        assert holdfast.drill(backup.id, store=store).passed
        holdfast.copy(store=store, to=tmp_path / "copies").raise_for_failures()
        for change in (
            lambda: holdfast.backup(source, store=store),
            lambda: holdfast.delete(backup.id, store=store, allow_last=True),
        ):
            with pytest.raises(CredentialsError, match="permission denied"):
                change()


@pytest.mark.parametrize("more", ["", ",rename,posix-rename,setstat,fsetstat,lsetstat"])
def test_a_backup_needs_no_right_to_delete(tmp_path: Path, more: str) -> None:
    source = f"sqlite:///{make_database(tmp_path / 'app.db')}"
    with running_sshd(subsystem=f"internal-sftp -P remove,rmdir{more}") as server:
        store = server.url("x")
        first, _ = (holdfast.backup(source, store=store) for _ in range(2))
        assert all(result.passed for result in holdfast.verify(store=store))
        with pytest.raises(CredentialsError):
            holdfast.delete(first.id, store=store)
        assert len(holdfast.list_backups(store=store)) == 2


def test_a_full_disk_of_the_server_is_told(tmp_path: Path) -> None:
    source = make_database(tmp_path / "app.db", noise=8 << 20)
    (folder := tmp_path / "disk").mkdir()
    with small_disk(folder, "4m") as enter, running_sshd(under=enter) as server:
        store = f"sftp://test{folder}/x?config={server.config}"
        with pytest.raises(HoldfastError, match="no space left on the device") as caught:
            holdfast.backup(f"sqlite:///{source}", store=store)
        assert caught.value.exit_code == 1
        assert [stat.path for stat in opened(store).list() if "/" in stat.path] == []


def test_names_are_kept_byte_by_byte(server: SSHServer, name: str) -> None:
    storage = opened(server.url(name))
    paths = ["ä/ß \n'\"", "a/\udcff\udcfe", "a/%20", "a/~", "a/*?[x]", "-a/-b"]
    for path in paths:
        put(storage, path, path.encode(errors="surrogateescape"))
    assert sorted(stat.path for stat in storage.list()) == sorted(paths)
    for path in paths:
        assert storage.read(path) == path.encode(errors="surrogateescape")
    storage.delete_many(paths)
    assert list(storage.list()) == []
    for path in ("../x", "a/../../x", "/etc/passwd", "a//b", "", "a/\0"):
        with pytest.raises(UsageError):
            storage.read(path)


def test_folders_are_named_without_what_lies_in_them(server: SSHServer, name: str) -> None:
    storage = opened(server.url(name))
    assert list(storage.names("")) == []
    for path in ("top", "app/x/y", "app/z", "b/c"):
        put(storage, path, b"x")
    with storage.lease("name"):
        assert sorted(storage.names("")) == ["app", "b"]
    assert [list(storage.names(folder)) for folder in ("app", "b", "none", "to")] == [["x"], [], [], []]


def test_a_backup_says_how_it_is_fetched_by_hand(server: SSHServer, name: str, shell: Shell) -> None:
    """Also from a folder whose name scp would take for a pattern."""
    source = make_database(shell.folder / "app.db")
    backup = shell.backup(f"sqlite:///{source}", "--store", server.url(f"{name}%20[a]*"))
    (page,) = (server.folder / f"{name} [a]*").rglob("RESTORE.md")
    (line,) = (line.strip() for line in page.read_text().splitlines() if "scp -s" in line)
    subprocess.run(["sh", "-ec", line], cwd=shell.scratch, check=True, capture_output=True)
    assert backup["id"] in line
    subprocess.run(["sha256sum", "-c", "--quiet", "SHA256SUMS"], cwd=shell.scratch, check=True)
    shutil.rmtree(shell.scratch)


def test_a_check_says_what_the_server_can(server: SSHServer, name: str, shell: Shell) -> None:
    source = make_database(shell.folder / "app.db")
    shell.backup(f"sqlite:///{source}", "--store", server.url(name))
    before = shell.files(server.folder / name)
    checked = shell.run("check", server.url(name), "--json").data
    told = {each["name"]: each["holds"] for each in checked["guarantees"]}
    assert told["create only"] is told["hard links"] is told["sync"] is told["space"] is told["delete"] is True
    assert shell.files(server.folder / name) == before
    with running_sshd(subsystem="internal-sftp -P fsync,hardlink,limits,statvfs,remove,rmdir") as lacking:
        store = lacking.url("x")
        backup = shell.backup(f"sqlite:///{source}", "--store", store)
        before = [path for path in shell.files(lacking.folder) if ".leases/" not in path]
        checked = shell.run("check", store, "--json").data
        told = {each["name"]: each["holds"] for each in checked["guarantees"]}
        assert told["sync"] is told["hard links"] is told["delete"] is False
        assert told["space"] is None
        assert told["write"] is told["create only"] is True
        assert [path for path in shell.files(lacking.folder) if ".leases/" not in path] == before
        assert backup["id"]


def test_what_is_no_file_is_listed_as_such(server: SSHServer, name: str) -> None:
    storage = opened(server.url(name))
    put(storage, "a/file", b"x")
    folder = server.folder / name / "a"
    (folder / "link").symlink_to("file")
    (folder / "folder-link").symlink_to("..")
    os.mkfifo(folder / "fifo")
    (folder / "empty").mkdir()
    stats = {stat.path: (stat.regular, stat.problem) for stat in storage.list()}
    assert stats == {
        "a/file": (True, ""),
        "a/link": (False, ""),
        "a/folder-link": (False, ""),
        "a/fifo": (False, ""),
        "a/empty/": (False, ""),
    }
    with pytest.raises(IsADirectoryError):
        storage.read("a/link")
    for path in list(stats):
        storage.delete(path)
    assert list(storage.list()) == []
    assert (server.folder / name).is_dir()
    shutil.rmtree(server.folder / name)
