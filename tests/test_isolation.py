"""Whatever a plugin does in whatever hook or method: no success without the work, and nobody else is blamed.

`make isolation` runs the long form, with every act at every point.
"""

import logging
import os
import re
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from types import FrameType
from typing import Any

import pytest
from support.alive import our_threads
from support.commandline import Shell
from support.distributions import write_distribution
from support.sabotage import STORE, TARGET, URL, World
from support.saboteur import ACTS, KINDS, MORE, Sabotage

import holdfast
from holdfast.api import hookimpl
from holdfast.errors import HoldfastError, cleanup_notes
from holdfast.operations.read import read
from holdfast.plugins import observing
from holdfast.plugins.registry import Registry
from holdfast.store.catalog import open_catalog
from holdfast.testing import MemoryStorage, memory_registry

LONG = os.environ.get("HOLDFAST_TEST_ISOLATION") == "long"


_NONE = ("skip", "none", "child")  # what is done there returns None: the engine makes none
# What is told otherwise than as a failure of the plugin, by the point and what is done there.
KNOWN = {
    ("storage.barrier", "skip"): "silent",  # nobody can tell what would survive a loss of power
    ("storage.writer.write", "skip"): "13:",
    **{(f"engine: {hook}", act): "2: unnamed" for hook in ("scratch", "databases") for act in _NONE},
}


class Operation:
    """An operation in a world with two backups: how it is run, and whether its work was done."""

    def __init__(self, run: Callable[[str, Registry], Any], done: Callable[[World, Registry, Any], bool]) -> None:
        self.run, self.done = run, done


def backed_up(world: World, sound: Registry, _: Any) -> bool:
    listed = holdfast.list_backups(STORE, registry=sound)
    checked = holdfast.verify(store=STORE, registry=sound, read_data=True)
    return len(listed) == 3 and all(result.passed for result in checked)


def read_stream(backup: str, registry: Registry) -> bytes:
    catalog = open_catalog(STORE, registry)
    entry, manifest = catalog.readable(backup)
    return b"".join(read(entry, manifest, "books", storage=catalog.storage, registry=registry))


OPERATIONS = {
    "backup": Operation(
        lambda _, registry: holdfast.backup(URL, store=STORE, codec="plain", registry=registry), backed_up
    ),
    "restore": Operation(
        lambda backup, registry: holdfast.restore(backup, TARGET, store=STORE, registry=registry),
        lambda world, *_: world.engine.content(TARGET) == world.engine.content(URL),
    ),
    "verify": Operation(
        lambda backup, registry: holdfast.verify(backup, store=STORE, registry=registry, read_data=True),
        lambda _, __, results: [result.passed for result in results] == [True],
    ),
    "drill": Operation(
        lambda backup, registry: holdfast.drill(backup, store=STORE, registry=registry),
        lambda _, __, result: result.state == "proven",
    ),
    "prune": Operation(
        lambda _, registry: holdfast.prune(STORE, keep_last=1, registry=registry),
        lambda _, sound, result: len(holdfast.list_backups(STORE, registry=sound)) == 1 or bool(result.failed),
    ),
    "list": Operation(
        lambda _, registry: holdfast.list_backups(STORE, registry=registry),
        lambda _, __, records: [record.state for record in records] == ["complete", "complete"],
    ),
    "delete": Operation(
        lambda backup, registry: holdfast.delete(backup, store=STORE, registry=registry),
        lambda _, sound, __: len(holdfast.list_backups(STORE, registry=sound)) == 1,
    ),
    "read": Operation(
        read_stream,
        lambda world, _, data: data == (world.engine.content(URL) or {})["books"],
    ),
    "databases": Operation(
        lambda _, registry: holdfast.list_databases("shelf://host", registry=registry),
        lambda _, __, urls: list(urls) == [URL],
    ),
}


class Store:
    """A world with two backups, put back after each trial."""

    def __init__(self) -> None:
        self.world = World()
        self.sound = self.world.registry()
        made = [holdfast.backup(URL, store=STORE, codec="plain", registry=self.sound).id for _ in range(2)]
        self.backup = made[0]
        self._kept = dict(self.world.storage.objects)

    def reset(self) -> None:
        self.world.storage.objects = dict(self._kept)
        self.world.storage.leases.clear()
        self.world.engine.contents.pop("copy", None)

    def points(self, operation: Operation, kind: str) -> list[str]:
        """Every point of an operation at which a plugin of that kind is called."""
        self.reset()
        sabotage = Sabotage()
        operation.run(self.backup, self.world.registry(sabotage, kind=kind))
        return sabotage.points

    def attempt(self, operation: Operation, kind: str, sabotage: Sabotage) -> tuple[str, Any]:
        """What was told, with a mark where it is no error of ours, and what came of it."""
        self.reset()
        try:
            return "", operation.run(self.backup, self.world.registry(sabotage, kind=kind))
        except HoldfastError as error:
            return f"{error.exit_code}: {error.message} ({error.hint})", None
        except BaseException as error:  # noqa: BLE001 (what is not expected is to be seen)
            return f"! {type(error).__name__}: {error}{cleanup_notes(error)}", None


