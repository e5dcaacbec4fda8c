"""A bucket keeps the contract of a storage, and does so where large objects are to be create-only as well."""

from typing import Any

import pytest
from support.servers.gcs import PAGE, TOKEN, GCSServer

from holdfast.api import Storage, SupportsShellFetch
from holdfast.testing import StorageSuite


class TestGCS(StorageSuite):
    password = TOKEN
    ttl = 2.0
    many = PAGE + 30

    @pytest.fixture
    def url(self, server: GCSServer, prefix: str) -> str:
        return f"{server.url(prefix)}&part_size=5M"

    def test_a_folder_can_be_fetched_without_holdfast(self, storage: Storage) -> None:  # type: ignore[override]
        """rclone asks for keys and an interface that the server of the tests has not: what it is told stands here."""
        assert isinstance(storage, SupportsShellFetch)
        assert storage.fetch_steps("a/b")[-1].startswith("rclone copy --gcs-env-auth --gcs-endpoint http://127.0.0.1:")

    def lose_lease(self, storage: Storage, name: str) -> None:
        inner: Any = storage
        inner._client.call(name, lambda store: store.delete(inner._key(f".leases/{name}")))
