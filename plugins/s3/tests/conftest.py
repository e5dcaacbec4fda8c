"""A service for the tests of one process, and a bucket of its own for each test."""

import os
import sys
import uuid
from collections.abc import Iterator

import pytest
from support.servers.seaweed import S3Server, running_seaweed


@pytest.fixture(scope="session")
def service() -> Iterator[S3Server]:
    """A running service."""
    with running_seaweed() as server:
        yield server


@pytest.fixture
def server(service: S3Server, monkeypatch: pytest.MonkeyPatch) -> S3Server:
    """The service, whose keys are in the environment."""
    for name, value in service.keys.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PATH", f"{os.path.dirname(sys.executable)}:{os.environ['PATH']}")  # of rclone
    return service


@pytest.fixture
def prefix() -> str:
    """Of the bucket `first`, a prefix of one test: to make a bucket takes the service as long as a test."""
    return f"of/{uuid.uuid4().hex[:12]}"
