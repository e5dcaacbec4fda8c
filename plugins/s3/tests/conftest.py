"""A service for the tests of one process, and a bucket of its own for each test."""

import os
import sys
import uuid
from collections.abc import Iterator

import pytest
from support.servers.s3_proxy import S3Proxy, running_proxy
from support.servers.seaweed import S3Server, running_seaweed

from holdfast_s3.location import Location
from holdfast_s3.storage import S3Storage


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


@pytest.fixture(scope="module")
def proxy(service: S3Server) -> Iterator[S3Proxy]:
    """What stands before the service, and does nothing wrong yet."""
    with running_proxy(service) as running:
        yield running


@pytest.fixture
def storage(server: S3Server, proxy: S3Proxy, prefix: str) -> Iterator[S3Storage]:
    """A storage behind the proxy, which does nothing wrong yet."""
    proxy.seen.clear()
    yield S3Storage(Location.parse(f"{proxy.url('first', prefix)}&part_size=5M"))
    proxy.fault = lambda _request: ""
