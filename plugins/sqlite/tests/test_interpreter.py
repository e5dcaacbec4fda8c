"""Which Python runs child processes."""

import sys
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
