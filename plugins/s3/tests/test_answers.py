"""Odd answers: of services, of what stands between them and us, and to keys that are good for reading alone."""

import re
import socket
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest
from botocore.utils import parse_timestamp
from support.databases import make_database
from support.servers.object_faults import Request
from support.servers.s3_proxy import S3Proxy
from support.servers.seaweed import READER_ACCESS, READER_SECRET, S3Server, keys

import holdfast
import holdfast_s3.client
from holdfast.api import Retries
from holdfast.errors import CredentialsError, HoldfastError, UnreachableError, UsageError
from holdfast_s3.client import parse_time
from holdfast_s3.location import Location
from holdfast_s3.storage import S3Storage

PART = 5 << 20


def put(storage: S3Storage, path: str, data: bytes) -> None:
    with storage.writer(path) as writer:
        writer.write(data)


def first(method: str, pattern: str, fault: str, times: int = 1) -> Callable[[Request], str]:
    """A fault of the first requests of a method whose path and query match, to whatever paths they go."""
    left = [fault] * times

    def decide(request: Request) -> str:
        return left.pop() if left and request.method == method and re.search(pattern, request.path) else ""

    return decide


@pytest.mark.parametrize("fault", ["reset", "garbled"])
def test_what_is_read_in_one_piece_is_read_again_where_that_breaks(
    storage: S3Storage, proxy: S3Proxy, fault: str
) -> None:
    put(storage, "a/b", b"0123456789" * 1000)
    proxy.fault = first("GET", r"a/b", "reset")
    assert storage.read("a/b", 5, 8000) == (b"0123456789" * 1000)[5:8005]
    with storage.shared_lease("source-a"):
        proxy.fault = first("GET", r"\.leases/source-a", fault if fault == "reset" else "503")
        with storage.shared_lease("source-a"):
            pass
    proxy.fault = first("GET", r"list-type", fault if fault == "garbled" else "lost")
    assert [stat.path for stat in storage.list()] == ["a/b"]


def test_a_service_that_ignores_ranges_is_no_damage(storage: S3Storage, proxy: S3Proxy) -> None:
    put(storage, "a/b", b"0123456789")
    proxy.fault = lambda _request: "whole"
    for read in (lambda: storage.read("a/b", 2, 3), lambda: list(storage.stream("a/b", 2))):
        with pytest.raises(HoldfastError, match="ignores 'Range"):
            read()
    assert b"".join(storage.stream("a/b")) == b"0123456789"


@pytest.mark.parametrize(("size", "method"), [(10, "PUT"), (PART + 1, "POST")])
def test_a_write_that_arrives_twice_is_ours(storage: S3Storage, proxy: S3Proxy, size: int, method: str) -> None:
    proxy.fault = first(method, r"uploadId=" if method == "POST" else r"a/b", "twice")
    put(storage, "a/b", bytes(size))
    proxy.fault = lambda _request: ""
    assert storage.stat("a/b").size == size
    with pytest.raises(FileExistsError):
        put(storage, "a/b", b"of another")


def test_an_error_that_comes_as_a_success_is_none(storage: S3Storage, proxy: S3Proxy) -> None:
    proxy.fault = first("POST", r"uploadId=", "error in 200")
    put(storage, "a/b", bytes(PART + 1))
    assert [(stat.path, stat.size) for stat in storage.list()] == [("a/b", PART + 1)]


def test_an_upload_that_has_ended_needs_no_end(storage: S3Storage, proxy: S3Proxy) -> None:
    proxy.fault = first("DELETE", r"uploadId=", "404")
    storage.delete("a/b/.partial-0123")


@pytest.mark.parametrize("fault", ["501", "503"])
def test_services_that_know_no_batches_delete_one_by_one(storage: S3Storage, proxy: S3Proxy, fault: str) -> None:
    for name in "abc":
        put(storage, f"a/{name}", b"x")
    proxy.fault = first("POST", r"\?delete", fault)
    storage.delete_many(["a/a", "a/b", "a/none"])
    assert [stat.path for stat in storage.list()] == ["a/c"]


