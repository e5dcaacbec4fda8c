"""The SQLite engine keeps the contract of an engine."""

import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from holdfast.testing import EngineSuite


class TestSqlite(EngineSuite):
    password = ""
    selection = ("other",)

    @pytest.fixture
    def source(self, tmp_path: Path) -> str:
        path = tmp_path / "source.db"
        with closing(sqlite3.connect(path)) as connection, connection:
            connection.execute("PRAGMA journal_mode = WAL")  # a writer is not kept out while a dump is open
            connection.execute("CREATE TABLE other(id INTEGER PRIMARY KEY)")
            connection.execute("INSERT INTO other VALUES (1), (2)")
            connection.execute(
                "CREATE TABLE note(id INTEGER PRIMARY KEY, body TEXT NOT NULL, of INTEGER REFERENCES other DEFAULT 1)"
            )
            connection.execute("CREATE INDEX note_body ON note(body)")
            rows = [(f"note {number} " + "x" * 100,) for number in range(2000)]
            connection.executemany("INSERT INTO note(body) VALUES (?)", rows)
        return f"sqlite:///{path}"

    @pytest.fixture
    def target(self, tmp_path: Path) -> str:
        return f"sqlite:///{tmp_path / 'target.db'}"

    def content(self, url: str) -> list[str] | None:
        path = Path(url.removeprefix("sqlite:///"))
        if not path.exists():
            return None
        with closing(sqlite3.connect(path)) as connection:
            return list(connection.iterdump())

    def selected(self, content: list[str]) -> list[str]:
        return [line for line in content if "note" not in line]

    def excluded(self, content: list[str]) -> list[str]:
        return [line for line in content if not line.startswith(("CREATE TABLE other", 'INSERT INTO "other"'))]

    def surroundings(self, url: str) -> list[str]:
        path = Path(url.removeprefix("sqlite:///"))
        files = (file.name for file in path.parent.glob("*.db*"))
        return sorted(name for name in files if not name.startswith(path.name))

    def rows(self, content: list[str]) -> dict[str, int]:
        return {name: sum(f'INSERT INTO "{name}"' in line for line in content) for name in ("note", "other")}

    def into(self, target: str) -> None:
        return None

    def change(self, url: str) -> None:
        with closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as connection, connection:
            connection.execute("UPDATE note SET body = '' WHERE id = 7")

    def leave_log(self, url: str) -> bool:
        dies = """
import os, sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("PRAGMA journal_mode = WAL")
connection.execute("UPDATE note SET body = 'of a dead process'")
os._exit(9)
"""
        path = url.removeprefix("sqlite:///")
        assert subprocess.run([sys.executable, "-c", dies, path], check=False).returncode == 9
        assert Path(f"{path}-wal").stat().st_size
        return True
