"""What goes wrong between us and a service: replies that are lost, services that are busy, reads that break."""

import re
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.databases import make_database
from support.servers.object_faults import Request
from support.servers.s3_proxy import S3Proxy, running_proxy
from support.servers.seaweed import S3Server
from support.sweeps import swept

import holdfast
from holdfast.errors import CredentialsError, HoldfastError, IntegrityError, UnreachableError

PART = 5 << 20


@pytest.fixture
def proxy(server: S3Server) -> Iterator[S3Proxy]:
    with running_proxy(server) as running:
        yield running


@pytest.fixture
def store(proxy: S3Proxy, prefix: str) -> str:
    """A store behind the proxy."""
    return f"{proxy.url('first', prefix)}&part_size=5M"


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database that takes two parts of an upload."""
    path = make_database(tmp_path_factory.mktemp("source") / "app.db", noise=PART + (1 << 20))
    return f"sqlite:///{path}"


def once(method: str, pattern: str, fault: str, times: int = 1) -> Callable[[Request], str]:
    """A fault of the first requests of a method whose path and query match."""

    def decide(request: Request) -> str:
        hit = request.method == method and re.search(pattern, request.path) and request.number <= times
        return fault if hit else ""

    return decide


def keys(server: S3Server, prefix: str) -> list[str]:
    """What lies below a prefix."""
    answer = server.client().list_objects_v2(Bucket="first", Prefix=f"{prefix}/")
    return [item["Key"].removeprefix(f"{prefix}/") for item in answer.get("Contents", ())]


def uploads(server: S3Server, prefix: str) -> list[str]:
    """The uploads that nobody has ended."""
    answer = server.client().list_multipart_uploads(Bucket="first", Prefix=f"{prefix}/")
    return [item["Key"] for item in answer.get("Uploads", ())]


WRITES = {
    "manifest": ("PUT", r"backup_manifest\.json$"),
    "part": ("PUT", r"partNumber=1"),
    "begin of an upload": ("POST", r"\?uploads"),
    "end of an upload": ("POST", r"\?uploadId="),
    "lease": ("PUT", r"\.leases/"),
    "marker of the store": ("PUT", r"holdfast\.json$"),
    "sums": ("PUT", r"SHA256SUMS$"),
}
FAULTS = ("drop", "lost", "503", "409")
ALL = [(what, fault) for what in WRITES for fault in FAULTS]
FEW = [
    ("manifest", "drop"),
    ("part", "503"),
    ("end of an upload", "drop"),
    ("lease", "drop"),
    ("sums", "lost"),
    ("manifest", "409"),
]


@pytest.mark.sweep(5)
@pytest.mark.parametrize(("what", "fault"), swept(*FEW, long=[each for each in ALL if each not in FEW]))
def test_a_write_whose_reply_is_lost_is_made_once(
    store: str, source: str, proxy: S3Proxy, server: S3Server, prefix: str, what: str, fault: str
) -> None:
    proxy.fault = once(*WRITES[what], fault)
    backup = holdfast.backup(source, store=store)
    assert [each for each in proxy.seen if proxy.fault(each)]
    proxy.fault = lambda _request: ""
    (listed,) = holdfast.list_backups(store=store)
    assert (listed.id, listed.state) == (backup.id, "complete")
    assert sum(path.endswith("backup_manifest.json") for path in keys(server, prefix)) == 1
    (result,) = holdfast.verify(store=store, read_data=True)
    assert result.passed
    if what != "begin of an upload":  # of which nobody knows the name: the next prune ends it
        assert uploads(server, prefix) == []


def test_a_service_that_is_busy_is_waited_for(store: str, source: str, proxy: S3Proxy) -> None:
    until = time.monotonic() + 2
    proxy.fault = lambda _request: "503" if time.monotonic() < until else ""
    holdfast.backup(source, store=store)
    assert len(holdfast.list_backups(store=store)) == 1


@pytest.mark.sweep(2)
@pytest.mark.parametrize("fault", ["reset", "short"])
def test_a_read_that_breaks_goes_on_at_the_byte(
    store: str, source: str, proxy: S3Proxy, tmp_path: Path, fault: str
) -> None:
    backup = holdfast.backup(source, store=store)
    proxy.fault = once("GET", r"database\.sqlite", fault)
    proxy.seen.clear()
    holdfast.restore(backup, f"sqlite:///{tmp_path}/new.db", store=store)
    ranges = [each.headers.get("range", "") for each in proxy.seen if each.method == "GET" and "database" in each.path]
    assert ranges[0] == ""
    assert any(re.fullmatch(r"bytes=[1-9]\d*-", text) for text in ranges[1:])
    assert (tmp_path / "new.db").stat().st_size > PART


def test_a_blob_is_one_request(store: str, source: str, proxy: S3Proxy) -> None:
    holdfast.backup(source, store=store)
    proxy.seen.clear()
    holdfast.verify(store=store, read_data=True)
    assert sum(each.method == "GET" and "database" in each.path for each in proxy.seen) == 1


def test_bytes_that_are_wrong_are_damage(store: str, source: str, proxy: S3Proxy) -> None:
    holdfast.backup(source, store=store)
    proxy.fault = once("GET", r"database\.sqlite", "flip", times=100)
    (result,) = holdfast.verify(store=store, read_data=True)
    assert not result.passed
    assert "is not what was stored" in result.problems[0]


def test_what_breaks_all_the_time_is_no_damage(store: str, source: str, proxy: S3Proxy, prefix: str) -> None:
    holdfast.backup(source, store=store)
    proxy.fault = once("GET", r"database\.sqlite", "403", times=100)
    with pytest.raises(CredentialsError):
        holdfast.verify(store=store, read_data=True)
    proxy.fault = lambda _request: ""
    assert holdfast.list_backups(store=store)[0].state == "complete"


def test_a_service_that_ignores_conditions_is_refused(
    store: str, source: str, proxy: S3Proxy, server: S3Server, prefix: str
) -> None:
    proxy.fault = lambda _request: "ignore"
    with pytest.raises(HoldfastError, match="ignores If"):
        holdfast.backup(source, store=store)
    assert not [path for path in keys(server, prefix) if path.startswith("app/")]


def test_a_service_without_conditions_is_refused(store: str, source: str, proxy: S3Proxy) -> None:
    proxy.fault = lambda request: "501" if "if-none-match" in request.headers else ""
    with pytest.raises(HoldfastError, match="cannot do what a store needs") as caught:
        holdfast.backup(source, store=store)
    assert "conditional writes" in str(caught.value.hint)


def test_an_expired_token_says_so(store: str, source: str, proxy: S3Proxy) -> None:
    proxy.fault = lambda _request: "expired"
    with pytest.raises(CredentialsError, match="token has expired"):
        holdfast.list_backups(store=store)
    with pytest.raises(CredentialsError, match="token has expired"):
        holdfast.backup(source, store=store)


def test_a_backup_needs_no_right_to_delete(
    store: str, source: str, proxy: S3Proxy, server: S3Server, prefix: str
) -> None:
    proxy.fault = lambda request: "403" if request.method == "DELETE" else ""
    first, second = (holdfast.backup(source, store=store) for _ in range(2))
    assert all(result.passed for result in holdfast.verify(store=store))
    left = [path for path in keys(server, prefix) if path.startswith(".leases/2")]
    assert sorted(left) == sorted(f".leases/{backup.id}" for backup in (first, second))  # two bytes each
    proxy.fault = lambda _request: ""
    third = holdfast.backup(source, store=store)
    assert f".leases/{third.id}" not in keys(server, prefix)


def test_a_service_that_is_not_there_is_told_soon(server: S3Server) -> None:
    with pytest.raises(UnreachableError):
        holdfast.list_backups(store="s3://first/x?endpoint=http://127.0.0.1:9")


def test_damage_in_the_store_is_told_and_not_copied(
    store: str, source: str, server: S3Server, prefix: str, tmp_path: Path
) -> None:
    backup = holdfast.backup(source, store=store)
    client, key = server.client(), f"{prefix}/app/{backup.id}/database.sqlite.zst"
    data = bytearray(client.get_object(Bucket="first", Key=key)["Body"].read())
    data[len(data) // 2] ^= 1
    client.put_object(Bucket="first", Key=key, Body=bytes(data))
    with pytest.raises(IntegrityError, match="is not what was stored"):
        holdfast.copy(store=store, to=tmp_path / "other").raise_for_failures()
    assert not list((tmp_path / "other").rglob("backup_manifest.json"))


@pytest.mark.sweep(1)
def test_a_key_that_may_not_delete_backs_up_beside_what_a_killed_run_left(
    proxy: S3Proxy, server: S3Server, prefix: str, tmp_path: Path
) -> None:
    make_database(tmp_path / "app.db")
    store = proxy.url("first", prefix)
    holdfast.backup(f"sqlite:///{tmp_path}/app.db", store=store)
    server.client().put_object(Bucket="first", Key=f"{prefix}/app/20200101T000000Z-aaaaaa/blob", Body=b"half")
    proxy.fault = lambda seen: "403" if seen.method == "DELETE" or seen.path.endswith("?delete") else ""
    holdfast.backup(f"sqlite:///{tmp_path}/app.db", store=store)
    assert holdfast.prune(store, keep_last=2).leftovers == ()
    proxy.fault = lambda _seen: ""
    assert holdfast.prune(store, keep_last=2).leftovers == ("app/20200101T000000Z-aaaaaa",)
    assert len(holdfast.list_backups(store)) == 2
