"""What `holdfast check` says of a bucket: its settings as they are, and what a key may not ask as unknown."""

import uuid
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from support.databases import make_database
from support.servers.seaweed import READER_ACCESS, READER_SECRET, S3Server, keys

import holdfast
from holdfast.errors import CredentialsError, NotFoundError
from holdfast_s3.guarantees import _clock, _lifecycle, _lock


def answers(check: holdfast.StoreCheck) -> dict[str, bool | None]:
    return {each.name: each.holds for each in check.guarantees}


@pytest.fixture
def store(server: S3Server, prefix: str, tmp_path: Path) -> str:
    make_database(tmp_path / "app.db")
    url = server.url("first", prefix)
    holdfast.backup(f"sqlite:///{tmp_path}/app.db", store=url)
    return url


def objects(server: S3Server, prefix: str) -> dict[str, str]:
    page = server.client().list_objects_v2(Bucket="first", Prefix=prefix)
    return {item["Key"]: item["ETag"] for item in page["Contents"] if "/.leases/" not in item["Key"]}


def test_a_bucket_says_what_it_is_and_nothing_in_it_changes(server: S3Server, store: str, prefix: str) -> None:
    before = objects(server, prefix)
    check = holdfast.check_store(store)
    assert answers(check) == {
        "read": True,
        "list": True,
        "write": True,
        "create only": True,
        "delete": True,
        "versioning": False,
        "object lock": False,
        "unfinished uploads end": False,
        "old versions end": False,
        "clock": True,
    }
    assert check.failure is None
    assert objects(server, prefix) == before


def test_versions_and_rules_of_a_bucket_are_told(server: S3Server) -> None:
    bucket, client = f"kept-{uuid.uuid4().hex[:8]}", server.client()
    client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    with pytest.raises(NotFoundError, match="no store"):
        holdfast.check_store(server.url(bucket, "a"))
    client.put_object(Bucket=bucket, Key="a/holdfast.json", Body=b'{"format_version": 1}')
    assert answers(holdfast.check_store(server.url(bucket, "a")))["versioning"] is True


def test_a_key_that_may_only_read_is_told_so(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in keys(READER_ACCESS, READER_SECRET).items():
        monkeypatch.setenv(name, value)
    check = holdfast.check_store(store)
    told = answers(check)
    assert {name: told[name] for name in ("read", "list", "write", "create only", "delete")} == {
        "read": True,
        "list": True,
        "write": False,
        "create only": False,
        "delete": False,
    }
    assert isinstance(check.failure, CredentialsError)
    assert "AccessDenied" in check.failure.message


def test_locks_and_rules_as_services_word_them() -> None:
    locked = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": 30}}}
    assert _lock({"ObjectLockConfiguration": locked}) == (
        True,
        "each object is kept for 30 days (governance), but no lease or claim, if the key has s3:PutObjectRetention",
    )
    assert _lock({"ObjectLockConfiguration": {"ObjectLockEnabled": "Enabled"}})[0]
    assert not _lock({})[0]
    rule: dict[str, Any] = {"Status": "Enabled", "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 3}}
    for rules, holds in (
        ([rule], True),
        ([{**rule, "Filter": {"Prefix": "backups/"}}], True),
        ([{**rule, "Prefix": "backups/db/"}], True),
        ([{**rule, "Filter": {"Prefix": "other/"}}], False),
        ([{**rule, "Status": "Disabled"}], False),
        ([{"Status": "Enabled"}, rule], True),
        ([], False),
    ):
        assert _lifecycle({"Rules": rules}, "backups/db/")[0] is holds, rules


@pytest.mark.parametrize(("minutes", "holds"), [(0, True), (5, False), (-5, False), (None, None)])
def test_a_clock_that_differs_is_told(minutes: int | None, holds: bool | None) -> None:
    class Clock:
        def call(self, *_: object) -> dict[str, Any]:
            served = datetime.now(UTC) + timedelta(minutes=minutes or 0)
            headers = {} if minutes is None else {"date": format_datetime(served, usegmt=True)}
            return {"ResponseMetadata": {"HTTPHeaders": headers}}

    client: Any = Clock()
    assert _clock(client, "").holds is holds