@pytest.mark.parametrize("fault", ["other bytes", "522"])
def test_what_a_network_or_a_proxy_of_the_service_spoils_is_sent_again(
    storage: S3Storage, proxy: S3Proxy, fault: str
) -> None:
    proxy.fault = first("PUT", "a/b", fault)
    put(storage, "a/b", b"x" * 1000)
    assert storage.read("a/b") == b"x" * 1000


def test_what_a_rule_has_archived_is_neither_damaged_nor_refused_to_the_key(
    storage: S3Storage, proxy: S3Proxy, prefix: str, tmp_path: Path
) -> None:
    """Its rule may have moved all but the newest: the list goes on, and nothing is said of what cannot be read."""
    del storage  # after which nothing goes wrong any more
    store, source = proxy.url("first", prefix), f"sqlite:///{make_database(tmp_path / 'app.db')}"
    old, new = (holdfast.backup(source, store=store) for _ in range(2))
    proxy.fault = lambda request: "archived" if request.method == "GET" and old.id in request.path else ""
    listed = holdfast.list_backups(store)
    assert {each.id: each.state for each in listed} == {old.id: "unknown", new.id: "complete"}
    assert "archived by the service" in next(each.problem for each in listed if each.id == old.id)
    for what in ("database.sqlite.zst", "backup_manifest.json"):
        proxy.fault = lambda request, what=what: (  # type: ignore[misc]
            "archived" if request.method == "GET" and f"{new.id}/{what}" in request.path else ""
        )
        with pytest.raises(HoldfastError, match="archived by the service") as caught:
            holdfast.restore(new, f"sqlite:///{tmp_path}/restored.db", store=store)
        assert caught.value.exit_code not in (12, 13)
    assert holdfast.list_backups(store)[-1].state == "complete"


def test_marks_of_folders_that_consoles_make_are_no_backups(server: S3Server, prefix: str, tmp_path: Path) -> None:
    store, source = server.url("first", prefix), f"sqlite:///{make_database(tmp_path / 'app.db')}"
    backup, client = holdfast.backup(source, store=store), server.client()
    folders = ("", "app/", f"app/{backup.id}/", f"app/{backup.id}/findings/", "app/20200101T000000Z-aaaaaa/", "other/")
    for folder in folders:
        client.put_object(Bucket="first", Key=f"{prefix}/{folder}", Body=b"")
    holdfast.prune(store=store, keep_last=1)
    assert [(each.id, each.state) for each in holdfast.list_backups(store)] == [(backup.id, "complete")]
    assert holdfast.verify(backup, store=store)[0].passed
    holdfast.backup(source, store=store)
    holdfast.delete(backup, store=store)
    assert len(holdfast.list_backups(store)) == 1


@pytest.mark.parametrize("name", ["50%25 + more", "e\u0301", "a=b&c"])
def test_any_folder_of_a_bucket_holds_a_store(server: S3Server, prefix: str, name: str, tmp_path: Path) -> None:
    store = server.url("first", f"{prefix}/{quote(name)}")
    backup = holdfast.backup(f"sqlite:///{make_database(tmp_path / 'app.db')}", store=store)
    assert [each.id for each in holdfast.list_backups(store)] == [backup.id]
    keys = server.client().list_objects_v2(Bucket="first", Prefix=f"{prefix}/{name}/app/{backup.id}/")
    assert keys["KeyCount"] >= 4


def test_a_server_without_tls_is_told_from_one_whose_certificate_nobody_knows(server: S3Server, prefix: str) -> None:
    storage = S3Storage(Location.parse(server.url("first", prefix).replace("http:", "https:")))
    storage._client.retries.unknown_patience = 0.0
    with pytest.raises(UnreachableError) as caught:
        storage.read("a/b")
    assert "no TLS" in str(caught.value.hint)


def test_another_region_is_named(storage: S3Storage, proxy: S3Proxy) -> None:
    proxy.fault = lambda _request: "400"
    with pytest.raises(UsageError, match="another region") as caught:
        storage.read("a/b")
    assert "region=" in str(caught.value.hint)


