import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.foreground import take_signals
from support.servers.postgres import PostgresServer, postgres_server
from support.servers.postgres_odd import has_contrib, make_roles, odd_script

from holdfast_postgres.restore import archive_loader

__all__ = ["postgres_server"]

take_signals()


@pytest.fixture
def server(postgres_server: PostgresServer) -> PostgresServer:
    """The server; a test leaves no session in it behind."""
    return postgres_server


@pytest.fixture
def database(server: PostgresServer) -> Iterator[str]:
    """An empty database."""
    with server.database() as name:
        yield name


@pytest.fixture
def target(server: PostgresServer) -> Iterator[str]:
    """Another empty database."""
    with server.database() as name:
        yield name


@pytest.fixture(scope="session")
def bare(postgres_server: PostgresServer) -> bool:
    """Whether the server has no contrib modules, as that of the wheel which the matrix tests."""
    return not has_contrib(postgres_server)


@pytest.fixture
def several_sessions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let pg_restore use all its jobs on archives of any size, as it does on large ones."""
    monkeypatch.setattr(archive_loader, "_LARGE", 0)


@pytest.fixture
def store(tmp_path: Path) -> str:
    """A place for backups."""
    return str(tmp_path / "store")


@pytest.fixture(scope="session")
def odd_roles(postgres_server: PostgresServer) -> None:
    """The roles that own or may use something in the odd database."""
    make_roles(postgres_server)


@pytest.fixture
def odd(server: PostgresServer, odd_roles: None) -> Iterator[str]:
    """A database with one of every kind of object, names that need care, and rows that need care."""
    with server.database() as name:
        server.execute(name, odd_script(server))
        yield name


@pytest.fixture
def role(server: PostgresServer, database: str) -> Iterator[str]:
    """A role that may make databases and is no superuser."""
    name = f"maker_{database}"
    server.execute("postgres", f"CREATE ROLE {name} LOGIN CREATEDB")
    try:
        yield name
    finally:
        server.execute(
            "postgres", f"REASSIGN OWNED BY {name} TO postgres", f"DROP OWNED BY {name}", f"DROP ROLE {name}"
        )


@pytest.fixture
def holdfast_cli(store: str) -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """The command, run as a process of its own."""

    def run(*arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "holdfast", *arguments],
            check=False,
            capture_output=True,
            text=True,
            timeout=60,
            env={**os.environ, "HOLDFAST_STORE": store, **environment},
        )

    return run
