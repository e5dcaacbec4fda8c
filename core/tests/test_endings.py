"""A plugin that ends the program is a failure of it, with its name; the handler of a signal is obeyed."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from types import FrameType, ModuleType
from typing import Any

import pytest

from holdfast.api import Component, DumpRequest, Event, Kind, hookimpl
from holdfast.endings import is_meant
from holdfast.errors import HoldfastError, PluginError
from holdfast.operations.backup import backup
from holdfast.plan import BackupPlan
from holdfast.plugins.builtin import NoCodec
from holdfast.plugins.registry import Registry
from holdfast.setup import Parts
from holdfast.store.catalog import Catalog
from holdfast.testing.memory import URL, MemoryEngine, MemoryStorage, memory_registry

ENDINGS = [SystemExit(0), GeneratorExit(), KeyboardInterrupt()]


def run(storage: MemoryStorage, engine: MemoryEngine, *, codec: Any = None, registry: Registry | None = None) -> None:
    parts = Parts(engine=engine, storage=storage, codec=codec or NoCodec())
    backup(BackupPlan(source=URL), registry=registry or memory_registry(engine=engine), parts=parts)


def reading(act: Any) -> MemoryEngine:
    def chunks() -> Iterator[bytes]:
        yield b"row"
        act()

    return MemoryEngine(streams={"rows": chunks})


def raises(error: BaseException) -> Any:
    def act() -> None:
        raise error

    return act


@pytest.mark.parametrize("error", ENDINGS, ids=lambda error: type(error).__name__)
def test_a_reader_that_ends_the_program_is_a_failure(error: BaseException) -> None:
    storage = MemoryStorage()
    with pytest.raises(HoldfastError, match=type(error).__name__):
        run(storage, reading(raises(error)))
    assert not Catalog(storage).listing().entries


@pytest.mark.parametrize("error", ENDINGS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("where", ["encode", "decoder"])
def test_a_codec_that_ends_the_program_is_a_failure(error: BaseException, where: str) -> None:
    storage, codec = MemoryStorage(), NoCodec()
    setattr(codec, where, lambda *_: raises(error)())
    with pytest.raises(HoldfastError, match=type(error).__name__):
        run(storage, MemoryEngine(), codec=codec)
    assert not Catalog(storage).listing().entries


@pytest.mark.parametrize("error", [SystemExit(0), GeneratorExit()], ids=lambda error: type(error).__name__)
def test_a_hook_that_ends_the_program_is_named(error: BaseException) -> None:
    class Leaving:
        @hookimpl
        def holdfast_components(self) -> list[Component]:
            return [Component(kind=Kind.CODEC, name="leaving")]

        @hookimpl
        def holdfast_compress(self, codec: str) -> Any:
            if codec == "leaving":
                raise error

    registry = Registry(plugins=[Leaving()], discover=False, environ={})
    with pytest.raises(PluginError, match=f"codec 'leaving' of Leaving-0 failed: it ended by {type(error).__name__}"):
        registry.codec("leaving")


@pytest.mark.parametrize("error", [SystemExit(0), GeneratorExit()], ids=lambda error: type(error).__name__)
def test_a_plugin_that_ends_the_program_as_it_lists_its_components_is_refused(error: BaseException) -> None:
    class Leaving:
        @hookimpl
        def holdfast_components(self) -> list[Component]:
            raise error

    (plugin,) = [
        plugin for plugin in Registry(plugins=[Leaving()], discover=False, environ={}).plugins if plugin.version == ""
    ]
    assert (plugin.status, type(error).__name__ in plugin.reason) == ("refused", True)


@pytest.mark.parametrize("error", [SystemExit(0), GeneratorExit()], ids=lambda error: type(error).__name__)
def test_an_observer_that_ends_the_program_disturbs_nothing(
    error: BaseException, caplog: pytest.LogCaptureFixture
) -> None:
    class Watching:
        @hookimpl
        def holdfast_observe(self, event: Event) -> None:
            raise error

    storage, engine = MemoryStorage(), MemoryEngine()
    run(storage, engine, registry=memory_registry(Watching(), engine=engine))
    assert len(Catalog(storage).listing().entries) == 1
    assert "failed to observe" in caplog.text


def test_the_handler_of_a_signal_may_end_the_program() -> None:
    def handle(_number: int, _frame: FrameType | None) -> None:
        sys.exit(7)

    before = signal.signal(signal.SIGUSR2, handle)
    try:
        storage = MemoryStorage()
        storage.barrier = lambda: os.kill(os.getpid(), signal.SIGUSR2)  # type: ignore[method-assign]
        with pytest.raises(SystemExit) as caught:
            run(storage, MemoryEngine())
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert caught.value.code == 7


def test_ctrl_c_whose_way_a_library_has_thrown_away_is_no_failure_of_the_plugin() -> None:
    """As psycopg raises it: nothing tells it from a plugin's own then, and taking Ctrl-C for a failure is worse."""

    class Waiting(MemoryEngine):
        def dump(self, request: DumpRequest) -> Any:
            try:
                signal.raise_signal(signal.SIGINT)
            except KeyboardInterrupt as error:
                raise error.with_traceback(None) from None
            return super().dump(request)

    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    storage = MemoryStorage()
    try:
        with pytest.raises(KeyboardInterrupt):
            backup(
                BackupPlan(source=URL),
                registry=memory_registry(engine=Waiting()),
                parts=Parts(storage=storage, codec=NoCodec()),
            )
    finally:
        signal.signal(signal.SIGINT, before)
    assert not Catalog(storage).listing().entries