@pytest.fixture(scope="module")
def store() -> Store:
    return Store()


def trials(name: str, points: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Which acts are tried at which points: all of them in the long form, and of those that come first in any case."""
    for number, point in enumerate(points):
        short = [*ACTS] if name in ("backup", "restore") else [[*ACTS][number % len(ACTS)]]
        yield from ((point, act) for act in ({**ACTS, **MORE} if LONG else short))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", OPERATIONS)
def test_no_fault_of_a_plugin_makes_a_success_or_blames_another(store: Store, name: str, kind: str) -> None:
    operation, wrong = OPERATIONS[name], []
    for point, act in trials(name, store.points(operation, kind)):
        told, result = store.attempt(operation, kind, Sabotage(point, {**ACTS, **MORE}[act]))
        blamed = set(re.findall(r"\w+-dist", told))
        expected = KNOWN.get((point, act)) or KNOWN.get((point, ""), "1: 14:")
        if not told and expected != "silent" and not operation.done(store.world, store.sound, result):
            wrong.append(f"{point}, {act}: success without the work: {result}")
        if told and told.partition(" ")[0] not in expected:
            wrong.append(f"{point}, {act}: {told}")
        if told and blamed != {f"{kind}-dist"} and "unnamed" not in expected:
            wrong.append(f"{point}, {act}: names {blamed or 'nobody'}: {told}")
        if store.world.storage.leases or any("drill" in name for name in store.world.engine.contents):
            wrong.append(f"{point}, {act}: leaves something behind")
    assert not wrong, "\n".join(wrong)


def test_a_drill_whose_engine_restores_nothing_says_nothing_of_the_backup(store: Store) -> None:
    told, _ = store.attempt(OPERATIONS["drill"], "engine", Sabotage("restore.commit", {**ACTS, **MORE}["skip"]))
    assert told.startswith("14: ")
    assert "engine-dist" in told
    states = {record.state for record in holdfast.list_backups(STORE, registry=store.sound)}
    assert states == {"complete"}


HANGING = [
    ("backup", "dump.read next"),
    ("backup", "codec.encode"),
    ("backup", "storage.writer.write"),
    ("backup", "storage.barrier"),
    ("restore", "restore.load"),
    ("restore", "restore.commit"),
    ("restore", "codec.decoder"),
    ("restore", "checksum: hook"),
    ("verify", "storage.read"),
    ("drill", "scratch.proof"),
    ("prune", "storage.delete"),
]


def hangs() -> list[tuple[str, str]]:
    """The calls that are tried: in the long form every one of every operation."""
    if not LONG:
        return HANGING
    store = Store()
    return [
        (name, point) for name in OPERATIONS for kind in KINDS for point in store.points(OPERATIONS[name], kind)
        if "components" not in point
    ]  # fmt: skip


@pytest.mark.parametrize(("name", "point"), hangs())
def test_a_signal_ends_a_run_whose_plugin_hangs(store: Store, name: str, point: str) -> None:
    """Also where the same call is made again to clean up: the handler of the command line ignores further signals."""
    kind = re.split(r"[.: ]", point)[0]
    kind = kind if kind in KINDS else "engine"
    freed, killed = threading.Event(), [0.0]

    def hang() -> None:
        freed.wait(20)

    sabotage = Sabotage(point, hang)

    def interrupt() -> None:
        assert sabotage.reached.wait(20)
        while not freed.wait(0.01):  # until it is handled: the first may come before the call that hangs
            killed[0] = killed[0] or time.monotonic()
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    def handle(_number: int, _frame: FrameType | None) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, handle)
    thread = threading.Thread(target=interrupt)
    thread.start()
    try:
        told, _ = store.attempt(OPERATIONS[name], kind, sabotage)
        assert re.match(rf"! KeyboardInterrupt:  while waiting for .* of \w+ '\w+' of {kind}-dist 1.0", told), told
        assert time.monotonic() - killed[0] < 5  # far from the 20 s of the hang; a second on an idle machine
    finally:
        freed.set()
        thread.join()
        signal.signal(signal.SIGINT, before)
    done = len(holdfast.list_backups(STORE, registry=store.sound)) > 2 or store.world.engine.content(TARGET) is not None
    assert not done or "all the same" in told or point.startswith("restore.commit")  # which hangs once it has worked


class Watching:
    """An observer of which a test says what it does."""

    def __init__(self, act: Callable[[], Any]) -> None:
        self.act, self.calls = act, 0

    @hookimpl
    def holdfast_observe(self) -> None:
        self.calls += 1
        self.act()


class Leaving:
    def __del__(self) -> None:
        raise SystemExit(0)


@pytest.mark.parametrize(
    "act", ["exit", "generator exit", "interrupt", "raise", "hang", "flood", "nested", "destructor"]
)
def test_an_observer_changes_nothing_and_is_named_once(
    act: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world, freed = World(), threading.Event()
    if act == "hang":
        monkeypatch.setattr(observing, "PATIENCE", 0.2)
    monkeypatch.setattr(sys, "unraisablehook", lambda _: None)  # it would only print what a destructor raises

    def nested() -> None:
        holdfast.list_backups(STORE, registry=registry)
        holdfast.backup(
            URL, store=MemoryStorage(), codec="none", registry=memory_registry(watching), engine=world.engine
        )

    acts = {
        **ACTS,
        **MORE,
        "hang": lambda: freed.wait(20),
        "flood": lambda: [logging.getLogger("flood").debug("x" * 1000) for _ in range(1000)],  # type: ignore[func-returns-value]
        "nested": nested,
        "destructor": lambda: Leaving() is None,
    }
    watching = Watching(acts[act])
    registry = world.registry()
    registry._manager.register(watching)
    with caplog.at_level(logging.WARNING, "holdfast"):
        holdfast.backup(URL, store=STORE, codec="plain", registry=registry)
    freed.set()
    for thread in our_threads():
        thread.join(10)
    assert our_threads() == set()
    named = [record.getMessage() for record in caplog.records if record.name == "holdfast.plugins"]
    assert len(named) == (act not in ("flood", "nested", "destructor"))
    assert watching.calls == 1 if act == "hang" else watching.calls > 2
    assert len(holdfast.list_backups(STORE, registry=world.registry())) == 1


def test_an_observer_that_hangs_holds_up_one_run_and_not_the_next_ones(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    world, freed = World(), threading.Event()
    monkeypatch.setattr(observing, "PATIENCE", 0.2)
    watching = Watching(lambda: freed.wait(20))
    registry = world.registry()
    registry._manager.register(watching)
    try:
        with caplog.at_level(logging.WARNING, "holdfast"):
            for _ in range(3):
                holdfast.backup(URL, store=STORE, codec="plain", registry=registry)
        assert watching.calls == 1
        assert len([each for each in caplog.records if each.name == "holdfast.plugins"]) == 1
    finally:
        freed.set()
        for thread in our_threads():
            thread.join(10)
    holdfast.backup(URL, store=STORE, codec="plain", registry=registry)
    assert watching.calls > 2, "it has returned, and is told again"


ENDING = """
    import sys
    from contextlib import contextmanager
    from holdfast.api import *

    if "import" == "{where}":
        sys.exit(0)


    def holdfast_components():
        if "components" == "{where}":
            sys.exit(0)
        return [Component(kind=Kind.ENGINE, name="leaving")]


    class Dump:
        streams = [Stream(name="x")]

        def read(self, stream):
            yield b"x"
            sys.exit(0)


    @contextmanager
    def dumping():
        yield Dump()


    def holdfast_dump(scheme, request):
        return dumping() if scheme == "leaving" else None


    def holdfast_observe(event):
        if "observer" == "{where}":
            sys.exit(0)
"""


@pytest.mark.parametrize("where", ["import", "components", "read", "observer"])
def test_a_plugin_that_exits_ends_no_command_as_if_all_were_well(shell: Shell, where: str) -> None:
    write_distribution(shell.folder / "plugins", "leaving-plugin", ENDING.format(where=where))
    env = {"PYTHONPATH": str(shell.folder / "plugins")}
    shell.fails(14, "backup", "leaving://x", env=env)
    if where != "read":
        assert shell.run("backup", "sqlite:///app.db", env=env).stdout.strip()
        assert len(shell.listing()) == 1
