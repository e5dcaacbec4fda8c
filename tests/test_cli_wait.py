"""`--wait`: what another process has locked is waited for, which is said once; when the time is up it is exit 11."""

import json
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import pytest
from support.commandline import Shell

from holdfast.functions import installed
from holdfast.store.catalog import open_catalog
from holdfast.store.readers import reading, source_lease


def waited(shell: Shell, lock: AbstractContextManager[object], *arguments: object) -> str:
    """Run a command that waits for a lock, which is let go as soon as it says so; all that it said."""
    with lock:
        process = shell.start(*arguments, "--wait", "1m")
        assert process.stderr is not None
        said = process.stderr.readline()
        assert "waiting for up to 60 s" in said
    _, rest = process.communicate(timeout=120)
    assert process.returncode == 0
    return rest


@contextmanager
def write_lock(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None, check_same_thread=False)) as db:
        db.execute("BEGIN EXCLUSIVE")
        yield
        db.rollback()


@pytest.mark.sweep(1)
@pytest.mark.parametrize("command", ["delete", "prune", "rename"])
def test_a_store_in_use_is_waited_for(shell: Shell, command: str) -> None:
    first = shell.backup("sqlite:///app.db")["id"]
    shell.backup("sqlite:///app.db")
    catalog = open_catalog(str(shell.store), installed())
    entry = catalog.find(first)
    words = {"delete": ("delete", first), "prune": ("prune", "--keep-last", "1"), "rename": ("rename", "app", "shop")}
    with reading(catalog.storage, entry):
        if command == "prune":
            assert "another process is reading" in shell.run(*words[command], "--wait", "0.1s").stderr
        else:
            assert "waiting for up to 0.1 s" in shell.fails(11, *words[command], "--wait", "0.1s").stderr
            assert "waiting" not in shell.fails(11, *words[command]).stderr
    assert "waiting" not in waited(shell, reading(catalog.storage, entry), *words[command])
    listed = shell.run("list").stdout
    assert ("shop" in listed) if command == "rename" else (first not in listed)


@pytest.mark.sweep(1)
@pytest.mark.parametrize("command", ["verify", "cat", "import"])
def test_a_source_that_is_being_renamed_is_waited_for(shell: Shell, command: str) -> None:
    """By who reads a backup of it, or makes one."""
    record = shell.backup("sqlite:///app.db", "-o", "format=sql")
    (shell.folder / "old").mkdir()
    (shell.folder / "old" / "1.sql").write_text("CREATE TABLE t(x);\n")
    about = {"backup_id": "1", "source": "other.db", "destination": "1.sql", "format": "sql_dump", "success": True}
    (shell.folder / "old" / "manifest.json").write_text(json.dumps([{**about, "timestamp": 1_700_000_000}]))
    storage = open_catalog(str(shell.store), installed()).storage
    words = {"verify": ("verify", record["id"]), "cat": ("cat", record["id"]), "import": ("import", "old")}[command]
    name = source_lease("other" if command == "import" else "app")
    said = waited(shell, storage.lease(name), *words)
    assert "waiting" not in said


def test_a_source_that_is_locked_is_waited_for(shell: Shell) -> None:
    words = ("backup", "sqlite:///app.db", "-o", "lock_timeout=0.1")
    with write_lock(shell.folder / "app.db"):
        shell.fails(11, *words)
    assert "waiting" not in waited(shell, write_lock(shell.folder / "app.db"), *words)


def test_what_is_no_time_is_told_before_anything_is_done(shell: Shell) -> None:
    assert "not a duration" in shell.fails(2, "backup", "sqlite:///app.db", "--wait", "soon").stderr
    assert not shell.store.exists()
