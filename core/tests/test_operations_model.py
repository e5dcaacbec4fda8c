"""Whatever happens to a store, no source loses its last good or proven backup, a pinned one, or one in use.

Hypothesis chooses what happens: backups of databases of one path on two hosts, with clocks that go back; damage,
checks, pins, renames, prunes and deletions, and each of them killed at any of its steps, `HOLDFAST_MODEL_STEPS` in all.
"""

import contextlib
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from holdfast.api import Capability, DumpRequest, Source
from holdfast.errors import HoldfastError, LockedError, UnsafeError
from holdfast.operations.backup import backup
from holdfast.operations.delete import delete
from holdfast.operations.prune import prune
from holdfast.operations.rename import rename
from holdfast.plan import BackupPlan
from holdfast.policy import Policy
from holdfast.scratch import sweep
from holdfast.setup import Parts
from holdfast.store import findings, labels
from holdfast.store.catalog import Catalog
from holdfast.store.entry import Entry
from holdfast.store.findings import Depth, State
from holdfast.store.folder import FolderStorage
from holdfast.store.labels import Act
from holdfast.store.readers import reading
from holdfast.testing.memory import URL, MemoryDump, MemoryEngine, memory_registry

_EACH = 50  # steps of an example
_STEPS = int(os.environ.get("HOLDFAST_MODEL_STEPS", "500"))
_BEGIN = datetime(2026, 11, 1, tzinfo=UTC)
HOSTS, PATHS, NAMES = ("one", "two"), ("/srv/app.db", "/var/app.db"), ("app", "shop", "store", "app-two")

Key = tuple[str, str]


class FileEngine(MemoryEngine):
    """An engine whose databases are files of a host."""

    @contextmanager
    def dump(self, request: DumpRequest) -> Iterator[MemoryDump]:
        """Open a dump of a file at `identity`."""
        with super().dump(request) as session:
            session.source = Source(name="app", identity=self.identity, local=True)
            yield session


@dataclass
class Known:
    """What is known of a backup besides what the store says."""

    source: Key
    at: datetime
    good: bool = True
    proven: bool = False
    pinned: bool = False


def _policy(rules: dict[str, Any]) -> Policy:
    return Policy(**rules)


def policies() -> st.SearchStrategy[Policy]:
    numbers = st.one_of(st.none(), st.integers(1, 3))
    maxima = {
        "max_backups": st.one_of(st.none(), st.integers(0, 3)),
        "max_age_days": st.one_of(st.none(), st.integers(0, 5)),
    }
    rules = st.fixed_dictionaries({**maxima, "keep_last": numbers, "keep_daily": numbers, "keep_weekly": numbers})
    return rules.map(_policy).filter(lambda policy: not policy.empty)


