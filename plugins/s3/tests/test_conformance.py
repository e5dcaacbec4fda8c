"""A bucket keeps the contract of a storage."""

import pytest
from support.servers.seaweed import SECRET, S3Server

from holdfast.api import Storage
from holdfast.testing import StorageSuite


class TestS3(StorageSuite):
    password = SECRET
    ttl = 2.0

    @pytest.fixture
    def url(self, server: S3Server, prefix: str) -> str:
        return server.url("first", prefix)

    def lose_lease(self, storage: Storage, name: str) -> None:
        client, key = storage._client, storage._key(f".leases/{name}")  # type: ignore[attr-defined]
        client.call("delete_object", name, {"Key": key})
