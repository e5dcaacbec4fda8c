"""The contract of an engine's dumps, as tests: `EngineSuite` has them."""

import contextlib
import itertools
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest

from holdfast.api import (
    Capability,
    DumpSession,
    HoldfastError,
    UsageError,
)
from holdfast.testing.contract import skip_unless_overridden, states
from holdfast.testing.engine_parts import DisturbedEngine, EngineParts

_LARGEST = 4 << 20  # bytes of a chunk
_ENOUGH = 64 << 10  # bytes of a stream, from which on its chunks are looked at
_SMALLEST = 4 << 10  # bytes of a chunk on average: rows have hundreds


def _children() -> set[str]:
    """The child processes of this one, where the system tells."""
    tasks = Path("/proc/self/task")
    files = tasks.glob("*/children") if tasks.exists() else ()
    return {child for file in files for child in file.read_text().split()}


class DumpTests(EngineParts):
    """What opening, reading and leaving a dump promises."""

    @states("engine 1")
    def test_the_streams_are_known_and_named_before_the_first_read(self, source: str, tmp_path: Path) -> None:
        """There is at least one; each has a name of its own, and they stay the same."""
        with self.engine(source).dump(self.request(source, tmp_path / "scratch")) as session:
            names = [stream.name for stream in session.streams]
            assert names
            assert len(set(names)) == len(names)
            assert all(names)
            assert {type(name) for name in names} == {str}
            self.read(session)
            assert [stream.name for stream in session.streams] == names

    @states("engine 2")
    def test_chunks_are_bytes_of_a_fitting_size(self, source: str, tmp_path: Path) -> None:
        """Not one for each row, and none that fills memory."""
        with self.engine(source).dump(self.request(source, tmp_path / "scratch")) as session:
            for stream in session.streams:
                sizes = []
                for chunk in session.read(stream):
                    assert isinstance(chunk, bytes | bytearray | memoryview)
                    sizes.append(len(memoryview(chunk).cast("B")))
                assert max(sizes, default=0) <= _LARGEST
                if sum(sizes) >= _ENOUGH:
                    assert sum(sizes) / len(sizes) >= _SMALLEST, f"{stream.name} comes in {len(sizes)} chunks"

    @states("engine 31")
    def test_an_exact_size_is_what_a_read_yields(self, source: str, tmp_path: Path) -> None:
        """Where the engine says that it knows; else the core takes what comes for what there is."""
        with self.engine(source).dump(self.request(source, tmp_path / "scratch")) as session:
            exact = {stream.name: stream.size for stream in session.streams if stream.exact}
            assert exact.items() <= self.read(session).items()

    @states("engine 4")
    def test_a_dump_leaves_its_source_as_it_is(self, source: str, tmp_path: Path) -> None:
        """Nothing is left in it or beside it."""
        before = self.content(source), self.surroundings(source)
        with self.engine(source).dump(self.request(source, tmp_path / "scratch")) as session:
            self.read(session)
            session.proof()
            session.facts()
        assert (self.content(source), self.surroundings(source)) == before

    @states("engine 4")
    def test_it_is_known_what_is_beside_a_database(self, source: str) -> None:
        """Other tests compare it with what it was before; `surroundings` tells it."""
        skip_unless_overridden(
            self,
            EngineParts,
            "surroundings",
            "nobody knows what there is beside a database, so that whatever is left there passes every test",
        )
        before = self.surroundings(source)
        assert self.surroundings(source) == before, "it must stay the same for as long as nothing is done"

    @states("engine 5")
    def test_facts_are_plain_data_without_secrets(self, source: str, tmp_path: Path) -> None:
        """They go into the manifest as they are."""
        with self.engine(source).dump(self.request(source, tmp_path / "scratch")) as session:
            self.read(session)
            proof = session.proof()
            facts = session.facts()
        for texts in (facts.warnings, facts.restore_steps, facts.damage):
            assert isinstance(texts, tuple)
            assert all(isinstance(text, str) for text in texts)
        assert isinstance(facts.server_version, str)
        assert all(isinstance(content, bytes) for content in facts.files.values())
        data = {"point": facts.consistency_point, "hints": facts.hints, "steps": facts.restore_steps,
                "programs": facts.programs, "version": facts.server_version, "warnings": facts.warnings,
                "damage": facts.damage, "settings": proof.settings if proof else {}}  # fmt: skip
        text = msgspec.json.encode(data).decode()
        assert msgspec.json.decode(text) == msgspec.json.decode(msgspec.json.encode(msgspec.to_builtins(data)))
        for written in (text, *(content.decode(errors="replace") for content in facts.files.values())):
            assert not self.password or self.password not in written

    @states("engine 6")
    def test_a_database_has_one_identity(self, source: str, target: str, store: str, tmp_path: Path) -> None:
        """The same for every dump, without secrets, and another one for every other database."""
        first, again = (self.source_of(source, tmp_path) for _ in range(2))
        if first is None:
            return
        assert first == again
        name, identity = first
        assert name
        assert identity
        assert not self.password or self.password not in f"{name} {identity}"
        self.restore(self.backup(source, store), source, target, store)
        other = self.source_of(target, tmp_path)
        assert other is not None
        assert other[1] != identity

    @states("engine 7")
    def test_a_dump_that_is_aborted_leaves_nothing(self, source: str, tmp_path: Path) -> None:
        """Leaving the context frees everything, also before anything was read: the next dump is undisturbed."""
        threads, children = set(threading.enumerate()), _children()
        for error in (None, ZeroDivisionError, KeyboardInterrupt):
            for begun in (False, True):
                suppressed = contextlib.suppress(*filter(None, [error]))
                with suppressed, self.engine(source).dump(self.request(source, tmp_path / "scratch")) as session:
                    if begun:
                        next(iter(session.read(session.streams[0])), None)
                    if error:
                        raise error
        with self.engine(source).dump(self.request(source, tmp_path / "scratch")) as session:
            self.read(session)
        assert set(threading.enumerate()) <= threads
        assert _children() <= children

    @states("engine 8")
    def test_a_read_that_is_closed_early_ends(self, source: str, tmp_path: Path) -> None:
        """After any chunk, as it is when the store is full; nothing more is read of that dump."""
        for chunks, last in itertools.product(range(4), (False, True)):
            with self.engine(source).dump(self.request(source, tmp_path / "scratch")) as session:
                reading = iter(session.read(session.streams[-1 if last else 0]))
                for _ in range(chunks):
                    next(reading, None)
                close: Callable[[], object] | None = getattr(reading, "close", None)
                if close is not None:
                    close()

    @states("engine 9")
    def test_a_read_ends_when_its_dump_is_left(self, source: str, tmp_path: Path) -> None:
        """With whatever error, in the thread that it runs in: so a run ends that another part of it has failed."""
        begun, going_on = threading.Event(), threading.Event()

        def read(session: DumpSession) -> None:
            with contextlib.suppress(Exception):
                for stream in session.streams:
                    for _ in session.read(stream):
                        begun.set()
                        going_on.wait(self.patience)

        with self.engine(source).dump(self.request(source, tmp_path / "scratch")) as session:
            thread = threading.Thread(target=read, args=(session,), daemon=True)
            thread.start()
            begun.wait(self.patience)
            going_on.set()
        thread.join(self.patience)
        assert not thread.is_alive(), "a read goes on though its dump was left"


