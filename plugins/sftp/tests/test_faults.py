"""Connections that break: in the middle of a read, of a write, and before the reply that says that all went well."""

import contextlib
import hashlib
import random
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from support.databases import dump, make_database
from support.servers.sshd import SSHServer
from support.servers.tcp_proxy import TCPProxy, running_tcp_proxy
from support.sweeps import swept

import holdfast
import holdfast_sftp.pool
from holdfast.errors import HoldfastError, LockedError, UnreachableError
from holdfast_sftp.location import Location
from holdfast_sftp.storage import SFTPStorage

DATA = random.Random(3).randbytes(6 << 20)


@pytest.fixture
def proxy(server: SSHServer) -> Iterator[TCPProxy]:
    with running_tcp_proxy(server.port) as running:
        yield running


@pytest.fixture
def url(server: SSHServer, proxy: TCPProxy, name: str) -> str:
    """A store behind the proxy."""
    return server.url(name, port=proxy.port)


@pytest.fixture
def storage(url: str) -> SFTPStorage:
    return SFTPStorage(Location.parse(url))


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return make_database(tmp_path / "app.db", noise=4 << 20)


def partials(folder: Path) -> list[Path]:
    return list(folder.rglob(".partial-*"))


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


POINTS = (3_000, 5_000, 9_000, 20_000, 1_000_000, 3_000_000)


@pytest.mark.parametrize("point", swept(5_000, 1_000_000, long=[point for point in POINTS if point % 1_000_000]))
def test_a_backup_goes_on_where_its_connection_breaks(
    server: SSHServer, proxy: TCPProxy, url: str, name: str, source: Path, point: int
) -> None:
    proxy.cut_up, proxy.cuts = point, 1
    backup = holdfast.backup(f"sqlite:///{source}", store=url)
    assert proxy.opened >= 2
    proxy.cut_up = None
    assert [each.id for each in holdfast.list_backups(store=url)] == [backup.id]
    (result,) = holdfast.verify(store=url, read_data=True)
    assert result.passed
    assert partials(server.folder / name) == []


def test_a_read_goes_on_at_the_byte(proxy: TCPProxy, url: str, source: Path, tmp_path: Path) -> None:
    backup = holdfast.backup(f"sqlite:///{source}", store=url)
    proxy.cut_down, proxy.cuts, proxy.opened = 2_000_000, 2, 0
    holdfast.restore(backup, f"sqlite:///{tmp_path}/new.db", store=url)
    assert proxy.opened >= 3
    assert dump(tmp_path / "new.db") == dump(source)


def test_a_write_goes_on_in_the_same_file(server: SSHServer, storage: SFTPStorage, proxy: TCPProxy, name: str) -> None:
    with storage.writer("a/b") as writer:
        for at in range(0, len(DATA), 1 << 20):
            writer.write(DATA[at : at + (1 << 20)])
            if at in (2 << 20, 4 << 20):
                proxy.cut()
    assert proxy.opened == 3
    assert hashlib.sha256(storage.read("a/b")).digest() == hashlib.sha256(DATA).digest()
    assert partials(server.folder / name) == []


def test_a_session_that_the_server_ends_is_begun_anew(server: SSHServer, storage: SFTPStorage) -> None:
    with storage.writer("a/b") as writer:
        writer.write(DATA)
        server.end_sessions()
    server.end_sessions()
    assert storage.stat("a/b").size == len(DATA)
    server.end_sessions()
    assert b"".join(storage.stream("a/b")) == DATA


def test_what_a_server_lost_that_was_started_anew_is_noticed(
    server: SSHServer, storage: SFTPStorage, proxy: TCPProxy, name: str
) -> None:
    folder = server.folder / name
    context = storage.writer("a/b")
    context.__enter__().write(DATA)
    wait_for(lambda: partials(folder) and partials(folder)[0].stat().st_size > 5 << 20)
    proxy.cut()
    with partials(folder)[0].open("r+b") as file:
        file.write(bytes(4096))
    with pytest.raises(HoldfastError, match="has lost what it had acknowledged"):
        context.__exit__(None, None, None)
    assert list(storage.list()) == []


