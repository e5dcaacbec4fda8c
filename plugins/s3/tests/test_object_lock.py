"""Object lock: what is kept, what is not, and what is said where it cannot be."""

import re
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path
from typing import Any

import pytest
from support.commandline import Shell, make_shell
from support.databases import make_database
from support.servers.s3_proxy import S3Proxy
from support.servers.seaweed import S3Server
from support.sweeps import swept

import holdfast
from holdfast.api import Retention
from holdfast.errors import HoldfastError, UnsafeError, UsageError
from holdfast.functions import installed
from holdfast_s3.location import Location
from holdfast_s3.storage import S3Storage


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


@pytest.mark.parametrize("mode", swept("compliance", long=["governance"]))
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


def test_a_bucket_that_keeps_whatever_is_written_keeps_no_lease_and_no_claim(
    server: S3Server, prefix: str, app: str, shell: Shell
) -> None:
    bucket = make_bucket(server, Mode="COMPLIANCE", Days=1)
    store, soon = server.url(bucket, prefix), datetime.now(UTC) + timedelta(minutes=5)
    with held_lease(store, "app"):
        first = holdfast.backup(app, store=store)
        second = holdfast.backup(app, store=store, retain="2d")
        told = retentions(server, bucket, prefix)
    free = {path: value for path, value in told.items() if not path.startswith(("app/2",))}
    assert {"holdfast.json", "app/source.json"} < free.keys()
    assert any(path.startswith(".leases/") for path in free)
    assert [path for path, value in free.items() if value is not None and value[1] > soon] == []
    kept = {path: value for path, value in told.items() if path.startswith(f"app/{first.id}/")}
    assert {value[0] for value in kept.values() if value} == {"COMPLIANCE"}
    assert None not in kept.values()
    assert {value for path, value in told.items() if path.startswith(f"app/{second.id}/")} == {
        ("GOVERNANCE", second.held_until)
    }
    done = shell.run("prune", "--keep-last", "1", "--store", store)
    assert f"app/{first.id} is kept by retention in the store until" in done.stderr
    assert "(compliance)" in shell.run("show", first.id, "--store", store).stdout
    shell.fails(16, "delete", first.id, "--store", store)
    assert "but no lease or claim" in shell.run("check", store).stdout


@contextmanager
def held_lease(store: str, name: str) -> Iterator[None]:
    with installed().storage(store).lease(name):
        yield


def test_a_key_that_may_set_no_retention(
    server: S3Server, locked: str, prefix: str, app: str, proxy: S3Proxy, shell: Shell
) -> None:
    """`--retain` is refused and nothing listed; a bucket that keeps whatever is written takes leases all the same."""
    proxy.fault = lambda seen: "403" if "x-amz-object-lock-mode" in seen.headers else ""
    store = proxy.url(locked, prefix)
    failed = shell.fails(12, "backup", app, "--retain", "30d", "--store", store)
    assert "s3:PutObjectRetention" in failed.hint
    assert holdfast.list_backups(store) == []
    keeping = proxy.url(make_bucket(server, Mode="GOVERNANCE", Days=1), prefix)
    holdfast.backup(app, store=keeping)
    record = holdfast.backup(app, store=keeping)
    assert holdfast.verify(record, store=keeping)[0].passed


def test_a_key_that_may_not_ask_for_retentions_goes_by_the_note(
    server: S3Server, locked: str, prefix: str, app: str, proxy: S3Proxy
) -> None:
    store = server.url(locked, prefix)
    first = holdfast.backup(app, store=store, retain="30d")
    holdfast.backup(app, store=store)
    proxy.fault = lambda seen: "403" if seen.method == "GET" and "retention" in seen.path else ""
    blind = proxy.url(locked, prefix)
    assert holdfast.prune(blind, keep_last=1).choices[1].held_until == first.held_until
    with pytest.raises(UnsafeError, match="is kept until"):
        holdfast.delete(first, store=blind)
    assert holdfast.verify(first, store=blind)[0].passed
    told = retentions(server, locked, f"{prefix}/app/{first.id}/findings")
    assert [*told.values()] == [("GOVERNANCE", first.held_until)]


