"""A bucket keeps the contract of a storage."""

import uuid
from typing import Any

import pytest
from support.servers.seaweed import SECRET, S3Server
from support.sweeps import LONG

from holdfast.api import Storage
from holdfast.testing import StorageSuite
from holdfast.testing.storage_keeping import KeepingTests


class TestS3(StorageSuite):
    password = SECRET
    ttl = 2.0

    @pytest.fixture
    def url(self, server: S3Server, prefix: str) -> str:
        return server.url("first", prefix)

    def lose_lease(self, storage: Storage, name: str) -> None:
        client, key = storage._client, storage._key(f".leases/{name}")  # type: ignore[attr-defined]
        client.call("delete_object", name, {"Key": key})


# The long form keeps the whole contract in a bucket with object lock; the short one what such a bucket has besides.
_LOCKED: Any = StorageSuite if LONG else KeepingTests


@pytest.fixture(scope="module")
def locked_bucket(service: S3Server) -> str:
    bucket = f"locked-{uuid.uuid4().hex[:8]}"
    service.client().create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    return bucket


@pytest.fixture(scope="module")
def keeping_bucket(service: S3Server) -> str:
    """It keeps whatever is written for a day, leases as well if they do not say otherwise."""
    bucket, client = f"keeping-{uuid.uuid4().hex[:8]}", service.client()
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    rule = {"DefaultRetention": {"Mode": "COMPLIANCE", "Days": 1}}
    settings = {"ObjectLockEnabled": "Enabled", "Rule": rule}
    client.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=settings)
    return bucket


class TestLockedS3(_LOCKED):  # type: ignore[misc]
    password = SECRET
    ttl = 2.0
    lose_lease = TestS3.lose_lease

    @pytest.fixture
    def url(self, server: S3Server, locked_bucket: str, prefix: str) -> str:
        return server.url(locked_bucket, prefix)


class TestKeepingS3(TestLockedS3):
    many = 1_100 if LONG else 50

    @pytest.fixture
    def url(self, server: S3Server, keeping_bucket: str, prefix: str) -> str:
        return server.url(keeping_bucket, prefix)
