"""Waiting, big tables and left-overs: what tests of failures share."""

import time
from collections.abc import Callable
from pathlib import Path

from support.servers.postgres import PostgresServer


def wait_until(condition: Callable[[], bool], seconds: float = 15) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def assert_nothing_published(store: str) -> None:
    """No backup, and less than a megabyte of anything."""
    left = [path for path in Path(store).rglob("*") if path.is_file()] if Path(store).exists() else []
    assert not [path for path in left if path.name == "backup_manifest.json"]
    assert sum(path.stat().st_size for path in left) < 1 << 20


def fill_big(server: PostgresServer, database: str) -> None:
    """Some seconds' worth of rows: text that is made anew for each row as it is read would not be a table."""
    server.execute(
        database,
        "CREATE TABLE big AS SELECT n, repeat(md5(n::text), 30) AS text FROM generate_series(1, 60000) n",
    )
