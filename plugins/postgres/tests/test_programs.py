"""Which client programs are chosen."""

from pathlib import Path

import pytest

from holdfast.api import PluginError
from holdfast_postgres.client import programs


def test_the_lowest_version_that_is_new_enough_is_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Folders without all of the programs, broken programs and Debian's wrapper are passed over."""
    for major in (14, 16, 18):
        _programs(tmp_path / str(major), f"{major}.3")
    _programs(tmp_path / "half", "15.1", names=("pg_dump",))
    broken = tmp_path / "broken"
    _programs(broken, "15.2")
    (broken / "pg_dump").write_text("#!/bin/sh\nexit 3\n")
    folders = [str(tmp_path / name) for name in ("half", "18", "broken", "14", "16", "absent")]
    monkeypatch.setattr(programs, "_FOLDERS", ())
    monkeypatch.setenv("PATH", ":".join([*folders, "/usr/bin", "/bin"]))
    monkeypatch.delenv(programs.VARIABLE, raising=False)
    assert programs.find_programs(15, why="it").version == "16.3"
    assert programs.find_programs(14, why="it").version == "14.3"
    assert programs.find_programs(17, why="it").version == "18.3"
    with pytest.raises(PluginError, match=r"it needs client programs of version 19 or newer, found 18\.3"):
        programs.find_programs(19, why="it")
    monkeypatch.setenv(programs.VARIABLE, str(tmp_path / "14"))
    with pytest.raises(PluginError, match=r"found 14\.3"):
        programs.find_programs(15, why="it")


def _programs(folder: Path, version: str, names: tuple[str, ...] = ("pg_dump", "pg_restore", "psql")) -> None:
    folder.mkdir()
    for name in names:
        (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version} (Debian {version}-1)'\n")
        (folder / name).chmod(0o755)
