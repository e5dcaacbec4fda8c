"""A container keeps the contract of a storage."""

from typing import Any

import pytest
from support.servers.azurite import KEY, AzuriteServer

from holdfast.api import Storage
from holdfast.testing import StorageSuite


class TestAzure(StorageSuite):
    password = KEY
    ttl = 2.0
    many = 300  # Azurite takes long for each; those of more than a page are written to the other server

    @pytest.fixture
    def url(self, server: AzuriteServer, prefix: str) -> str:
        return f"{server.url(prefix)}&part_size=5M"

    def lose_lease(self, storage: Storage, name: str) -> None:
        inner: Any = storage
        inner._client.call(name, lambda store: store.delete(inner._key(f".leases/{name}")))