def test_what_is_left_of_a_killed_backup_is_removed_from_sight_and_told(
    server: S3Server, locked: str, prefix: str, app: str, shell: Shell
) -> None:
    store = server.url(locked, prefix)
    record = holdfast.backup(app, store=store)
    storage: Any = installed().storage(store)
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=2)
    folder = "app/20200101T000000Z-aaaaaa"
    with storage.retained_writer(f"{folder}/database.sqlite.zst", Retention(until=until)) as writer:
        writer.write(bytes(1000))
    done = shell.run("prune", "--keep-last", "1", "--store", store)
    assert f"removed {folder}" in done.stdout
    assert f"{folder} is removed from sight, and its 1000 bytes stay until {until:%Y-%m-%d}" in done.stderr
    assert [each.id for each in holdfast.list_backups(store)] == [record.id]
    assert folder not in shell.run("prune", "--keep-last", "1", "--store", store).stdout


def test_copies_from_a_locked_store_to_another_and_back(
    server: S3Server, locked: str, prefix: str, app: str, tmp_path: Path
) -> None:
    """Each store has its own date, which no copy takes along; what was resumed has that of the rest."""
    store, folder = server.url(locked, prefix), str(tmp_path / "store")
    first = holdfast.backup(app, store=store, retain="30d")
    holdfast.copy(store=store, to=folder).raise_for_failures()
    assert [each.held_until for each in holdfast.list_backups(folder)] == [None]
    assert not list(Path(folder).rglob("*-retain-*"))
    holdfast.prune(folder, keep_last=1)
    back = server.url(locked, f"{prefix}-back")
    blob = Path(folder, "app", first.id, "database.sqlite.zst")
    storage: Any = installed().storage(back)
    early = Retention(until=datetime.now(UTC).replace(microsecond=0) + timedelta(days=1))
    with storage.retained_writer(f"app/{first.id}/database.sqlite.zst", early) as writer:
        writer.write(blob.read_bytes())
    done = holdfast.copy(store=folder, to=back, retain="10d")
    done.raise_for_failures()
    assert done.copies[0].stored_bytes < blob.stat().st_size  # it was not copied once more
    (copied,) = holdfast.list_backups(back)
    told = retentions(server, locked, f"{prefix}-back/app/{first.id}")
    assert {*told.values()} == {("GOVERNANCE", copied.held_until)}
    assert copied.held_until != first.held_until
    holdfast.pin(first, store=folder)
    again = holdfast.copy(store=folder, to=back, retain="20d").copies
    assert [(each.copied, each.notes) for each in again] == [(False, 1)]
    assert {*retentions(server, locked, f"{prefix}-back/app/{first.id}").values()} == {*told.values()}
    with pytest.raises(UsageError, match="has no object lock"):
        holdfast.copy(store=store, to=folder, retain="10d")


def test_a_date_that_a_service_does_not_take_is_said(server: S3Server, locked: str, prefix: str) -> None:
    storage: Any = installed().storage(server.url(locked, prefix))
    past = Retention(until=datetime.now(UTC) - timedelta(days=1))
    refused = pytest.raises(UsageError, match="the service keeps nothing until")
    with refused, storage.retained_writer("a/b", past) as writer:
        writer.write(b"x")
    assert list(storage.list()) == []


@pytest.mark.parametrize(("minutes", "refused"), [(3, False), (-3, False), (40, True), (-40, True)])
def test_a_clock_that_is_wrong_sets_no_date(
    server: S3Server, locked: str, minutes: int, refused: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = S3Storage(Location.parse(server.url(locked, "x")))
    date = format_datetime(datetime.now(UTC) + timedelta(minutes=minutes), usegmt=True)
    settings = {"ObjectLockEnabled": "Enabled", "date": date, "asked": datetime.now(UTC)}
    monkeypatch.setattr(storage, "_settings", settings)
    with pytest.raises(HoldfastError, match="the clock of this machine") if refused else nullcontext():
        storage.check_retention(Retention(until=datetime.now(UTC) + timedelta(days=2)))
