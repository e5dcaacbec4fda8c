"""Wherever a restore ends while the new file takes the place of the old one: the old state, or the new one."""

import errno
import itertools
import os
import shutil
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import HoldfastError

CALLS = ("rename", "link", "unlink", "fsync")


class Stopped:
    """Lets the calls of the system that change a folder work up to a certain one, which fails or is followed by ^C."""

    def __init__(self, folder: Path, at: int, kind: str) -> None:
        self._folder, self._at, self._kind = str(folder), at, kind
        self._count = itertools.count()
        self.reached = False

    def of(self, name: str) -> Callable[..., Any]:
        real = getattr(os, name)

        def call(*arguments: Any, **more: Any) -> Any:
            where = arguments[0]
            place = os.readlink(f"/proc/self/fd/{where}") if isinstance(where, int) else os.fspath(where)
            now = place.startswith(self._folder) and next(self._count) == self._at
            self.reached = self.reached or now
            if now and self._kind == "error":
                raise OSError(errno.EIO, os.strerror(errno.EIO), place)
            answer = real(*arguments, **more)
            if now:
                signal.raise_signal(signal.SIGINT)
            return answer

        return call


def rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM t").fetchone()[0])


def make(path: Path, count: int) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA wal_autocheckpoint=0")
        connection.execute("CREATE TABLE t(id INTEGER PRIMARY KEY, x)")
        connection.executemany("INSERT INTO t(x) VALUES (?)", [("x",)] * count)
        connection.commit()
        for suffix in ("", "-wal"):  # as a killed program leaves it
            shutil.copy(f"{path}{suffix}", f"{path}.copy{suffix}")
    for suffix in ("", "-wal"):
        os.replace(f"{path}.copy{suffix}", f"{path}{suffix}")


@pytest.mark.parametrize("kind", ["error", "signal"])
@pytest.mark.parametrize("old", ["none", "sound", "headless"])
def test_the_target_is_the_old_or_the_new_database_at_every_step(
    old: str, kind: str, tmp_path: Path, backups: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = tmp_path / "source.db"
    make(source, 500)
    record = backups.make(source)
    for at in itertools.count():
        folder = tmp_path / f"target-{at}"
        folder.mkdir()
        path = folder / "app.db"
        if old != "none":
            make(path, 900)
        if old == "headless":
            with open(path, "r+b") as file:
                file.write(bytes(100))
        stopped = Stopped(folder, at, kind)
        failed = ""
        with monkeypatch.context() as patch:
            for name in CALLS:
                patch.setattr(os, name, stopped.of(name))
            try:
                backups.restore(record, path, replace=True)
            except HoldfastError as error:
                failed = error.message
            except KeyboardInterrupt as error:
                failed = " ".join(getattr(error, "__notes__", ["interrupted"]))
        if not stopped.reached:
            assert not failed
            break
        restored = path.exists() and path.read_bytes()[:6] == b"SQLite" and rows(path) == 500
        if restored:
            assert not failed or "is restored all the same" in failed
            assert not (folder / "app.db-wal").exists()
        else:
            assert failed
            assert "is restored" not in failed
            if old == "sound":
                assert rows(path) == 900
            elif old == "headless":
                assert (folder / "app.db-wal").stat().st_size > 0
    assert at > 3
