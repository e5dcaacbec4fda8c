"""A server for the tests of one process, and a folder of its own for each test."""

import uuid
from collections.abc import Iterator

import pytest
from support.servers.sshd import SSHServer, running_sshd


@pytest.fixture(scope="session")
def server() -> Iterator[SSHServer]:
    """A running server."""
    with running_sshd() as running:
        yield running


@pytest.fixture
def name() -> str:
    """Of the folder of a store, of which the server has none yet."""
    return uuid.uuid4().hex[:12]
