"""A server for the tests of a module, and a prefix of its own for each test."""

import uuid
from collections.abc import Iterator

import pytest
from support.servers.gcs import TOKEN, GCSServer, running_gcs


@pytest.fixture(scope="module")
def service() -> Iterator[GCSServer]:
    """A running server."""
    with running_gcs() as server:
        yield server


@pytest.fixture
def server(service: GCSServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[GCSServer]:
    """The server, which does nothing wrong yet, and whose key is in the environment."""
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", TOKEN)
    service.seen.clear()
    yield service
    service.fault = lambda _request: ""


@pytest.fixture
def prefix() -> str:
    """A prefix of one test."""
    return f"of/{uuid.uuid4().hex[:12]}"
