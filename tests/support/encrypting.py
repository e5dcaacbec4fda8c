"""A store with encrypted backups, and who can open them."""

import contextlib
import shutil
import sqlite3
import subprocess
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.record import Backup

HOST = "walrus-host"
PLANTED = ("zebra_table", "giraffe_column", "okapi.db")


class Keys:
    """An identity in a file, and its recipient."""

    def __init__(self, path: Path) -> None:
        self.identity = str(path)
        subprocess.run(["age-keygen", "-o", self.identity], check=True, capture_output=True)
        made = subprocess.run(["age-keygen", "-y", self.identity], check=True, capture_output=True, text=True)
        self.recipient = made.stdout.strip()


@pytest.fixture(scope="module")
def me(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys") / "me")


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys") / "stranger")


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("source") / "okapi.db"
    with contextlib.closing(sqlite3.connect(path)) as database:
        database.execute("CREATE TABLE zebra_table (id INTEGER PRIMARY KEY, giraffe_column BLOB)")
        database.executemany("INSERT INTO zebra_table VALUES (?, randomblob(1000))", ((n,) for n in range(3000)))
        database.commit()
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def made(source: str, me: Keys, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[Backup]]:
    """A store with two encrypted backups, in which no test changes anything."""
    store = tmp_path_factory.mktemp("made") / "store"
    more: Any = {"store": str(store), "name": "nightly", "recipients": (me.recipient,), "host": HOST}
    return store, [holdfast.backup(source, **more) for _ in range(2)]


@pytest.fixture
def store(made: tuple[Path, list[Backup]], tmp_path: Path) -> Path:
    return Path(shutil.copytree(made[0], tmp_path / "store"))


@pytest.fixture
def folders(store: Path, made: tuple[Path, list[Backup]]) -> list[Path]:
    return [store / record.name / record.id for record in made[1]]


@pytest.fixture(autouse=True)
def _no_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HOLDFAST_IDENTITY", "HOLDFAST_RECIPIENTS_FILE"):
        monkeypatch.delenv(name, raising=False)


def rows(path: Path) -> list[tuple[object, ...]]:
    with contextlib.closing(sqlite3.connect(path)) as database:
        return database.execute("SELECT id, hex(giraffe_column) FROM zebra_table ORDER BY id").fetchall()


def restored(store: Path, target: Path, backup: str = "latest", **more: Any) -> list[tuple[object, ...]]:
    holdfast.restore(backup, f"sqlite:///{target}", store=str(store), **more)
    return rows(target)
