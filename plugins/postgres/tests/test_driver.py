"""A plain psycopg over the system's libpq will do: nothing needs the compiled module of `psycopg[binary]`."""

import os
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from support.servers.postgres import PostgresServer

_PLAIN = """
import os, sys
os.environ["PSYCOPG_IMPL"] = "python"
sys.modules["psycopg_binary"] = sys.modules["psycopg_c"] = None
import psycopg
assert psycopg.pq.__impl__ == "python", psycopg.pq.__impl__
from holdfast.__main__ import main
main()
"""


def _holdfast(*arguments: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _PLAIN, *arguments], check=False, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.sweep(1)
@pytest.mark.parametrize("large_table", ["0", "1GB"])
def test_backup_restore_and_drill_work_without_the_compiled_module(
    server: PostgresServer, odd: str, target: str, store: str, large_table: str
) -> None:
    """Of a database with every kind of object, its rows read by COPY or by pg_dump."""
    option = f"large_table={large_table}"
    _holdfast("backup", server.url(odd), "--store", store, "--proof", "-o", option)
    _holdfast("restore", "latest", server.url(target), "--store", store)
    assert server.text(target) == server.text(odd)
    _holdfast("drill", "latest", "--store", store, "--into", server.url(""))
    assert len(list(Path(store).rglob("backup_manifest.json"))) == 1


def test_the_compiled_module_comes_with_an_extra_alone() -> None:
    needs = [Requirement(text) for text in requires("holdfast-postgres") or ()]
    plain = [need for need in needs if need.name == "psycopg" and need.marker is None]
    assert [need.extras for need in plain] == [set()]
    extra = [need for need in needs if need.marker is not None and need.marker.evaluate({"extra": "binary"})]
    assert [(need.name, need.extras) for need in extra] == [("psycopg", {"binary"})]
    core = [Requirement(text) for text in requires("holdfast") or ()]
    assert all(need.extras == {"binary"} for need in core if need.name == "holdfast-postgres")


def test_a_driver_without_a_libpq_is_an_error_that_says_how_to_get_one(store: str) -> None:
    """Exit code 14, as for any part that is not installed."""
    done = subprocess.run(
        [sys.executable, "-m", "holdfast", "backup", "postgresql://127.0.0.1/app", "--store", store],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PSYCOPG_IMPL": "missing"},
    )
    assert done.returncode == 14
    assert "psycopg cannot be imported" in done.stderr
    assert "holdfast-postgres[binary]" in done.stderr
