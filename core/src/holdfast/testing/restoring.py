"""The contract of an engine's restores, as tests: `EngineSuite` has them."""

from pathlib import Path
from typing import Any

import msgspec
import pytest

import holdfast
from holdfast.api import Capability, Change, HoldfastError, IntegrityError, RestoreRequest, Stream, UnsafeError
from holdfast.testing.contract import states
from holdfast.testing.engine_parts import CutEngine, EngineParts, NotingEngine
from holdfast.testing.process_state import unchanged


class RestoreTests(EngineParts):
    """What a restore brings back, refuses and undoes."""

    @states("engine 3")
    def test_a_restored_database_has_the_content_of_the_source(self, source: str, target: str, store: str) -> None:
        """Whatever the engine calls content."""
        before = self.content(source)
        self.restore(self.backup(source, store), source, target, store)
        assert self.content(target) == before
        assert self.content(source) == before

    @states("engine 36", "engine 37")
    def test_a_restore_of_a_sound_backup_tells_of_no_failure(self, source: str, target: str, store: str) -> None:
        """Nor of a stream that it has left out; what the user has to know is in lines."""
        record = self.backup(source, store)
        noting = NotingEngine(self.engine(source))
        self.restore(record, source, target, store, engine=noting)
        assert self.content(target) == self.content(source)
        assert (noting.failures, noting.skipped) == ([], [])
        assert all(line.isprintable() and line.strip() for line in noting.warnings)

    @states("engine 35")
    def test_a_backup_and_a_restore_leave_the_program_as_it_is(
        self, source: str, target: str, store: str, capfd: pytest.CaptureFixture[str]
    ) -> None:
        """Its settings are not the engine's own, and standard output is data."""
        with unchanged(capfd):
            self.restore(self.backup(source, store), source, target, store)

    @states("engine 16")
    def test_a_target_with_data_is_refused_and_stays_as_it_is(self, source: str, target: str, store: str) -> None:
        """Without `replace` nothing of it is touched."""
        record = self.backup(source, store)
        self.restore(record, source, target, store)
        before = self.content(target), self.surroundings(target)
        with pytest.raises(UnsafeError):
            self.restore(record, source, target, store)
        assert (self.content(target), self.surroundings(target)) == before

    @states("engine 32")
    def test_a_target_holds_data_once_a_restore_is_committed(
        self, source: str, target: str, store: str, tmp_path: Path
    ) -> None:
        """It is refused before the first load: so the core asks, in a dry run, whether something was restored."""
        before = self.content(source)
        record = self.backup(source, store)
        self.restore(record, source, target, store)
        assert self.content(target) == before
        around = self.surroundings(target)
        manifest = msgspec.json.decode(Path(record.path, "backup_manifest.json").read_bytes())
        request = RestoreRequest(
            url=target,
            scratch=tmp_path / "asked",
            streams=tuple(Stream(name=each["name"], size=each["size"]) for each in manifest["streams"]),
            facts=manifest.get("hints", {}),
            options=self.engine(source).options(self.restore_options),
            dry_run=True,
        )
        request.scratch.mkdir(mode=0o700)
        with pytest.raises(UnsafeError), self.engine(source).restore(request) as session:
            list(session.steps)
        assert (self.content(target), self.surroundings(target)) == (before, around)

    @states("engine 17")
    def test_a_target_that_is_replaced_has_the_content_of_the_backup_alone(
        self, source: str, target: str, store: str
    ) -> None:
        """Whatever it held before, and nothing is left beside it."""
        before = self.content(source)
        record = self.backup(source, store)
        self.restore(record, source, target, store)
        around = self.surroundings(target)
        if self.can(source, Capability.SNAPSHOT) or self.can(source, Capability.PROOF):
            self.change(target)
        self.restore(record, source, target, store, replace=True)
        assert self.content(target) == before
        assert self.surroundings(target) == around

    @states("engine 17")
    def test_there_need_be_nothing_to_replace(self, source: str, target: str, store: str) -> None:
        """With `replace` a restore into an empty target, or one that is not there, is like any other."""
        before = self.content(source)
        self.restore(self.backup(source, store), source, target, store, replace=True)
        assert self.content(target) == before

    @states("engine 30")
    def test_the_log_of_what_was_replaced_is_gone_with_it(self, source: str, target: str, store: str) -> None:
        """A log that a process has left which died changes nothing of what is restored; `leave_log` leaves it."""
        before = self.content(source)
        record = self.backup(source, store)
        self.restore(record, source, target, store)
        around = self.surroundings(target)
        if self.leave_log(target):
            self.restore(record, source, target, store, replace=True)
            assert self.content(target) == before
            assert self.surroundings(target) == around

    @states("engine 18")
    def test_looking_changes_nothing(self, source: str, target: str, store: str) -> None:
        """A dry run opens the restore and leaves it; so does a restore that fails before its first load."""
        record = self.backup(source, store)
        before = self.content(target), self.surroundings(target)
        self.restore(record, source, target, store, dry_run=True)
        assert (self.content(target), self.surroundings(target)) == before
        with pytest.raises(HoldfastError, match="cut off by the test"):
            self.restore(record, source, target, store, engine=CutEngine(self.engine(source), 0))
        assert (self.content(target), self.surroundings(target)) == before

    @states("engine 18")
    def test_looking_at_what_is_to_be_replaced_changes_nothing(self, source: str, target: str, store: str) -> None:
        """What is replaced is there until the first load at least, also without ATOMIC_RESTORE."""
        record = self.backup(source, store)
        self.restore(record, source, target, store)
        before = self.content(target), self.surroundings(target)
        self.restore(record, source, target, store, dry_run=True, replace=True)
        assert (self.content(target), self.surroundings(target)) == before
        cut = CutEngine(self.engine(source), 0)
        with pytest.raises(HoldfastError, match="cut off by the test"):
            self.restore(record, source, target, store, replace=True, engine=cut)
        assert (self.content(target), self.surroundings(target)) == before

    @states("engine 19")
    @pytest.mark.parametrize("loads", [1, 1000], ids=["in the middle", "before the commit"])
    def test_a_restore_that_fails_leaves_the_target_as_it_was(
        self, source: str, target: str, store: str, loads: int
    ) -> None:
        """After some loads, and after all of them but without the commit."""
        record = self.backup(source, store)
        before = self.content(target), self.surroundings(target)
        with pytest.raises(HoldfastError, match="cut off by the test"):
            self.restore(record, source, target, store, engine=CutEngine(self.engine(source), loads))
        assert (self.content(target), self.surroundings(target)) == before
        self.restore(record, source, target, store)
        assert self.content(target) == self.content(source)

    @states("engine 20")
    def test_a_replacement_that_fails_leaves_the_target_as_it_was(self, source: str, target: str, store: str) -> None:
        """With ATOMIC_RESTORE: what was to be replaced is there as before."""
        if not self.can(source, Capability.ATOMIC_RESTORE):
            return
        record = self.backup(source, store)
        self.restore(record, source, target, store)
        before = self.content(target), self.surroundings(target)
        for loads in (1, 1000):
            cut = CutEngine(self.engine(source), loads)
            with pytest.raises(HoldfastError, match="cut off by the test"):
                self.restore(record, source, target, store, replace=True, engine=cut)
            assert (self.content(target), self.surroundings(target)) == before

    @states("engine 34")
    def test_a_restore_that_was_killed_keeps_nobody_from_the_next(self, source: str, target: str, store: str) -> None:
        """With `replace`, and nothing of it is left then, whether there was a target before or not."""
        wanted = self.content(source)
        record = self.backup(source, store)
        around = self.surroundings(target)
        for _ in range(2):
            before = self.content(target)
            if not self.kill_restore(record, target, store):
                return
            if self.can(source, Capability.ATOMIC_RESTORE) and before:
                assert self.content(target) == before
            self.restore(record, source, target, store, replace=True)
            assert self.content(target) == wanted
            assert self.surroundings(target) == around

    @states("engine 21")
    def test_a_damaged_backup_leaves_the_target_as_it_was(self, source: str, target: str, store: str) -> None:
        """A flipped bit in any blob is found before anything is visible."""
        before = self.content(target), self.surroundings(target)
        record = self.backup(source, store, codec="none")
        manifest = msgspec.json.decode(Path(record.path, "backup_manifest.json").read_bytes())
        largest = max(manifest["streams"], key=lambda stream: stream["blob"]["size"])["blob"]
        blob = Path(record.path, largest["path"])
        data = bytearray(blob.read_bytes())
        data[len(data) // 2] ^= 1
        blob.write_bytes(data)
        with pytest.raises(IntegrityError):
            self.restore(record, source, target, store)
        assert (self.content(target), self.surroundings(target)) == before

    @states("engine 27")
    def test_a_preview_tells_what_a_restore_does(self, source: str, target: str, store: str) -> None:
        """Of a target that holds nothing, and of one that holds the same, of which nothing is added."""
        record = self.backup(source, store)
        first = self._preview(record, source, target, store)
        self.restore(record, source, target, store)
        second = self._preview(record, source, target, store, replace=True)
        assert {change.action for change in first} <= {"added"}
        assert {change.action for change in second} <= {"replaced", "gone"}
        assert second or not first
        names = [(change.kind, change.name) for change in second]
        assert len(set(names)) == len(names)

    def _preview(
        self, record: holdfast.Backup, source: str, target: str, store: str, **fields: Any
    ) -> tuple[Change, ...]:
        parts = {**self.parts(source), **fields}
        options = dict(self.restore_options)
        return holdfast.restore(record.id, target, store=store, options=options, dry_run=True, **parts).changes
