"""What goes wrong between us and Azure, and what it refuses; more of the same is tried with the tests of `gs`."""

import base64
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.databases import make_database
from support.servers.azurite import AzuriteServer
from support.servers.object_faults import Request
from support.servers.object_proxy import ObjectProxy, running_object_proxy

import holdfast
from holdfast.errors import CredentialsError, NotFoundError, UnreachableError, UsageError
from holdfast.plugins.registry import Registry

LARGE = 12 << 20  # bytes: three parts


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database whose blob takes two parts."""
    path = make_database(tmp_path_factory.mktemp("source") / "app.db", noise=6 << 20)
    return f"sqlite:///{path}"


@pytest.fixture(scope="module")
def proxies(service: AzuriteServer) -> Iterator[ObjectProxy]:
    with running_object_proxy(service.port) as proxy:
        yield proxy


@pytest.fixture
def proxy(server: AzuriteServer, proxies: ObjectProxy) -> Iterator[ObjectProxy]:
    """What stands before the service, and does nothing wrong yet."""
    del server  # whose key is in the environment
    proxies.seen.clear()
    yield proxies
    proxies.fault = lambda _request: ""


@pytest.fixture
def store(server: AzuriteServer, proxy: ObjectProxy, prefix: str) -> str:
    return f"{server.url(prefix, endpoint=proxy.endpoint)}&part_size=5M"


def once(method: str, pattern: str, fault: str) -> Callable[[Request], str]:
    """A fault of the first request of a method whose path and query match."""

    def decide(request: Request) -> str:
        return fault if request.method == method and re.search(pattern, request.path) and request.number == 1 else ""

    return decide


@pytest.mark.sweep(2)
@pytest.mark.parametrize(
    ("pattern", "fault"),
    [
        (r"backup_manifest\.json$", "drop"),
        (r"comp=blocklist", "drop"),
        (r"comp=block&", "503"),
        (r"\.leases/", "drop"),
    ],
)
def test_a_write_whose_reply_is_lost_is_made_once(
    store: str, source: str, proxy: ObjectProxy, pattern: str, fault: str
) -> None:
    proxy.fault = once("PUT", pattern, fault)
    backup = holdfast.backup(source, store=store)
    assert [each for each in proxy.seen if proxy.fault(each)]
    proxy.fault = lambda _request: ""
    (listed,) = holdfast.list_backups(store=store)
    assert (listed.id, listed.state) == (backup.id, "complete")
    (result,) = holdfast.verify(store=store, read_data=True)
    assert result.passed


def test_a_read_that_breaks_is_gone_on_with(store: str, source: str, proxy: ObjectProxy, tmp_path: Path) -> None:
    backup = holdfast.backup(source, store=store)
    proxy.fault = once("GET", r"database\.sqlite", "reset")
    proxy.seen.clear()
    holdfast.restore(backup, f"sqlite:///{tmp_path}/new.db", store=store)
    reads = [each.headers for each in proxy.seen if "database" in each.path]
    ranges = [headers.get("x-ms-range", headers.get("range", "")) for headers in reads]
    assert any(re.fullmatch(r"bytes=[1-9]\d*-\d*", text) for text in ranges), ranges


@pytest.mark.parametrize("create", ["prefer", "require"])
def test_large_objects_are_not_overwritten(store: str, proxy: ObjectProxy, create: str) -> None:
    first, second = (Registry().storage(store, {"create": create}) for _ in range(2))
    with first.writer("a/large") as writer:
        writer.write(bytes(LARGE))
    with pytest.raises(FileExistsError), second.writer("a/large") as writer:
        writer.write(b"x" * LARGE)
    assert first.read("a/large") == bytes(LARGE)
    assert [stat.path for stat in first.list()] == ["a/large"]
    copies = [each for each in proxy.seen if "x-ms-copy-source" in each.headers]
    assert all(each.headers["if-none-match"] == "*" for each in copies)
    assert bool(copies) is (create == "require")


def test_what_is_small_is_written_only_where_its_name_is_free(store: str, proxy: ObjectProxy) -> None:
    """The request is right, whatever Azurite takes for a name that is taken: what an unfinished upload has, too."""
    with Registry().storage(store).writer("a/small") as writer:
        writer.write(b"x")
    (put,) = [each for each in proxy.seen if each.method == "PUT"]
    assert put.headers["if-none-match"] == "*"


def test_what_is_missing_and_what_is_refused_is_told_apart(
    server: AzuriteServer, store: str, source: str, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = server.url(prefix, container="nowhere")
    for call in (lambda: holdfast.list_backups(nowhere), lambda: holdfast.backup(source, store=nowhere)):
        with pytest.raises(NotFoundError, match="there is no place nowhere in the account devstoreaccount1"):
            call()
    with pytest.raises(NotFoundError, match="no store at"):
        holdfast.list_backups(store)
    secret = base64.b64encode(b"of somebody else").decode()
    monkeypatch.setenv("AZURE_STORAGE_ACCOUNT_KEY", secret)
    for call in (lambda: holdfast.list_backups(store), lambda: holdfast.backup(source, store=store)):
        with pytest.raises(CredentialsError, match="the service refuses") as caught:
            call()
        assert secret not in f"{caught.value} {caught.value.hint}"
    with pytest.raises(UnreachableError):
        holdfast.list_backups("azure://devstoreaccount1/first/x?endpoint=http://127.0.0.1:9/devstoreaccount1")


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("azure://user:secret@account/first/x", "holds a key"),
        ("azure://account/first/x?sig=abc", "has the parameter sig"),
        ("azure://account", "names no container"),
        ("az://A_B/first", "no name of an account"),
        ("azure://account/First", "names no container"),
        ("azure://account/first?cli=yes", "expected true or false"),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        holdfast.list_backups(url)
    assert "secret" not in str(caught.value)
