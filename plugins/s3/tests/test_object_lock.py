"""Object lock: what is kept, what is not, and what is said where it cannot be."""

import re
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.commandline import Shell, make_shell
from support.databases import make_database
from support.servers.seaweed import S3Server

import holdfast
from holdfast.errors import UnsafeError, UsageError

Bucket = Callable[..., str]


@pytest.fixture(scope="module")
def locked(service: S3Server) -> str:
    """A bucket with object lock, for all tests: to make one takes as long as a test."""
    return make_bucket(service)


def make_bucket(service: S3Server, **default: Any) -> str:
    bucket, client = f"locked-{uuid.uuid4().hex[:8]}", service.client()
    client.create_bucket(Bucket=bucket, ObjectLockEnabledForBucket=True)
    if default:
        rule = {"ObjectLockEnabled": "Enabled", "Rule": {"DefaultRetention": default}}
        client.put_object_lock_configuration(Bucket=bucket, ObjectLockConfiguration=rule)
    return bucket


@pytest.fixture
def shell(tmp_path: Path, server: S3Server) -> Shell:
    (tmp_path / "shell").mkdir()
    return make_shell(tmp_path / "shell", variables=server.keys)


@pytest.fixture
def app(tmp_path: Path) -> str:
    make_database(tmp_path / "app.db")
    return f"sqlite:///{tmp_path}/app.db"


def retentions(service: S3Server, bucket: str, prefix: str) -> dict[str, tuple[str, datetime] | None]:
    """Of every object below a prefix, its mode and date, without ids, by its path."""
    client, told = service.client(), {}
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for item in page.get("Contents", ()):
            head = client.head_object(Bucket=bucket, Key=item["Key"])
            mode, until = head.get("ObjectLockMode"), head.get("ObjectLockRetainUntilDate")
            path = item["Key"].removeprefix(f"{prefix}/")
            told[path] = (mode, until.astimezone(UTC)) if mode else None
    return told


@pytest.mark.parametrize("mode", ["governance", "compliance"])
def test_every_object_of_a_backup_is_kept_and_nothing_else_is(
    server: S3Server, locked: str, prefix: str, app: str, mode: str
) -> None:
    store = server.url(locked, prefix)
    begun = datetime.now(UTC).replace(microsecond=0)
    record = holdfast.backup(app, store=store, retain="30d", retain_mode=mode)  # type: ignore[arg-type]
    holdfast.pin(record, store=store)
    assert holdfast.verify(record, store=store)[0].passed
    until = record.held_until
    assert until is not None
    assert begun + timedelta(days=30) <= until < begun + timedelta(days=30, seconds=60)
    told = retentions(server, locked, prefix)
    ours = f"app/{record.id}/"
    kept = {path.removeprefix(ours): value for path, value in told.items() if path.startswith(ours)}
    assert {"backup_manifest.json", "SHA256SUMS", "RESTORE.md", "database.sqlite.zst"} <= kept.keys()
    assert len([path for path in told if "/labels/" in path]) == 2
    assert len([path for path in told if "/findings/" in path]) == 1
    assert {*kept.values()} == {(mode.upper(), until)}
    others = {path: value for path, value in told.items() if not path.startswith(ours)}
    assert {*others.values()} == {None}
    assert {"holdfast.json", "app/source.json"} <= others.keys()
    assert [each.held_until for each in holdfast.list_backups(store)] == [until]


def test_it_is_listed_shown_and_neither_pruned_nor_deleted_before(
    server: S3Server, locked: str, prefix: str, app: str, shell: Shell
) -> None:
    store = server.url(locked, prefix)
    first = holdfast.backup(app, store=store, retain="30d")
    second = holdfast.backup(app, store=store)
    third = holdfast.backup(app, store=store)
    listed = shell.run("list", "--store", store).stdout.splitlines()
    assert "HELD UNTIL (UTC)" in listed[0]
    assert [bool(re.search(r"\d\d:\d\d$", line)) for line in listed[1:]] == [True, False, False]
    assert re.search(
        r"held +until 20\d\d-\d\d-\d\d \d\d:\d\d UTC \(governance\)",
        shell.run("show", first.id, "--store", store).stdout,
    )
    plan = shell.run("prune", "--keep-last", "1", "-n", "--store", store)
    assert f"keep    app/{first.id}  kept until " in plan.stdout
    assert f"delete  app/{second.id}" in plan.stdout
    done = shell.run("prune", "--keep-last", "1", "--store", store)
    assert f"deleted app/{second.id}" in done.stdout
    assert f"app/{first.id} is kept by retention in the store until 20" in done.stderr
    assert "deleted 1, kept 2" in done.stderr
    assert {each.id for each in holdfast.list_backups(store)} == {first.id, third.id}
    assert f"{first.id} is kept until 20" in shell.fails(16, "delete", first.id, "--store", store).error
    with pytest.raises(UnsafeError, match="by its retention in the store"):
        holdfast.delete(first, store=store, allow_last=True)
    assert [each.passed for each in holdfast.verify(first, store=store)] == [True]


def test_what_the_service_says_holds_and_not_the_note(server: S3Server, locked: str, prefix: str, app: str) -> None:
    """Whoever may lift a retention of mode governance has done so; and a note of what nothing keeps keeps nothing."""
    store, client = server.url(locked, prefix), server.client()
    first = holdfast.backup(app, store=store, retain="30d")
    holdfast.backup(app, store=store)
    for page in client.get_paginator("list_objects_v2").paginate(Bucket=locked, Prefix=f"{prefix}/app/{first.id}"):
        for item in page["Contents"]:
            soon = datetime.now(UTC) + timedelta(seconds=1.2)
            client.put_object_retention(
                Bucket=locked,
                Key=item["Key"],
                BypassGovernanceRetention=True,
                Retention={"Mode": "GOVERNANCE", "RetainUntilDate": soon},
            )
    while datetime.now(UTC) < soon + timedelta(seconds=1):
        pass
    result = holdfast.prune(store, keep_last=1)
    assert [choice.id for choice in result.deleted] == [first.id]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"retain": "30d", "retain_mode": "forever"}, "retain_mode"),
        ({"retain_mode": "compliance"}, "nothing says for how long"),
        ({"retain": "0"}, "not a duration"),
        ({"retain": "0d"}, "too short"),
        ({"retain": "-1d"}, "not a duration"),
        ({"retain": "23h"}, "too short"),
        ({"retain": "36501d"}, "too long"),
        ({"retain": "999999w"}, "too long"),
        ({"retain": "9999999999d"}, "not a duration"),
    ],
)
def test_what_no_service_could_keep_is_refused(tmp_path: Path, app: str, options: Any, text: str) -> None:
    with pytest.raises(UsageError, match=text):
        holdfast.backup(app, store=tmp_path / "store", **options)
    assert not (tmp_path / "store").exists()


def test_a_store_that_cannot_is_refused_before_anything_is_written(
    server: S3Server, prefix: str, app: str, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="has no object lock"):
        holdfast.backup(app, store=tmp_path / "store", retain="30d")
    assert not (tmp_path / "store").exists()
    store = server.url("first", prefix)
    with pytest.raises(UsageError, match="the bucket first has no object lock"):
        holdfast.backup(app, store=store, retain="30d")
    holdfast.backup(app, store=tmp_path / "store")
    for to in (store, str(tmp_path / "other")):
        with pytest.raises(UsageError, match="has no object lock"):
            holdfast.copy(store=tmp_path / "store", to=to, retain="30d")
    assert retentions(server, "first", prefix) == {}
    assert not (tmp_path / "other").exists()