def test_what_never_answers_is_given_up(server: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holdfast_s3.client, "_READ", 1)
    monkeypatch.setattr(holdfast_s3.client, "Retries", partial(Retries, unknown_patience=1.0))
    with socket.create_server(("127.0.0.1", 0)) as silent:
        store = f"s3://first/x?endpoint=http://127.0.0.1:{silent.getsockname()[1]}"
        for call in (
            lambda: holdfast.list_backups(store=store),
            lambda: list(S3Storage(Location.parse(store)).stream("a")),
        ):
            with pytest.raises(UnreachableError, match="timeout"):
                call()


def test_what_is_given_up_is_not_waited_for_as_long_again(storage: S3Storage, proxy: S3Proxy) -> None:
    put(storage, "a/b", b"x")
    storage._client.retries.patience, storage._client.retries.unknown_patience = 3.0, 0.0
    proxy.fault = lambda _request: "lost"
    proxy.seen.clear()
    for tries in (range(2, 100), [1]):
        with pytest.raises(UnreachableError):
            storage.stat("a/b")
        assert len(proxy.seen) in tries
        proxy.seen.clear()


def test_keys_that_only_read_suffice_for_what_only_reads(
    server: S3Server, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, store = f"sqlite:///{make_database(tmp_path / 'app.db')}", server.url("first", prefix)
    backup = holdfast.backup(source, store=store)
    put(S3Storage(Location.parse(store)), f"app/{backup.id[:-6]}zzzzzz/unfinished", b"x")
    for name, value in keys(READER_ACCESS, READER_SECRET).items():
        monkeypatch.setenv(name, value)
    assert [each.id for each in holdfast.list_backups(store=store)] == [backup.id]
    (result,) = holdfast.verify(store=store, read_data=True)
    assert result.passed
    assert "could not be recorded in the store: the service refuses" in result.warnings[0]
    holdfast.restore(backup.id, f"sqlite:///{tmp_path}/new.db", store=store)
    drilled = holdfast.drill(backup.id, store=store)
    assert drilled.passed
    holdfast.copy(store=store, to=tmp_path / "copies").raise_for_failures()
    with pytest.raises(CredentialsError):
        holdfast.backup(source, store=store)
    with pytest.raises(CredentialsError):
        holdfast.delete(backup.id, store=store, allow_last=True)


def test_a_listing_that_fails_waits_for_nothing_else(
    server: S3Server, proxy: S3Proxy, prefix: str, tmp_path: Path
) -> None:
    source, store = f"sqlite:///{make_database(tmp_path / 'app.db')}", proxy.url("first", prefix)
    for _ in range(2):
        refused = holdfast.backup(source, store=store).id

    def fault(request: Request) -> str:
        if not request.path.partition("?")[0].endswith("backup_manifest.json"):
            return ""
        if refused not in request.path:
            time.sleep(30)
        return "403"

    proxy.fault = fault
    began = time.monotonic()
    with pytest.raises(CredentialsError):
        holdfast.list_backups(store=store)
    assert time.monotonic() - began < 15
    proxy.fault = lambda _request: ""


@pytest.mark.parametrize(
    "url",
    ["s3://bucket/a/../b", "s3://bucket/./a", "s3://bucket/a%00", "s3://bucket/a?endpoint=http://"]
    + [f"s3://bucket/a?endpoint={server}" for server in ("http://host:99999", "https://host/?x=1", "ftp://host")],
)
def test_urls_that_cannot_be_meant_are_refused(url: str) -> None:
    with pytest.raises(UsageError):
        Location.parse(url)


@pytest.mark.parametrize(
    "text",
    ["2026-11-30T23:59:58.123Z", "2026-11-30T23:59:58Z", "2026-11-30T23:59:58+02:00", "Mon, 30 Nov 2026 23:59:58 GMT"],
)
def test_times_are_what_the_library_takes_them_for(text: str) -> None:
    assert parse_time(text) == parse_timestamp(text)
    assert parse_time(text).tzinfo is not None


def test_what_is_no_time_is_refused() -> None:
    with pytest.raises(ValueError, match="yesterday"):
        parse_time("yesterdayZ")
