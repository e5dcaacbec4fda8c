"""A server for the tests of one process, and a prefix of its own for each test."""

import os
import sys
import uuid
from collections.abc import Iterator

import pytest
from support.servers.azurite import KEY, AzuriteServer, running_azurite


@pytest.fixture(scope="session")
def service() -> Iterator[AzuriteServer]:
    """A running server."""
    with running_azurite() as server:
        yield server


@pytest.fixture
def server(service: AzuriteServer, monkeypatch: pytest.MonkeyPatch) -> AzuriteServer:
    """The server, whose key is in the environment."""
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", KEY)
    monkeypatch.setenv("PATH", f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}")  # of rclone
    return service


@pytest.fixture
def prefix() -> str:
    """A prefix of one test."""
    return f"of/{uuid.uuid4().hex[:12]}"