class SourceTests(EngineParts):
    """What a dump promises of moments, and of sources that are not there or something else."""

    @states("engine 10")
    def test_a_dump_shows_one_moment(self, source: str, target: str, store: str) -> None:
        """With SNAPSHOT: what others write once it is open is not in it; nobody does where `locks_writers` is set."""
        if not self.can(source, Capability.SNAPSHOT) or self.locks_writers:
            return
        before = self.content(source)
        disturbed = DisturbedEngine(self.engine(source), self.change)
        record = self.backup(source, store, engine=disturbed)
        assert self.content(source) != before, "`change` changed nothing"
        self.restore(record, source, target, store)
        assert self.content(target) == before

    @states("engine 10")
    def test_a_proof_is_of_the_same_moment(self, source: str, tmp_path: Path) -> None:
        """With SNAPSHOT and PROOF: of what is dumped, and not of what others have made of it since."""
        able = self.can(source, Capability.SNAPSHOT) and self.can(source, Capability.PROOF)
        if not able or self.locks_writers:
            return
        with self.engine(source).dump(self.request(source, tmp_path / "scratch", proof=True)) as session:
            self.read(session)
            before = session.proof()
        disturbed = DisturbedEngine(self.engine(source), self.change)
        with disturbed.dump(self.request(source, tmp_path / "scratch", proof=True)) as session:
            self.read(session)
            assert session.proof() == before

    @states("engine 6")
    def test_the_identity_stays_when_the_content_changes(self, source: str, tmp_path: Path) -> None:
        """It is that of the database: its next backup is one of the same."""
        if not (self.can(source, Capability.SNAPSHOT) or self.can(source, Capability.PROOF)):
            return
        before = self.source_of(source, tmp_path)
        self.change(source)
        assert self.source_of(source, tmp_path) == before

    @states("engine 11")
    def test_what_is_not_there_is_an_error_and_is_not_made(self, source: str, target: str, tmp_path: Path) -> None:
        """The target, where the engine makes it; its error is one of Holdfast's."""
        if self.content(target) is not None:
            return
        del source
        with (
            pytest.raises(HoldfastError),
            self.engine(target).dump(self.request(target, tmp_path / "scratch")) as session,
        ):
            self.read(session)
        assert self.content(target) is None

    @states("engine 5")
    def test_the_error_of_what_is_not_there_tells_no_secret(self, target: str, tmp_path: Path) -> None:
        """It is shown and logged, as are the errors that it comes from."""
        skip_unless_overridden(
            self,
            EngineParts,
            "password",
            "nobody knows which secret the URLs hold (an empty text says that they hold none)",
        )
        if self.content(target) is not None or not self.password:
            return
        with (
            pytest.raises(HoldfastError) as caught,
            self.engine(target).dump(self.request(target, tmp_path / "scratch")) as session,
        ):
            self.read(session)
        assert self.password not in f"{caught.value} {caught.value.hint}"

    @states("engine 28")
    def test_what_is_something_else_is_an_error_and_stays_as_it_is(
        self, source: str, target: str, tmp_path: Path
    ) -> None:
        """A file of another program, where databases are files; `foreign` makes it."""
        for url in self.foreign(source, target):
            around = self.surroundings(url)
            with (
                pytest.raises(HoldfastError),
                self.engine(url).dump(self.request(url, tmp_path / "scratch")) as session,
            ):
                self.read(session)
            assert self.surroundings(url) == around

    @states("engine 12")
    def test_an_unknown_option_is_refused(self, source: str) -> None:
        """A mistyped option must not be quietly without effect."""
        with pytest.raises(UsageError):
            self.engine(source).options({**self.options, "no-such-option": "1"})

    @states("engine 13")
    @pytest.mark.parametrize(
        ("capability", "fields"),
        [
            (Capability.SELECT, {"select": ("a",)}),
            (Capability.PROOF, {"proof": True}),
            (Capability.CHECK, {"check": True}),
            (Capability.FULL_CHECK, {"check": "full"}),
        ],
    )
    def test_an_option_that_the_engine_does_not_list_is_refused(
        self, source: str, store: str, capability: Capability, fields: dict[str, Any]
    ) -> None:
        """Nothing is quietly not done: `--select`, `--proof` and `--check [full]` work or say that they cannot."""
        if self.can(source, capability):
            if capability is not Capability.SELECT:
                assert self.backup(source, store, **fields).state == "complete"
            return
        with pytest.raises(UsageError):
            self.backup(source, store, **fields)
        assert not Path(store).exists()
