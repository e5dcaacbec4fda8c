"""Which Python runs child processes."""

import signal
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import HoldfastError, UsageError
from holdfast_sqlite.interpreter import interpreter


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A program that runs Python inside of itself, and is what `sys.executable` names."""
    path = tmp_path / "server"
    path.write_text(f"#!/bin/sh\necho started >> {tmp_path}/started\n")
    path.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(path))
    return path


def test_a_server_that_runs_python_is_not_started_anew(server: Path, tmp_path: Path, backups: Any, new: Any) -> None:
    assert interpreter({}) != str(server)
    assert backups.restore(new, tmp_path / "restored.db").exists()
    assert not (tmp_path / "started").exists()


def test_a_server_that_ignores_how_its_children_end_backs_up_all_the_same(tmp_path: Path, backups: Any) -> None:
    """A child that puts the folder of a database in WAL mode in order has a child of its own."""
    path = tmp_path / "app.db"
    with closing(sqlite3.connect(path)) as db:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("CREATE TABLE t(x)")
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        record = backups.make(path)
        assert backups.restore(record, path, replace=True).exists()
    finally:
        signal.signal(signal.SIGCHLD, before)
    assert sorted(each.name for each in tmp_path.glob("app.db*")) == ["app.db"]


def test_a_frozen_program_says_what_it_needs(server: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr(sys, "executable", f"{server}-frozen")
    with pytest.raises(HoldfastError, match="which is none") as caught:
        interpreter({})
    assert "HOLDFAST_PYTHON" in (caught.value.hint or "")


def test_a_python_that_is_named_is_taken(server: Path) -> None:
    python = str(Path(sys.prefix) / "bin" / "python3")
    assert server.exists()
    assert interpreter({"HOLDFAST_PYTHON": python}) == python
    with pytest.raises(UsageError, match="expected the absolute path of a Python"):
        interpreter({"HOLDFAST_PYTHON": "python3"})
