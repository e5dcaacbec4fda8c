"""Restore: what could not be undone is told with the error that led there."""

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

import holdfast
from holdfast.api import Capability, Event, Facts, Operation
from holdfast.errors import HoldfastError, IntegrityError, PluginError, cleanup_notes
from holdfast.operations.backup import backup
from holdfast.operations.restore import RestoreResult, restore
from holdfast.plan import BackupPlan, RestorePlan
from holdfast.run import Run
from holdfast.setup import Parts
from holdfast.testing.memory import TARGET, URL, MemoryEngine, MemoryStorage, memory_registry

STREAMS = {"one": [b"hello"], "two": [b"world" * 100]}


class Boom(Exception):  # noqa: N818 (what a foreign part raises is called anything)
    pass


def stored(streams: Any = None, *, facts: Facts | None = None) -> MemoryStorage:
    storage = MemoryStorage()
    engine = MemoryEngine(streams=streams or STREAMS, facts=facts or Facts())
    parts = Parts(engine=engine, storage=storage)
    backup(BackupPlan(source=URL, codec="none"), registry=memory_registry(), parts=parts)
    return storage


def run(engine: MemoryEngine, storage: MemoryStorage | None = None, **more: Any) -> RestoreResult:
    given = {key: more.pop(key) for key in ("on_event", "dry_run", "codec") if key in more}
    plan = RestorePlan(**{"backup": "latest", "target": TARGET, **more})
    return restore(plan, registry=memory_registry(), storage=storage or stored(), engine=engine, **given)


class Leaving(MemoryEngine):
    """It fails in one of its calls, and then cannot undo what it did."""

    def __init__(self, *, failing: str, error: BaseException) -> None:
        super().__init__()
        self.failing, self.error = failing, error

    @contextmanager
    def restore(self, request: Any) -> Iterator[Any]:
        def fail(*_arguments: Any) -> None:
            raise self.error

        with super().restore(request) as session:
            setattr(session, self.failing, fail)
            yield session
        if "commit" not in self.trace:
            raise HoldfastError("table t is left behind", hint="drop it by hand")


@pytest.mark.parametrize(
    ("error", "told", "hint"),
    [
        (IntegrityError("bad", hint="try"), "bad; table t is left behind", "try; drop it by hand"),
        (Boom("load"), r"restore .* failed: Boom: load; table t is left behind \(drop it by hand\)", None),
        (OSError(28, "x"), r"restore .* failed: no space .*; table t is left behind \(drop it by hand\)", None),
    ],
)
@pytest.mark.parametrize("place", ["load", "commit"])
def test_what_a_failed_restore_left_behind_is_told_with_its_error(
    error: Exception, told: str, hint: str | None, place: str
) -> None:
    events: list[Event] = []
    with pytest.raises(HoldfastError, match=f"^{told}$") as caught:
        run(Leaving(failing=place, error=copy.copy(error)), on_event=events.append)
    assert caught.value.hint == hint
    assert caught.value.exit_code == (13 if isinstance(error, IntegrityError) else 1)
    assert "table t is left behind" in events[-1].message


def test_what_an_interrupted_restore_left_behind_is_told() -> None:
    events: list[Event] = []
    with pytest.raises(KeyboardInterrupt) as caught:
        run(Leaving(failing="commit", error=KeyboardInterrupt()), on_event=events.append)
    assert cleanup_notes(caught.value) == "; table t is left behind (drop it by hand)"
    assert events[-1].message == "interrupted; table t is left behind (drop it by hand)"


def test_an_interrupt_that_an_engine_raises_in_a_thread_is_its_failure() -> None:
    """Signals are handled in the main thread alone."""
    events: list[Event] = []
    with pytest.raises(PluginError, match="it ended by KeyboardInterrupt; table t is left behind"):
        run(Leaving(failing="load", error=KeyboardInterrupt()), on_event=events.append)
    assert "table t is left behind" in events[-1].message


def test_an_engine_that_begins_with_the_failure_is_not_repeated() -> None:
    error = IntegrityError("table t")
    with pytest.raises(IntegrityError, match=r"^table t is left behind$"):
        run(Leaving(failing="load", error=error))


def test_what_ends_a_restore_after_its_commit_says_that_the_target_is_restored() -> None:
    for error in (HoldfastError("the lease cannot be given back"), KeyboardInterrupt()):
        run = Run(Operation.RESTORE, registry=memory_registry())
        run.settled = "memory://host/copy is restored all the same"
        with pytest.raises(type(error)) as caught, run:
            raise error
        told = f"{caught.value}{getattr(caught.value, '__notes__', '')}"
        assert told.count("is restored all the same") == 1


@pytest.mark.parametrize("damaged", [True, False])
def test_an_engine_that_stumbles_over_damaged_bytes_is_not_blamed_for_it(damaged: bool) -> None:
    """Whatever it raises where it takes them apart comes before their digest is known, which only their end tells."""
    storage = stored({"data": [b"1\n2\n"]})
    if damaged:
        (path,) = (path for path in storage.objects if path.endswith(".txt"))
        storage.objects[path] = b"1\nx\n"
    engine = MemoryEngine(capabilities=frozenset({Capability.ATOMIC_RESTORE}))
    engine.on_load = lambda piece: [int(line, base=10 if damaged else 2) for line in bytes(piece).split()]
    with pytest.raises(IntegrityError if damaged else HoldfastError) as caught:
        holdfast.restore("latest", TARGET, store=storage, registry=memory_registry(engine=engine))
    told = "blob data.txt is not what was stored: its sha256 differs" if damaged else "failed in load(): ValueError"
    assert told in caught.value.message
    assert engine.content(TARGET) is None
