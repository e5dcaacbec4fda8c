"""A bucket keeps the contract of a storage, and does so where large objects are to be create-only as well."""

from typing import Any

import pytest
from support.servers.gcs import PAGE, TOKEN, GCSServer

from holdfast.api import Storage
from holdfast.testing import StorageSuite


class TestGCS(StorageSuite):
    password = TOKEN
    ttl = 2.0
    many = PAGE + 30

    @pytest.fixture
    def url(self, server: GCSServer, prefix: str) -> str:
        return f"{server.url(prefix)}&part_size=5M"

    def lose_lease(self, storage: Storage, name: str) -> None:
        inner: Any = storage
        inner._client.call(name, lambda store: store.delete(inner._key(f".leases/{name}")))
