"""Backups that were deleted or overwritten come back from the versions of a bucket, or are said not to."""

import uuid
from pathlib import Path

import pytest
from support.commandline import make_shell
from support.databases import make_database
from support.servers.s3_proxy import S3Proxy
from support.servers.seaweed import S3Server
from support.sweeps import swept

import holdfast
from holdfast.errors import IntegrityError, NotFoundError, UsageError


@pytest.fixture(scope="module")
def versioned(service: S3Server) -> str:
    bucket, client = f"versioned-{uuid.uuid4().hex[:8]}", service.client()
    client.create_bucket(Bucket=bucket)
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    return bucket


@pytest.fixture
def store(server: S3Server, versioned: str, prefix: str) -> str:
    return server.url(versioned, prefix)


@pytest.fixture
def first(tmp_path: Path, store: str) -> holdfast.Backup:
    """The first of two backups, with a pin and a finding."""
    make_database(tmp_path / "app.db")
    first = holdfast.backup(f"sqlite:///{tmp_path}/app.db", store=store)
    assert holdfast.drill(first, store=store).passed
    holdfast.backup(f"sqlite:///{tmp_path}/app.db", store=store)
    assert holdfast.list_deleted(store) == []
    return first


def test_what_a_policy_has_deleted_comes_back_as_it_was(
    first: holdfast.Backup, store: str, tmp_path: Path, server: S3Server
) -> None:
    shell = make_shell(tmp_path, variables=server.keys)
    before = {each.id: each for each in holdfast.list_backups(store)}
    assert len(holdfast.prune(store, keep_last=1, allow_last=True).deleted) == 1
    (deleted,) = holdfast.list_deleted(store)
    assert (deleted.id, deleted.name, deleted.happened) == (first.id, "app", "deleted")
    assert first.id in shell.run("undelete", "--store", store).stdout
    again = shell.run("undelete", first.id[:-2], "--store", store).stdout
    assert f"app/{first.id}  brought back, " in again
    assert {each.id: each for each in holdfast.list_backups(store)} == before
    assert [each.passed for each in holdfast.verify(store=store)] == [True, True]
    assert holdfast.list_deleted(store) == []
    assert f"app/{first.id}  is as it was" in shell.run("undelete", first.id, "--store", store).stdout
    assert "no backup was deleted" in shell.run("undelete", "--store", store).stderr
    shell.fails(10, "undelete", "20200101T000000Z-nobody", "--store", store)
    shell.fails(2, "undelete", "latest", "--store", store)


def test_all_of_a_store_that_somebody_has_emptied_comes_back(
    first: holdfast.Backup, store: str, tmp_path: Path, server: S3Server, versioned: str, prefix: str
) -> None:
    shell, client = make_shell(tmp_path, variables=server.keys), server.client()
    before = holdfast.list_backups(store)
    for item in client.list_objects_v2(Bucket=versioned, Prefix=prefix)["Contents"]:
        client.delete_object(Bucket=versioned, Key=item["Key"])
    shell.fails(10, "list", "--store", store)
    lines = shell.run("undelete", "--all", "--json", "--store", store).lines
    assert [line["id"] for line in lines] == [each.id for each in before]
    assert holdfast.list_backups(store) == before
    assert holdfast.backup(f"sqlite:///{tmp_path}/app.db", store=store).name == first.name


@pytest.mark.sweep(2)
@pytest.mark.parametrize("path", swept("database.sqlite.zst", "backup_manifest.json", long=["SHA256SUMS"]))
def test_what_somebody_has_overwritten_is_as_it_was_again(
    first: holdfast.Backup, store: str, server: S3Server, versioned: str, prefix: str, path: str
) -> None:
    client, key = server.client(), f"{prefix}/app/{first.id}/{path}"
    data = client.get_object(Bucket=versioned, Key=key)["Body"].read()
    client.put_object(Bucket=versioned, Key=key, Body=data[:-9] + bytes(9))
    assert [each.passed for each in holdfast.verify(store=store)] == [False, True]
    (deleted,) = holdfast.list_deleted(store)
    assert (deleted.id, deleted.happened, deleted.stored_bytes > first.stored_bytes) == (first.id, "overwritten", True)
    result = holdfast.undelete(first, store=store)
    assert (result.objects, result.stored_bytes) == (1, len(data))
    assert [each.passed for each in holdfast.verify(store=store)] == [True, True]
    assert client.get_object(Bucket=versioned, Key=key)["Body"].read() == data
    assert holdfast.list_deleted(store) == []
    bodies = [
        client.get_object(Bucket=versioned, Key=key, VersionId=each["VersionId"])["Body"].read()
        for each in client.list_object_versions(Bucket=versioned, Prefix=key)["Versions"]
    ]
    assert data[:-9] + bytes(9) in bodies  # nothing is lost by it


def test_what_no_version_holds_any_more_is_damaged_and_nothing_is_changed(
    first: holdfast.Backup, store: str, server: S3Server, versioned: str, prefix: str
) -> None:
    client, key = server.client(), f"{prefix}/app/{first.id}/database.sqlite.zst"
    holdfast.delete(first, store=store, allow_last=True)
    for each in client.list_object_versions(Bucket=versioned, Prefix=key)["Versions"]:
        client.delete_object(Bucket=versioned, Key=key, VersionId=each["VersionId"])
    with pytest.raises(IntegrityError, match=r"no version of database\.sqlite\.zst is what was stored"):
        holdfast.undelete(first.id, store=store)
    assert len(holdfast.list_backups(store)) == 1
    keys = [item["Key"] for item in client.list_objects_v2(Bucket=versioned, Prefix=prefix)["Contents"]]
    assert not [key for key in keys if key.startswith(f"{prefix}/app/{first.id}")]


def test_without_the_right_to_delete_versions_they_are_copied(
    first: holdfast.Backup, server: S3Server, versioned: str, prefix: str, proxy: S3Proxy, store: str
) -> None:
    holdfast.delete(first, store=store, allow_last=True)
    proxy.fault = lambda seen: "403" if seen.method == "DELETE" and "versionId" in seen.path else ""
    assert holdfast.undelete(first, store=proxy.url(versioned, prefix)).objects > 3
    proxy.fault = lambda _seen: ""
    assert [each.passed for each in holdfast.verify(store=store)] == [True, True]


def test_a_store_that_keeps_no_versions_says_so(server: S3Server, prefix: str, tmp_path: Path) -> None:
    make_database(tmp_path / "app.db")
    for place in (server.url("first", prefix), str(tmp_path / "store")):
        record = holdfast.backup(f"sqlite:///{tmp_path}/app.db", store=place)
        with pytest.raises(NotFoundError, match="keeps no versions"):
            holdfast.list_deleted(place)
        with pytest.raises(NotFoundError, match="keeps no versions"):
            holdfast.undelete(record, store=place)
    with pytest.raises(UsageError):
        holdfast.undelete(3, store=tmp_path)  # type: ignore[arg-type]


def test_a_key_that_may_not_list_versions_is_told_so(
    first: holdfast.Backup, versioned: str, prefix: str, proxy: S3Proxy
) -> None:
    proxy.fault = lambda seen: "403" if "versions" in seen.path else ""
    with pytest.raises(holdfast.CredentialsError, match="Access Denied") as caught:
        holdfast.list_deleted(proxy.url(versioned, prefix))
    assert "s3:ListBucketVersions" in str(caught.value.hint)
    proxy.fault = lambda _seen: ""