@pytest.mark.parametrize("first", [True, False])  # later ones remove the temporary name without waiting
@pytest.mark.parametrize("whose", ["ours", "another's", "another's just now"])
def test_a_lost_reply_to_the_last_request_is_settled(
    server: SSHServer, storage: SFTPStorage, proxy: TCPProxy, name: str, whose: str, first: bool
) -> None:
    """What is there under the name is ours, or somebody else's who was quicker."""
    final = server.folder / name / "a" / "b"
    errors: list[type[Exception]] = []

    def finish() -> None:
        try:
            with storage.writer("a/b") as writer:
                writer.write(b"of ours")
                ready.set()
                go_on.wait()
        except Exception as error:  # noqa: BLE001 (compared below)
            errors.append(type(error))

    if not first:
        with storage.writer("a/a") as writer:
            writer.write(b"x")
    ready, go_on, muted = threading.Event(), threading.Event(), threading.Event()
    thread = threading.Thread(target=finish)
    original = storage._server.tree.publish

    def publish(*arguments: object) -> None:
        proxy.mute = whose != "another's"
        if whose != "ours":
            final.write_bytes(b"of another")
        if whose == "another's":
            proxy.cut()
        muted.set()
        original(*arguments)  # type: ignore[arg-type]

    storage._server.tree.publish = publish  # type: ignore[assignment, method-assign]
    thread.start()
    ready.wait()
    go_on.set()
    if whose != "another's":
        muted.wait()
        wait_for(lambda: final.exists() and (first or not partials(final.parent)))
        storage._server.tree.publish = original  # type: ignore[method-assign]
        proxy.mute = False
        proxy.cut()
    thread.join(20)
    assert errors == ([] if whose == "ours" else [FileExistsError])
    assert final.read_bytes() == (b"of ours" if whose == "ours" else b"of another")
    assert partials(server.folder / name) == []


def test_what_never_comes_back_is_given_up(
    storage: SFTPStorage, proxy: TCPProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    with storage.writer("a/b") as writer:
        writer.write(b"x")
    monkeypatch.setattr(holdfast_sftp.pool, "_PATIENCE", 1.0)
    proxy.hold = True
    proxy.cut()
    with pytest.raises(UnreachableError):
        storage.read("a/b")
    proxy.hold = False
    assert storage.read("a/b") == b"x"


def test_a_lease_that_cannot_be_renewed_is_lost(storage: SFTPStorage, proxy: TCPProxy) -> None:
    lease = storage.lease("name", 1.0)
    lease.__enter__()
    proxy.hold = True
    proxy.cut()
    time.sleep(1.2)
    with pytest.raises(LockedError, match="was lost"):
        storage.delete("a/b")
    with pytest.raises(LockedError, match="was lost"):
        lease.__exit__(None, None, None)
    proxy.hold = False


def test_objects_at_once_go_by_several_connections_if_the_server_lets_them(url: str, proxy: TCPProxy) -> None:
    for refused in (False, True):
        storage = SFTPStorage(Location.parse(f"{url}&connections=3"))
        assert list(storage.list("none")) == []  # by the first connection
        proxy.hold, proxy.opened = refused, 0
        with contextlib.ExitStack() as stack:
            writers = [stack.enter_context(storage.writer(f"{refused}/{number}")) for number in range(5)]
            for at in range(0, 1 << 20, 1 << 18):
                for writer in writers:
                    writer.write(DATA[at : at + (1 << 18)])
        assert proxy.opened == (0 if refused else 2)
        assert {stat.size for stat in storage.list(str(refused))} == {1 << 20}
        proxy.hold = False


def test_latency_is_paid_once_for_many_requests(storage: SFTPStorage, proxy: TCPProxy) -> None:
    with storage.writer("a/b") as writer:
        writer.write(DATA)
    for number in range(60):
        with storage.writer(f"many/{number}/x") as writer:
            writer.write(b"x")
    proxy.latency = 0.05
    began = time.monotonic()
    assert b"".join(storage.stream("a/b")) == DATA  # 24 requests
    assert len(list(storage.list())) == 61  # 62 folders
    storage.delete_many([f"many/{number}/x" for number in range(60)])
    assert time.monotonic() - began < 60 * 0.05 * 3  # one after another it were nine seconds