class Operations(RuleBasedStateMachine):
    """A store, and what has been done to it."""

    def __init__(self) -> None:
        super().__init__()
        self.folder = Path(tempfile.mkdtemp())
        self.storage = FolderStorage(str(self.folder / "store"))
        self.registry = memory_registry()
        self.known: dict[str, Known] = {}
        self.now = _BEGIN
        self.readers = ExitStack()
        self.being_read: set[str] = set()
        self.make(HOSTS[0], PATHS[0])

    def teardown(self) -> None:
        self.readers.close()
        shutil.rmtree(self.folder)
        sweep(os.environ["TMPDIR"])  # the next run removes what a killed one left; here the last may be killed

    # --- what there is ---

    def entries(self) -> dict[str, Entry]:
        return {entry.id: entry for entry in Catalog(FolderStorage(self.storage.root)).listing().entries}

    def protected(self) -> set[str]:
        """What no prune may delete."""
        kept = {key for key, known in self.known.items() if known.pinned or key in self.being_read}
        for source in {known.source for known in self.known.values()}:
            good = [key for key, known in self.known.items() if known.source == source and known.good]
            for group in (good, [key for key in good if self.known[key].proven]):
                kept |= {max(group, key=lambda key: (self.known[key].at, key))} if group else set()
        return kept

    def settle(self, kept: set[str], source: Key | None = None) -> None:
        """Take over what the store holds now; what is gone was none of `kept`, what is new is of `source`."""
        there = self.entries()
        assert kept <= there.keys(), f"lost {kept - there.keys()}"
        self.known = {key: known for key, known in self.known.items() if key in there}
        for key in there.keys() - self.known.keys():
            assert source is not None
            self.known[key] = Known(source=source, at=there[key].created_at)

    def choose(self, number: int) -> str:
        keys = sorted(self.known)
        return keys[number % len(keys)]

    # --- what happens ---

    def make(self, host: str, path: str) -> None:
        engine = FileEngine(identity=path, capabilities=frozenset({Capability.PROOF}))
        self.now += timedelta(microseconds=123_457)
        plan = BackupPlan(source=URL, codec="none", host=host)
        backup(plan, registry=self.registry, parts=Parts(engine=engine, storage=self.storage), at=self.now)
        self.settle(self.known.keys() | set(), (host, path))

    def killed(self, moment: int, action: Callable[[], object]) -> None:
        """Do it in a process that is killed at its `moment`-th step that touches the system."""
        if process := os.fork():
            os.waitpid(process, 0)
            return
        steps = iter(range(moment))

        def hook(event: str, _arguments: Any) -> None:
            counted = event.startswith(("open", "os.", "fcntl.", "shutil.")) and event != "os.kill"
            if counted and next(steps, None) is None:
                os.kill(os.getpid(), signal.SIGKILL)

        try:
            sys.addaudithook(hook)
            with contextlib.suppress(HoldfastError):
                action()
        finally:
            os._exit(0)

    @rule(host=st.sampled_from(HOSTS), path=st.sampled_from(PATHS))
    def back_up(self, host: str, path: str) -> None:
        self.make(host, path)

    @rule(hours=st.integers(-60, 90))
    def turn_the_clock(self, hours: int) -> None:
        self.now = max(self.now + timedelta(hours=hours), _BEGIN)

    @rule(host=st.sampled_from(HOSTS), path=st.sampled_from(PATHS), moment=st.integers(1, 90))
    def back_up_and_be_killed(self, host: str, path: str, moment: int) -> None:
        self.killed(moment, lambda: self.make(host, path))
        self.now += timedelta(microseconds=123_457)
        self.settle(set(self.known), (host, path))

    @precondition(lambda self: self.known)
    @rule(number=st.integers(0, 99), kind=st.sampled_from(("blob", "manifest", "check")))
    def damage(self, number: int, kind: str) -> None:
        key = self.choose(number)
        folder = self.entries()[key].folder
        if kind == "check":
            findings.record(self.storage, folder, depth=Depth.DRILL, problems=["differs"], detail={})
        else:
            path = self.folder / "store" / folder / {"blob": "data.txt", "manifest": "backup_manifest.json"}[kind]
            path.write_bytes(path.read_bytes()[:3])
        self.known[key].good = self.known[key].proven = False
        if kind == "manifest":
            self.known[key].at = self.entries()[key].created_at

    @precondition(lambda self: self.known)
    @rule(number=st.integers(0, 99))
    def prove(self, number: int) -> None:
        key = self.choose(number)
        if self.known[key].good:
            findings.record(self.storage, self.entries()[key].folder, depth=Depth.DRILL, problems=[], detail={})
            self.known[key].proven = True

    @precondition(lambda self: self.known)
    @rule(number=st.integers(0, 99), pinned=st.booleans())
    def pin(self, number: int, pinned: bool) -> None:
        key = self.choose(number)
        labels.record(self.storage, self.entries()[key].folder, Act.PIN if pinned else Act.UNPIN)
        self.known[key].pinned = pinned

    @precondition(lambda self: self.known)
    @rule(number=st.integers(0, 99))
    def begin_to_read(self, number: int) -> None:
        key = self.choose(number)
        self.readers.enter_context(reading(self.storage, self.entries()[key]))
        self.being_read.add(key)

    @rule()
    def end_reading(self) -> None:
        self.readers.close()
        self.being_read.clear()

    @rule(policy=policies(), moment=st.one_of(st.none(), st.integers(1, 200)))
    def prune(self, policy: Policy, moment: int | None) -> None:
        kept = self.protected()

        def act() -> None:
            prune(policy, store=self.storage, registry=self.registry, now=self.now)

        act() if moment is None else self.killed(moment, act)
        self.settle(kept)

    @precondition(lambda self: self.known)
    @rule(number=st.integers(0, 99), moment=st.one_of(st.none(), st.integers(1, 60)))
    def delete(self, number: int, moment: int | None) -> None:
        key, kept = self.choose(number), self.protected()

        def act() -> None:
            delete(key, store=self.storage, registry=self.registry)

        if moment is not None:
            self.killed(moment, act)
        else:
            with contextlib.suppress(UnsafeError, LockedError):
                act()
        self.settle(kept | set(self.known) - {key})

    @rule(number=st.integers(0, 99), new=st.sampled_from(NAMES), moment=st.one_of(st.none(), st.integers(1, 60)))
    def rename(self, number: int, new: str, moment: int | None) -> None:
        names = sorted({entry.name for entry in self.entries().values()}) or ["app"]
        old = names[number % len(names)]

        def act() -> None:
            rename(old, new, store=self.storage, registry=self.registry)

        if moment is not None:
            self.killed(moment, act)
        else:
            with contextlib.suppress(HoldfastError):
                act()
        self.settle(set(self.known))

    # --- what holds ---

    @invariant()
    def everything_is_as_it_should_be(self) -> None:
        there = self.entries()
        assert there.keys() == self.known.keys()
        names: dict[str, set[Key]] = {}
        for key, entry in there.items():
            known = self.known[key]
            names.setdefault(entry.name, set()).add(known.source)
            assert entry.good == known.good, (key, entry.state, entry.problem)
            assert (entry.state is State.PROVEN) == known.proven
            assert entry.pinned == known.pinned
            assert not entry.doubt
        assert all(len(sources) == 1 for sources in names.values()), names
        assert len(names) == len({known.source for known in self.known.values()}), names


Operations.TestCase.settings = settings(
    deadline=None,
    stateful_step_count=_EACH,
    max_examples=max(1, _STEPS // _EACH),
    derandomize=_STEPS <= 500,
    suppress_health_check=list(HealthCheck),
)
TestOperations = Operations.TestCase