class SoftTimeLimit(Exception):  # noqa: N818 (as Celery, RQ and others have them)
    """What the handler of a signal raises where a task has taken too long."""


def _store(storage: MemoryStorage) -> MemoryEngine:
    storage.barrier = raise_signal  # type: ignore[method-assign]
    return MemoryEngine()


def _open(_storage: MemoryStorage) -> MemoryEngine:
    class Slow(MemoryEngine):
        def dump(self, request: DumpRequest) -> Any:
            try:
                raise_signal()
            except OSError as error:
                raise HoldfastError(f"the server does not answer: {error}") from error
            return super().dump(request)

    return Slow()


def _read(_storage: MemoryStorage) -> MemoryEngine:
    """In the thread that waits for the reader."""
    return reading(raise_signal)


def raise_signal() -> None:
    os.kill(os.getpid(), signal.SIGUSR2)


@pytest.mark.parametrize("limit", [SoftTimeLimit, TimeoutError])
@pytest.mark.parametrize("where", [_store, _open, _read])
def test_a_time_limit_that_a_signal_brings_is_what_its_program_catches(limit: type[Exception], where: Any) -> None:
    def handle(_number: int, _frame: FrameType | None) -> None:
        raise limit

    before = signal.signal(signal.SIGUSR2, handle)
    storage = MemoryStorage()
    try:
        with pytest.raises(limit):
            run(storage, where(storage))
    finally:
        signal.signal(signal.SIGUSR2, before)
    assert not Catalog(storage).listing().entries


def library(name: str, text: str) -> ModuleType:
    module = ModuleType(name)
    exec(text, vars(module))
    return module


# In a process of its own: CPython 3.11 throws into the state that a thread leaves behind which could not be started.
_LIMITED = """
import ctypes, sys, threading
from holdfast.operations.backup import backup
from holdfast.plan import BackupPlan
from holdfast.plugins.builtin import NoCodec
from holdfast.setup import Parts
from holdfast.store.catalog import Catalog
from holdfast.testing.memory import URL, MemoryEngine, MemoryStorage, memory_registry

def wait_until_thrown(limit):
    # As RQ's TimerDeathPenalty does.
    target = ctypes.c_ulong(threading.get_ident())
    throw = ctypes.pythonapi.PyThreadState_SetAsyncExc
    for _ in range(50):  # what is thrown into a finalizer, as of a search for garbage, is lost
        threading.Timer(0.05, throw, [target, ctypes.py_object(limit)]).start()
        for _ in range(20):
            threading.Event().wait(0.01)

def main(limit):
    engine, storage = MemoryEngine(), MemoryStorage()
    setattr({"dump": engine, "barrier": storage}[sys.argv[1]], sys.argv[1], lambda *_: wait_until_thrown(limit))
    try:
        parts = Parts(engine=engine, storage=storage, codec=NoCodec())
        backup(BackupPlan(source=URL), registry=memory_registry(engine=engine), parts=parts)
    except limit:
        print("caught", len(Catalog(storage).listing().entries))

# No module of this program knows the class: it is of the library that throws.
main(type("JobTimeoutError", (Exception,), {"__module__": "taskqueue.timeouts"}))
"""


@pytest.mark.parametrize("where", ["dump", "barrier"])
def test_a_time_limit_that_another_thread_throws_is_what_its_program_catches(where: str) -> None:
    command = [sys.executable, "-c", _LIMITED, where]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stdout) == (0, "caught 0\n"), done.stderr


def test_what_a_driver_in_c_raises_is_a_failure_though_its_class_is_written_in_python() -> None:
    """As of mysqlclient: there is no `raise` in any frame, but the plugin has imported what the class is of."""
    driver = library("driver", "class DriverError(Exception): pass")
    plugin = library("plugin", "import ctypes\ndef act(): ctypes.pythonapi.PyErr_SetNone(ctypes.py_object(error))")
    vars(plugin).update(driver=driver, error=driver.DriverError)
    with pytest.raises(driver.DriverError) as caught:
        plugin.act()
    assert not is_meant(caught.value)
    with pytest.raises(HoldfastError, match="KeyError"):  # of the language itself
        run(MemoryStorage(), reading(lambda: vars(driver)["none"]))
