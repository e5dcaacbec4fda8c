"""Watchers hear of every operation: what it did, and with one `failed` that it failed, from its first line on."""

import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast import Pipeline, drill, restore
from holdfast.api import DumpRequest, Event, EventType, Operation, hookimpl
from holdfast.cli import Terminated
from holdfast.cli import run as holdfast_command
from holdfast.defaults import installed
from holdfast.errors import HoldfastError, UnsafeError
from holdfast.legacy.importer import import_backups
from holdfast.operations.prune import prune
from holdfast.plugins.registry import Registry
from holdfast.policy import Policy
from holdfast.store.catalog import Catalog
from holdfast.store.entry import Entry
from holdfast.store.removal import remove_backup
from holdfast.testing import MemoryEngine, MemoryStorage, memory_registry
from holdfast.testing.memory import MemoryDump


class Observer:
    """A plugin that keeps every event."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    @hookimpl
    def holdfast_observe(self, event: Event) -> None:
        self.events.append(event)

    def told(self, *, progress: bool = False) -> list[tuple[str, str]]:
        return [
            (str(event.operation), str(event.type))
            for event in self.events
            if progress or event.type is not EventType.PROGRESS
        ]


@pytest.fixture
def observer() -> Observer:
    return Observer()


@pytest.fixture
def registry(observer: Observer) -> Registry:
    return Registry(plugins=[observer])


@pytest.fixture(autouse=True)
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A small database, in the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("HOLDFAST_DRILL_URL", raising=False)
    connection = sqlite3.connect("app.db")
    connection.execute("CREATE TABLE t(a)")
    connection.execute("INSERT INTO t VALUES (1)")
    connection.commit()
    connection.close()
    return "sqlite:///app.db"


def test_types_and_operations_are_equal_to_their_texts() -> None:
    types = ["preparing", "started", "progress", "stream", "warning", "finished", "failed"]
    assert [str(kind) for kind in EventType] == types
    operations = ["backup", "restore", "verify", "drill", "delete", "prune", "rename", "import", "copy", "undelete"]
    assert [str(kind) for kind in Operation] == operations
    assert "failed" in tuple(EventType)
    assert Operation("import") is Operation.IMPORT


def test_every_operation_tells_what_it_did(registry: Registry, observer: Observer, database: str) -> None:
    first = holdfast.backup(database, registry=registry)
    second = holdfast.backup(database, registry=registry)
    third = holdfast.backup(database, registry=registry)
    holdfast.restore(second, "sqlite:///copy.db", registry=registry)
    holdfast.verify(second, registry=registry)
    holdfast.drill(second, registry=registry)
    observer.events.clear()
    holdfast.delete(first, registry=registry)
    assert observer.told() == [("delete", "started"), ("delete", "finished")]
    assert observer.events[-1].detail == {"id": first.id, "name": "app", "stored_bytes": first.stored_bytes}
    observer.events.clear()
    events: list[Event] = []
    holdfast.prune(max_backups=1, allow_last=True, registry=registry, on_event=events.append)
    assert observer.events == events
    assert observer.told() == [
        ("prune", "started"),
        ("delete", "started"),
        ("delete", "finished"),
        ("prune", "finished"),
    ]
    assert [event.id for event in events] == ["", second.id, second.id, ""]
    assert (events[-1].detail["deleted"], events[-1].detail["kept"]) == ([second.id], [third.id])


@pytest.mark.parametrize("work", ["backup", "restore", "verify", "drill"])
def test_what_moves_bytes_tells_of_a_start_a_finish_and_progress(
    work: str, registry: Registry, observer: Observer, database: str
) -> None:
    record = holdfast.backup(database)
    calls: dict[str, Callable[[], object]] = {
        "backup": lambda: holdfast.backup(database, registry=registry),
        "restore": lambda: holdfast.restore(record, "sqlite:///copy.db", registry=registry),
        "verify": lambda: holdfast.verify(record, registry=registry),
        "drill": lambda: holdfast.drill(record, registry=registry),
    }
    calls[work]()
    told = [str(event.type) for event in observer.events]
    assert {str(event.operation) for event in observer.events} == {work}
    assert "preparing" not in told[told.index("started") :]
    kinds = [kind for kind in told if kind != "preparing"]
    assert (kinds[0], kinds[-1], kinds.count("started"), kinds.count("finished")) == ("started", "finished", 1, 1)
    assert "progress" in kinds
    known = observer.events[told.index("started") :]
    assert all(event.id and event.name == "app" for event in known)


class Slow(MemoryEngine):
    """An engine that has much to do before its streams are known, some of it in another thread."""

    @contextmanager
    def dump(self, request: DumpRequest) -> Iterator[MemoryDump]:
        request.report("waiting for a lock of memory://host/app")
        thread = threading.Thread(target=request.report, args=("counting rows with s3cret",))
        thread.start()
        thread.join()
        with super().dump(request) as session:
            yield session


def test_what_an_engine_is_at_before_its_streams_are_known_is_told() -> None:
    """In the thread of the run, without secrets, and not in a dry run."""
    events: list[Event] = []
    observer = Observer()
    parts: dict[str, Any] = {"store": MemoryStorage(), "engine": Slow(), "registry": memory_registry(observer)}
    holdfast.backup("memory://user:s3cret@host/app", on_event=events.append, codec="none", **parts)
    told = [(str(event.type), event.message) for event in events if event.type is not EventType.PROGRESS]
    assert told[:3] == [
        ("preparing", "waiting for a lock of memory://host/app"),
        ("preparing", "counting rows with ***"),
        ("started", ""),
    ]
    assert observer.events == events


def import_all(folder: str, registry: Registry) -> None:
    for result in import_backups(folder, registry=registry):
        if result.status == "failed":
            raise HoldfastError(result.message)


def import_missing(registry: Registry) -> None:
    old_system('{"backup_id": "a", "timestamp": 1}')
    import_all("old", registry)


def old_system(*entries: str) -> None:
    Path("old").mkdir()
    Path("old", "manifest.json").write_text(f"[{','.join(entries)}]")


def test_an_import_is_a_run_for_each_file(registry: Registry, observer: Observer) -> None:
    Path("app.db").rename("copy.db")
    old_system('{"backup_id": "a", "destination": "copy.db", "source": "app.db", "timestamp": 1}', '{"backup_id": "b"}')
    Path("copy.db").rename("old/copy.db")
    statuses = [result.status for result in import_backups("old", registry=registry)]
    assert statuses == ["imported", "failed"]
    assert observer.told() == [
        ("import", "started"),
        ("import", "stream"),
        ("import", "warning"),
        ("import", "finished"),
        ("import", "failed"),
    ]


# --- failures ---


def only_failure(observer: Observer, operation: str) -> Event:
    """The one event that tells of a failure, the last of all."""
    failed = [event for event in observer.events if event.type is EventType.FAILED]
    assert len(failed) == 1
    assert observer.events[-1] is failed[0]
    assert failed[0].operation == operation
    return failed[0]


def unwritable() -> str:
    Path("file").write_text("no folder")
    return "./file/store"


def damaged(record: Any) -> Any:
    Path(record.path, "SHA256SUMS").write_text("")
    assert not holdfast.verify(record)[0].passed
    return record


Calls = dict[str, tuple[str, str, Callable[[Registry], object]]]
URL, MISSING = "sqlite:///app.db", "sqlite:///none.db"
FAILURES: Calls = {
    "a missing database": ("backup", "UnreachableError", lambda r: holdfast.backup("sqlite:///none.db", registry=r)),
    "a malformed URL": ("backup", "UsageError", lambda r: holdfast.backup("nonsense", registry=r)),
    "an unknown engine": ("backup", "PluginError", lambda r: holdfast.backup("nosuch:///x", registry=r)),
    "an unknown codec": ("backup", "PluginError", lambda r: holdfast.backup(URL, codec="nosuch", registry=r)),
    "a bad level": ("backup", "UsageError", lambda r: holdfast.backup(URL, codec="gzip:99", registry=r)),
    "an unknown option": ("backup", "UsageError", lambda r: holdfast.backup(URL, options={"a": "b"}, registry=r)),
    "a bad number of jobs": ("backup", "UsageError", lambda r: holdfast.backup(URL, jobs=0, registry=r)),
    "an unwritable store": ("backup", "HoldfastError", lambda r: holdfast.backup(URL, store=unwritable(), registry=r)),
    "a pipeline": ("backup", "UsageError", lambda r: Pipeline(source=URL, options={"a": 1}, registry=r).run()),
    "a preview": ("backup", "UnreachableError", lambda r: Pipeline(source=MISSING, registry=r).preview()),
    "no store to restore": ("restore", "NotFoundError", lambda r: restore("latest", URL, store="no", registry=r)),
    "no backup to restore": ("restore", "NotFoundError", lambda r: restore("20200101T", URL, registry=r)),
    "no target": ("restore", "UsageError", lambda r: restore("latest", "", registry=r)),
    "a refused target": ("restore", "UnsafeError", lambda r: restore("latest", URL, registry=r)),
    "a damaged backup": (
        "restore",
        "IntegrityError",
        lambda r: restore(damaged(holdfast.backup(URL)), "sqlite:///copy.db", registry=r),
    ),
    "no store to verify": ("verify", "NotFoundError", lambda r: holdfast.verify(store="no", registry=r)),
    "no backup to verify": ("verify", "NotFoundError", lambda r: holdfast.verify("20200101T", registry=r)),
    "no store to drill": ("drill", "NotFoundError", lambda r: drill("latest", store="no", registry=r)),
    "no backup to drill": ("drill", "NotFoundError", lambda r: drill("20200101T", registry=r)),
    "a server of another kind": ("drill", "UsageError", lambda r: drill("latest", into="nosuch://x", registry=r)),
    "no store to prune": ("prune", "NotFoundError", lambda r: holdfast.prune("no", keep_last=1, registry=r)),
    "no source to prune": ("prune", "NotFoundError", lambda r: holdfast.prune(names=["web"], keep_last=1, registry=r)),
    "an empty policy": ("prune", "UsageError", lambda r: holdfast.prune(registry=r)),
    "a wrong policy": ("prune", "UsageError", lambda r: holdfast.prune(keep_last=-1, registry=r)),
    "no backup to delete": ("delete", "NotFoundError", lambda r: holdfast.delete("20200101T", registry=r)),
    "the last good backup": ("delete", "UnsafeError", lambda r: holdfast.delete("latest", registry=r)),
    "no name of a backup": ("delete", "UsageError", lambda r: holdfast.delete(7, registry=r)),  # type: ignore[arg-type]
    "no folder to import": ("import", "NotFoundError", lambda r: import_all("nowhere", r)),
    "a file that is not there": ("import", "NotFoundError", import_missing),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_failure_is_told_once_with_its_class_and_exit_code(case: str, registry: Registry, observer: Observer) -> None:
    operation, error, call = FAILURES[case]
    holdfast.backup(URL)
    with pytest.raises(HoldfastError) as caught:
        call(registry)
    failed = only_failure(observer, operation)
    assert (failed.detail["error"], failed.message) == (error, caught.value.message)
    if operation != "import":  # of a file, the result tells
        assert failed.detail["exit_code"] == caught.value.exit_code
        assert failed.detail["hint"] == caught.value.hint


def test_the_programs_own_watcher_hears_of_the_same_failures() -> None:
    events: list[Event] = []
    with pytest.raises(holdfast.UsageError):
        holdfast.backup("nonsense", on_event=events.append)
    assert [(event.type, event.id, event.name) for event in events] == [("failed", "", "")]
    events.clear()
    with pytest.raises(holdfast.NotFoundError):
        holdfast.drill("latest", on_event=events.append)
    assert [event.type for event in events] == ["failed"]


@pytest.mark.parametrize(
    ("interrupt", "name", "code"),
    [(KeyboardInterrupt, "KeyboardInterrupt", 130), (lambda: Terminated(signal.SIGTERM), "Terminated", 143)],
)
def test_a_signal_is_told_too(
    interrupt: Callable[[], BaseException], name: str, code: int, registry: Registry, observer: Observer
) -> None:
    def watch(event: Event) -> None:
        if event.type is EventType.STARTED:
            raise interrupt()

    with pytest.raises((KeyboardInterrupt, Terminated)):
        holdfast.backup(URL, registry=registry, on_event=watch)
    failed = only_failure(observer, "backup")
    assert (failed.detail["error"], failed.detail["exit_code"]) == (name, code)
    assert failed.id


def test_no_secret_is_told(registry: Registry, observer: Observer) -> None:
    with pytest.raises(HoldfastError):
        holdfast.backup("postgresql://me:hush%20hush@127.0.0.1:1/app?connect_timeout=1", registry=registry)
    failed = only_failure(observer, "backup")
    assert "hush" not in f"{failed}"


def test_a_dry_run_tells_of_its_failure_alone(registry: Registry, observer: Observer, database: str) -> None:
    record = holdfast.backup(database)
    holdfast.Pipeline(source=database, registry=registry).preview()
    prune(Policy(keep_last=1), store=None, registry=registry, dry_run=True)
    assert observer.events == []
    with pytest.raises(UnsafeError):
        holdfast.operations.restore.restore(
            holdfast.RestorePlan(backup=record.id, target=database), registry=registry, dry_run=True
        )
    assert only_failure(observer, "restore").detail["dry_run"] is True


def test_a_deletion_that_fails_is_told_and_the_prune_goes_on(
    registry: Registry, observer: Observer, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    records = [holdfast.backup(database) for _ in range(3)]

    def refuse(catalog: Catalog, entry: Entry, **more: Any) -> None:
        if entry.id == records[0].id:
            raise PermissionError(13, "no")
        remove_backup(catalog, entry, **more)

    monkeypatch.setattr("holdfast.operations.prune.removal.remove_backup", refuse)
    result = holdfast.prune(max_backups=1, registry=registry)
    assert [choice.id for choice in result.failed] == [records[0].id]
    (failed,) = [event for event in observer.events if event.type is EventType.FAILED]
    assert (failed.operation, failed.id) == ("delete", records[0].id)
    assert (observer.told()[-1], observer.events[-1].detail["failed"]) == (("prune", "finished"), [records[0].id])


@pytest.mark.parametrize("kind", [EventType.STARTED])
@pytest.mark.parametrize("error", [BrokenPipeError(32, "gone"), OSError(28, "full"), ValueError("bad")])
def test_a_watcher_that_fails_ends_a_prune_before_anything_is_deleted(
    kind: EventType, error: Exception, registry: Registry, database: str
) -> None:
    records = [holdfast.backup(database) for _ in range(3)]

    def fail(event: Event) -> None:
        if (event.operation, event.type) == (Operation.DELETE, kind):
            raise error

    with pytest.raises(HoldfastError, match="the watcher failed"):
        holdfast.prune(max_backups=1, registry=registry, on_event=fail)
    assert [record.id for record in holdfast.list_backups()] == [record.id for record in records]


def test_listing_databases_tells_of_no_backup(registry: Registry, observer: Observer, database: str) -> None:
    with pytest.raises(holdfast.UsageError):
        holdfast.list_databases(database, registry=registry)
    assert observer.events == []


# --- the command line ---


@pytest.fixture
def observed(observer: Observer, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> Iterator[Observer]:
    """The command line with a watching plugin installed."""
    monkeypatch.setattr("holdfast.defaults.installed", lambda: registry)
    yield observer
    installed.cache_clear()


@pytest.mark.parametrize(
    ("arguments", "operation", "code"),
    [
        (["backup", "nonsense"], "backup", 2),
        (["backup", "sqlite:///none.db", "--json"], "backup", 15),
        (["backup", URL, "-o", "=x"], "backup", 2),
        (["backup", URL, "--codec", "nosuch"], "backup", 14),
        (["backup", URL, "--all-databases"], "backup", 2),
        (["backup", "sqlite:///none.db", "-n"], "backup", 15),
        (["restore", "latest", "sqlite:///copy.db", "--store", "no"], "restore", 10),
        (["restore", "latest", URL], "restore", 16),
        (["verify", "--store", "no"], "verify", 10),
        (["verify", "20200101T"], "verify", 10),
        (["drill", "20200101T", "--json"], "drill", 10),
        (["drill", "latest", "-o", "=x"], "drill", 2),
        (["prune"], "prune", 2),
        (["prune", "--keep-last", "1", "--store", "no"], "prune", 10),
        (["delete", "latest", "--json"], "delete", 16),
        (["import", "nowhere", "--json"], "import", 10),
    ],
)
def test_a_command_that_fails_is_told_once_and_prints_one_error(
    arguments: list[str], operation: str, code: int, observed: Observer, capfd: pytest.CaptureFixture[str]
) -> None:
    holdfast.backup(URL, registry=Registry())
    assert holdfast_command(arguments) == code
    assert only_failure(observed, operation).detail["exit_code"] == code
    output = capfd.readouterr()
    assert output.err.count("error: ") == 1
    assert output.out.count('"type":"error"') == ("--json" in arguments)
    assert '"type":"failed"' not in output.out
