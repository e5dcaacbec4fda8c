"""What is written to a database by one name, while its log or journal is beside another, would be lost or tear it."""

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.sqlite_users import USER, running, use_and_be_killed

from holdfast.errors import UnsafeError

_WHAT: list[dict[str, Any]] = [{}, {"select": ("account",)}]


@pytest.fixture
def named(tmp_path: Path) -> Path:
    """A database of two tables, in WAL mode, and another name of it in another folder."""
    used, named = tmp_path / "a" / "app.db", tmp_path / "b" / "app.db"
    for path in (used, named):
        path.parent.mkdir()
    with closing(sqlite3.connect(used, isolation_level=None)) as connection:
        connection.executescript("""
            PRAGMA journal_mode=WAL; CREATE TABLE account(id INTEGER PRIMARY KEY, n INTEGER); CREATE TABLE stays(x);
            INSERT INTO account VALUES (1, 100); INSERT INTO stays VALUES (1);""")
    os.link(used, named)
    return named


@pytest.mark.parametrize("what", _WHAT)
def test_what_a_program_has_open_by_another_name_is_refused(what: dict[str, Any], named: Path, backups: Any) -> None:
    used = named.parent.parent / "a" / "app.db"
    record = backups.make(used)
    with (
        running(USER, used, "UPDATE account SET n = n + 1"),
        pytest.raises(UnsafeError, match="in use under another name") as failure,
    ):
        backups.restore(record, named, replace=True, live=True, **what)
    assert "under the name that the program uses" in str(failure.value.hint)
    assert os.listdir(named.parent) == ["app.db"]


@pytest.mark.parametrize("options", [{"live": True}, {"live": True, **_WHAT[1]}, _WHAT[1]])
@pytest.mark.parametrize("mode", ["WAL", "DELETE"])
def test_what_a_killed_program_has_left_beside_another_name_is_refused(
    options: dict[str, Any], mode: str, named: Path, backups: Any
) -> None:
    used = named.parent.parent / "a" / "app.db"
    with closing(sqlite3.connect(used)) as connection:
        connection.execute(f"PRAGMA journal_mode={mode}")
    record = backups.make(used)
    if mode == "WAL":
        use_and_be_killed(used, "UPDATE account SET n = n + 1")
    else:
        (used.parent / "app.db-journal").write_bytes(b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7" + bytes(600))
    before = used.read_bytes()
    with pytest.raises(UnsafeError, match="it has another name") as failure:
        backups.restore(record, named, replace=True, **options)
    assert "open it once by that name" in str(failure.value.hint)
    assert used.read_bytes() == before
    assert os.listdir(named.parent) == ["app.db"]
