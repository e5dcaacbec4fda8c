"""What goes wrong between us and a service of objects, and what services refuse."""

import re
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.databases import make_database
from support.servers.gcs import READER_TOKEN, GCSServer
from support.servers.object_faults import Request
from support.sweeps import swept

import holdfast
from holdfast.errors import CredentialsError, NotFoundError, UnreachableError, UsageError
from holdfast.testing.leases import open_storage

LARGE = 12 << 20  # bytes: three parts


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A database whose blob takes two parts."""
    path = make_database(tmp_path_factory.mktemp("source") / "app.db", noise=6 << 20)
    return f"sqlite:///{path}"


@pytest.fixture
def store(server: GCSServer, prefix: str) -> str:
    return f"{server.url(prefix)}&part_size=5M"


def once(method: str, pattern: str, fault: str, times: int = 1) -> Callable[[Request], str]:
    """A fault of the first requests of a method whose path and query match."""

    def decide(request: Request) -> str:
        hit = request.method == method and re.search(pattern, request.path) and request.number <= times
        return fault if hit else ""

    return decide


def paths(server: GCSServer, prefix: str) -> list[str]:
    """What lies below a prefix, without leases."""
    names = [name.removeprefix(f"{prefix}/") for name in server.objects["first"] if name.startswith(f"{prefix}/")]
    return sorted(name for name in names if not name.startswith(".leases/"))


WRITES = {
    "manifest": ("PUT", r"backup_manifest\.json$"),
    "part": ("PUT", r"partNumber=1"),
    "end of an upload": ("POST", r"\?uploadId="),
    "lease": ("PUT", r"\.leases"),
    "marker of the store": ("PUT", r"holdfast\.json$"),
}
ALL = [(what, fault) for what in WRITES for fault in ("drop", "lost", "503")]
FEW = [("manifest", "drop"), ("part", "503"), ("end of an upload", "drop"), ("lease", "drop"), ("manifest", "lost")]


@pytest.mark.sweep(2)
@pytest.mark.parametrize(("what", "fault"), swept(*FEW, long=[each for each in ALL if each not in FEW]))
def test_a_write_whose_reply_is_lost_is_made_once(
    store: str, source: str, server: GCSServer, prefix: str, what: str, fault: str
) -> None:
    server.fault = once(*WRITES[what], fault)
    backup = holdfast.backup(source, store=store)
    assert [each for each in server.seen if server.fault(each)]
    server.fault = lambda _request: ""
    (listed,) = holdfast.list_backups(store=store)
    assert (listed.id, listed.state) == (backup.id, "complete")
    assert sum(path.endswith("backup_manifest.json") for path in paths(server, prefix)) == 1
    (result,) = holdfast.verify(store=store, read_data=True)
    assert result.passed


def test_a_read_that_breaks_is_gone_on_with(store: str, source: str, server: GCSServer, tmp_path: Path) -> None:
    backup = holdfast.backup(source, store=store)
    server.fault = once("GET", r"database\.sqlite", "reset")
    server.seen.clear()
    holdfast.restore(backup, f"sqlite:///{tmp_path}/new.db", store=store)
    ranges = [each.headers.get("range", "") for each in server.seen if "database" in each.path]
    assert any(re.fullmatch(r"bytes=[1-9]\d*-\d*", text) for text in ranges)


@pytest.mark.parametrize("create", ["prefer", "require"])
def test_large_objects_are_not_overwritten(store: str, server: GCSServer, prefix: str, create: str) -> None:
    from holdfast.plugins.registry import Registry

    first, second = (Registry().storage(store, {"create": create}) for _ in range(2))
    with first.writer("a/large") as writer:
        writer.write(bytes(LARGE))
    with pytest.raises(FileExistsError), second.writer("a/large") as writer:
        writer.write(b"x" * LARGE)
    assert first.read("a/large") == bytes(LARGE)
    assert paths(server, prefix) == ["a/large"]
    copies = [each for each in server.seen if "x-goog-copy-source" in each.headers]
    assert all(each.headers["x-goog-if-generation-match"] == "0" for each in copies)
    assert bool(copies) is (create == "require")


def test_of_two_writers_at_once_one_wins(store: str) -> None:
    """Where large objects are create-only too: each has sent all of it before either is seen."""
    from holdfast.plugins.registry import Registry

    outcomes: list[str] = []
    both = threading.Barrier(2)

    def write(content: bytes) -> None:
        try:
            with Registry().storage(store, {"create": "require"}).writer("a/large") as writer:
                writer.write(content * LARGE)
                both.wait()
        except FileExistsError:
            outcomes.append("refused")
        else:
            outcomes.append(content.decode())

    threads = [threading.Thread(target=write, args=(content,)) for content in (b"x", b"y")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert outcomes.count("refused") == 1
    (won,) = set(outcomes) - {"refused"}
    assert open_storage(store).read("a/large") == won.encode() * LARGE


def test_what_is_missing_and_what_is_refused_is_told_apart(
    store: str, source: str, server: GCSServer, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    nowhere = server.url(prefix, bucket="nowhere")
    for call in (lambda: holdfast.list_backups(nowhere), lambda: holdfast.backup(source, store=nowhere)):
        with pytest.raises(NotFoundError, match="there is no place nowhere in Google Cloud Storage"):
            call()
    with pytest.raises(NotFoundError, match="no store at"):
        holdfast.list_backups(store)
    holdfast.backup(source, store=store)
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", READER_TOKEN)
    assert len(holdfast.list_backups(store)) == 1
    assert all(result.passed for result in holdfast.verify(store=store))
    with pytest.raises(CredentialsError, match="Access denied"):
        holdfast.backup(source, store=store)
    monkeypatch.setenv("GOOGLE_BEARER_TOKEN", "s3cretOfSomebody")
    with pytest.raises(CredentialsError) as caught:
        holdfast.list_backups(store)
    assert "s3cretOfSomebody" not in f"{caught.value} {caught.value.hint}"
    with pytest.raises(UnreachableError):
        holdfast.list_backups("gs://first/x?endpoint=http://127.0.0.1:9")


def test_a_blob_that_goes_while_it_is_read_is_no_damage_of_another(
    store: str, source: str, server: GCSServer, prefix: str
) -> None:
    holdfast.backup(source, store=store)
    server.fault = once("GET", r"database\.sqlite", "404", times=100)
    (result,) = holdfast.verify(store=store)
    assert not result.passed
    server.fault = once("GET", r"database\.sqlite", "403", times=100)
    with pytest.raises(CredentialsError):
        holdfast.verify(store=store)


@pytest.mark.sweep(1)
@pytest.mark.parametrize("at", [r"partNumber=2", r"SHA256SUMS", r"backup_manifest"])
def test_a_run_that_is_killed_leaves_nothing_that_is_listed(
    store: str, source: str, server: GCSServer, at: str
) -> None:
    program = "import sys, holdfast; holdfast.backup(sys.argv[1], store=sys.argv[2])"
    process = subprocess.Popen([sys.executable, "-c", program, source, store], stderr=subprocess.DEVNULL)

    def kill(request: Request) -> str:
        if request.method == "PUT" and re.search(at, request.path) and process.poll() is None:
            process.kill()
            return "lost"
        return ""

    server.fault = kill
    assert process.wait(60) == -9
    server.fault = lambda _request: ""
    assert holdfast.list_backups(store) == []
    backup = holdfast.backup(source, store=store)
    assert [each.id for each in holdfast.list_backups(store)] == [backup.id]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_who_interrupts_does_not_wait_for_a_service_that_says_nothing(server: GCSServer, number: int) -> None:
    del server  # whose key is in the environment
    with socket.create_server(("127.0.0.1", 0)) as silent:
        program = "import sys; from holdfast.cli import main; main(sys.argv[1:])"
        store = f"gs://first/x?endpoint=http://127.0.0.1:{silent.getsockname()[1]}"
        command = [sys.executable, "-c", program, "list", "--store", store]
        with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process, silent.accept()[0]:
            process.send_signal(number)
            assert process.wait(20) in (130, 143)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("gs://user:secret@first/x", "holds a key"),
        ("gs://first/x?token=abc", "has the parameter token"),
        ("gs:///x", "names no place"),
        ("gs://Big_Bucket!/x", "no name of a bucket"),
        ("gs://first/a/../b", "control character"),
        ("gs://first/x?part_size=1K", "expected 5M to 1G"),
        ("gs://first/x?endpoint=localhost", "expected http://host:port"),
        ("gs://first/x?anonymous=yes", "expected true or false"),
        ("gs://first/x?ca=/none/there.pem", "which ca names"),
    ],
)
def test_a_url_that_cannot_be_meant_is_refused(url: str, message: str) -> None:
    with pytest.raises(UsageError, match=message) as caught:
        holdfast.list_backups(url)
    assert "secret" not in str(caught.value)
