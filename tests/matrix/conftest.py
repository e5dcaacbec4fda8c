"""What the matrix's tests share: a store, and a server of each kind for the tests of one module."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.servers.mariadb import MariaDB, mariadb
from support.servers.mysql import running_mysql
from support.servers.postgres import postgres_server

__all__ = ["mariadb", "postgres_server"]


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "store")


@pytest.fixture(scope="module")
def mysql() -> Iterator[MariaDB]:
    """The MySQL below HOLDFAST_TEST_MYSQL_ROOT."""
    with running_mysql("--local-infile=OFF") as server:
        server.rows("SET GLOBAL log_bin_trust_function_creators=ON")
        yield server
