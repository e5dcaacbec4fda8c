"""The contract of a plugin that observes runs, as tests."""

import copy
import logging
import sys
import threading
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.api import Capability, Event, EventType, Operation
from holdfast.plugins.registry import Registry
from holdfast.testing.contract import Configured, states
from holdfast.testing.memory import TARGET, URL, MemoryEngine, MemoryStorage, memory_registry
from holdfast.testing.process_state import process_state

_DETAIL = {"error": "UnreachableError", "exit_code": 15, "hint": None, "some": ["nested", {"data": 1}]}

# What names and messages may hold: signs of patterns, several lines, and a file name that is no UTF-8.
_ODD = "100 % of {orders}\n%s caf\udce9 \N{SNOWMAN}"


class ObserverSuite(Configured):
    """Override `plugin`: what the entry point names, with a hook `holdfast_observe`."""

    seconds: float = 0.01  #: seconds that an event may take on average

    @pytest.fixture
    def plugin(self) -> Any:
        """The plugin under test: a module, a class or an object."""
        raise NotImplementedError("override the fixture `plugin`")

    @pytest.fixture
    def registry(self, plugin: Any) -> Registry:
        """A registry of the plugin and of an engine and a storage in memory."""
        engine = MemoryEngine(capabilities=frozenset({Capability.PROOF}))
        return memory_registry(plugin, engine=engine)

    def events(self) -> list[Event]:
        """One event of each type and operation, with and without what may be missing."""
        now = datetime.now(UTC)
        return [
            replace(event, detail=copy.deepcopy(detail))
            for operation in Operation
            for kind in EventType
            for event in (
                Event(type=kind, operation=operation, id="", time=now),
                Event(type=kind, operation=operation, id="", time=now, name=_ODD, stream=_ODD, message=_ODD),
                Event(type=kind, operation=operation, id="20261129T000000Z-abc123", time=now, name="app",
                      stream="data/public.orders", done=10, total=20, message="what was told"),
            )
            for detail in ({}, _DETAIL)
        ]  # fmt: skip

    def observe(self, registry: Registry, *events: Event) -> None:
        """Tell events, and have the test fail on what the plugin raises."""
        failures = _Failures()
        log = logging.getLogger("holdfast.plugins")
        log.addHandler(failures)
        try:
            for event in events:
                registry.observe(event)
        finally:
            log.removeHandler(failures)
        if failures.errors:
            raise failures.errors[0]

    @states("observer 1")
    def test_every_event_of_every_operation_is_taken(self, registry: Registry) -> None:
        """Also those of a run that failed before anything was known."""
        self.observe(registry, *self.events())

    @states("observer 1")
    def test_real_runs_are_observed(self, registry: Registry) -> None:
        """A backup, a check, a restore, a drill, and one of each that fails."""
        failures = _Failures()
        log = logging.getLogger("holdfast.plugins")
        log.addHandler(failures)
        try:
            parts: dict[str, Any] = {"store": MemoryStorage(), "registry": registry}
            record = holdfast.backup(URL, codec="none", **parts)
            holdfast.verify(record.id, **parts)
            holdfast.restore(record.id, TARGET, **parts)
            holdfast.drill(record.id, **parts)
            with pytest.raises(holdfast.HoldfastError):
                holdfast.backup("memory://host/missing", codec="none", **parts)
            with pytest.raises(holdfast.HoldfastError):
                holdfast.restore(record.id, TARGET, **parts)
            holdfast.delete(record.id, allow_last=True, **parts)
        finally:
            log.removeHandler(failures)
        if failures.errors:
            raise failures.errors[0]

    @states("observer 2")
    def test_what_it_does_not_know_is_ignored(self, registry: Registry) -> None:
        """Further types, operations and details may come with any version."""
        for event in self.events()[:: len(Operation)]:
            unknown: Any = replace(event, type="whistle", operation="juggle", detail={"balls": 5})  # type: ignore[arg-type]
            self.observe(registry, unknown, replace(event, type="whistle"), replace(event, operation="juggle"))  # type: ignore[arg-type]

    @states("observer 3")
    def test_an_event_stays_as_it_is(self, registry: Registry) -> None:
        """Others get the same one."""
        events = self.events()
        before = copy.deepcopy(events)
        self.observe(registry, *events)
        assert events == before

    @states("observer 4")
    def test_runs_in_several_threads_are_observed(self, registry: Registry) -> None:
        """Each with its own events, which come in between each other; a run may begin before another ends."""
        events = self.events()
        errors: list[BaseException] = []

        def work(number: int) -> None:
            try:
                for event in events:
                    self.observe(registry, replace(event, id=event.id and f"20261129T000000Z-abc12{number}"))
            except BaseException as error:  # noqa: BLE001 (raised below)
                errors.append(error)

        threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert errors == []

    @states("observer 5")
    def test_it_is_quick(self, registry: Registry) -> None:
        """It runs in the thread that runs the operation, which waits for it."""
        events = self.events()
        began = time.monotonic()
        self.observe(registry, *events)
        assert (time.monotonic() - began) / len(events) <= self.seconds

    @states("observer 6")
    def test_it_writes_nothing_to_standard_output(self, registry: Registry, capfd: pytest.CaptureFixture[str]) -> None:
        """What stands there is data for programs."""
        self.observe(registry, *self.events())
        assert capfd.readouterr().out == ""

    @states("observer 7")
    def test_it_keeps_no_program_from_ending(self, registry: Registry) -> None:
        """Threads of its own are daemons."""
        before = set(threading.enumerate())
        self.observe(registry, *self.events())
        assert [thread.name for thread in set(threading.enumerate()) - before if not thread.daemon] == []

    @states("observer 8")
    def test_it_leaves_the_program_as_it_is(self, registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
        """Signals, folder, environment, the root logger, hooks and standard streams are not its own."""
        monkeypatch.chdir(Path.cwd())  # what is changed is put back after the test
        monkeypatch.setattr(sys, "excepthook", sys.excepthook)
        before, root = process_state(), logging.getLogger()
        level, handlers = root.level, [*root.handlers]
        self.observe(registry, *self.events())
        after = process_state()
        root.setLevel(level)
        root.handlers[:] = handlers
        assert [name for name, value in after.items() if value != before[name]] == []


class _Failures(logging.Handler):
    """Keeps what observers raised, which the registry only logs."""

    def __init__(self) -> None:
        super().__init__()
        self.errors: list[BaseException] = []
        self._thread = threading.get_ident()

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and record.exc_info[1] and record.thread == self._thread:
            self.errors.append(record.exc_info[1])
