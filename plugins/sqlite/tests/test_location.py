"""A URL leads to a file, or says why it leads nowhere."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.disks import own_mounts
from support.sqlite_users import USER, running, use_and_be_killed

import holdfast
from holdfast.errors import UnreachableError, UsageError


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("sqlite:///:memory:", UsageError, "in memory"),
        ("sqlite://:memory:", UsageError, "in memory"),
        ("sqlite://:memory:/x", UsageError, "in memory"),
        ("sqlite://", UsageError, "names no file"),
        ("sqlite:///", UsageError, "names no file"),
        ("sqlite://host/app.db", UsageError, "names a host"),
        ("sqlite:///app.db?mode=memory", UsageError, "in memory"),
        ("sqlite:///app.db?other=1", UsageError, "no parameter 'other'"),
        ("sqlite:///app.db?nolock=1", UsageError, "takes no locks"),
        ("sqlite:///app.db?vfs=unix-none", UsageError, "takes no locks"),
        ("sqlite:///app.db?key=abcdef", UsageError, "decrypts no database"),
        ("sqlite:///app.db?_pragma_key=abcdef", UsageError, "decrypts no database"),
        ("sqlite+pysqlcipher://:abcdef@/app.db", UsageError, "decrypts no database"),
        ("file:///app.db?mode=ro", UsageError, "URI of SQLite's own"),
        ("sqlite:///a%zz.db", UsageError, "hexadecimal"),
        ("sqlite:///a%00b.db", UsageError, "names no file"),
        ("sqlite:////no/such/app.db", UnreachableError, "does not exist"),
        ("sqlite:////etc/passwd/app.db", UnreachableError, "does not exist"),
        ("sqlite:////etc", UsageError, "is a folder"),
        ("sqlite:////dev/null", UsageError, "is a device, not a regular file"),
        (f"sqlite:////{'x' * 300}", UnreachableError, "too long"),
    ],
)
def test_a_url_that_leads_nowhere_says_why(url: str, error: type[Exception], words: str, backups: Any) -> None:
    with pytest.raises(error, match=words):
        holdfast.backup(url, store=str(backups.store))
    assert not backups.store.exists()


@pytest.mark.parametrize(
    "url",
    [
        "sqlite3:///{}",
        "sqlite+aiosqlite:///{}",
        "sqlite+pysqlite:///{}?check_same_thread=false&timeout=30",
        "sqlite:///file:{}?mode=ro&uri=true",
        "sqlite:///file://{}?uri=true&cache=shared&immutable=1",
        "sqlite:///{}?connection_limit=1&socket_timeout=10",
        "sqlite:///{}?_pragma=busy_timeout(5000)&_pragma=journal_mode(WAL)&_txlock=immediate",
        "sqlite:///{}?vfs=unix&mode=rwc",
    ],
)
def test_urls_of_applications_lead_to_their_database(url: str, tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "app.db"
    with closing(sqlite3.connect(source)) as connection:
        connection.execute("CREATE TABLE t(x)")
    record = holdfast.backup(url.format(source), store=str(backups.store))
    assert record.name == "app"
    assert record.warnings == ()


@pytest.mark.parametrize(
    ("url", "hint"),
    [
        ("sqlite://app.db", "sqlite:///app.db"),
        ("sqlite://localhost/srv/app.db", "sqlite:////srv/app.db"),
        ("file:///srv/app.db?mode=ro", "sqlite:////srv/app.db"),
    ],
)
def test_urls_of_other_programs_are_written_anew(url: str, hint: str, backups: Any) -> None:
    with pytest.raises(UsageError) as failure:
        holdfast.backup(url, store=str(backups.store))
    assert str(failure.value.hint).endswith(f"write it as {hint}")


def test_a_key_in_a_url_is_not_shown(backups: Any) -> None:
    with pytest.raises(UsageError) as failure:
        holdfast.backup("sqlite+pysqlcipher://:Geheim17@/app.db?_pragma_key=Geheim18", store=str(backups.store))
    assert "Geheim" not in f"{failure.value.message}{failure.value.hint}"


def test_a_folder_is_refused_with_the_files_in_it(tmp_path: Path, backups: Any) -> None:
    for name in ("b.db", "a.sqlite3", "notes.txt"):
        (tmp_path / name).touch()
    with pytest.raises(UsageError, match="is a folder") as failure:
        holdfast.backup(f"sqlite:///{tmp_path}", store=str(backups.store))
    assert failure.value.hint == (
        f"name the file: sqlite:///{tmp_path}/a.sqlite3 sqlite:///{tmp_path}/b.db; "
        "backup --all-databases takes every database in the folder"
    )
    with pytest.raises(UnreachableError, match="does not exist") as pattern:
        holdfast.backup(f"sqlite:///{tmp_path}/*.db", store=str(backups.store))
    assert "--all-databases" in str(pattern.value.hint)


def test_what_is_no_file_and_what_is_not_there_are_told_apart(tmp_path: Path, backups: Any) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("nowhere.db")
    with pytest.raises(UsageError, match="a named pipe"):
        holdfast.backup(f"sqlite:///{tmp_path}/pipe", store=str(backups.store))
    with pytest.raises(UnreachableError) as failure:
        holdfast.backup(f"sqlite:///{tmp_path}/link", store=str(backups.store))
    assert failure.value.hint == "it is a link to nowhere.db, which is not there"
    (tmp_path / "x.db").touch()
    with pytest.raises(UnreachableError) as failure:
        holdfast.backup(f"sqlite://{tmp_path}/x.db", store=str(backups.store))
    assert (
        failure.value.hint == f"sqlite:/// with three slashes is a relative path: write it as sqlite:///{tmp_path}/x.db"
    )


def test_a_name_that_sqlite_takes_for_another_file_is_refused(tmp_path: Path, backups: Any) -> None:
    source = tmp_path / "data" / "app.db"
    source.parent.mkdir()
    use_and_be_killed(source, "CREATE TABLE host(x)")
    script = 'mount -t tmpfs none "$1" && shift && exec "$@"'
    container = (*own_mounts(), "sh", "-c", script, "sh", str(source.parent))
    with running(USER, source, "CREATE TABLE container(x)", within=container) as pid:
        there = f"sqlite:////proc/{pid}/root{source}"
        with pytest.raises(UsageError, match=r"for which that is .*/data/app\.db, another file"):
            holdfast.backup(there, store=str(backups.store))
        record = backups.make(source)
        for name in ("app.db", "new.db"):
            with pytest.raises(UsageError, match="another file"):
                holdfast.restore(record, there.replace("app.db", name), store=str(backups.store), replace=True)
        assert backups.make(Path(f"/proc/self/root{source}")).name == record.name
    assert os.listdir(source.parent) == ["app.db"]
