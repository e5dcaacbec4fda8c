"""The contract of an engine that can select, as tests: `EngineSuite` has them."""

import pytest

import holdfast
from holdfast.api import Capability, HoldfastError, UnsafeError
from holdfast.testing.contract import states
from holdfast.testing.engine_parts import EngineParts


class SelectionTests(EngineParts):
    """What `select` and `exclude` promise of an engine with SELECT."""

    def selects(self, source: str) -> bool:
        """Whether the engine can; that `selection` is a part of the source is looked at once for all."""
        if not self.can(source, Capability.SELECT):
            return False
        content = self.content(source)
        assert self.selection, "set `selection`, and override `selected` and `excluded`"
        assert self.selected(content) not in (content, self.excluded(content))
        return True

    @states("engine 22")
    def test_a_backup_of_a_selection_holds_it_alone(self, source: str, target: str, store: str) -> None:
        """What was not selected is not there to be restored."""
        if self.selects(source):
            record = self.backup(source, store, select=self.selection)
            self.restore(record, source, target, store)
            assert self.content(target) == self.selected(self.content(source))

    @states("engine 23")
    def test_a_backup_is_without_what_is_excluded(self, source: str, target: str, store: str) -> None:
        """And has all else; what is selected and excluded is left out."""
        if self.selects(source):
            record = self.backup(source, store, exclude=self.selection)
            self.restore(record, source, target, store)
            assert self.content(target) == self.excluded(self.content(source))

    @states("engine 22")
    def test_a_backup_holds_what_any_of_several_patterns_selects(self, source: str, target: str, store: str) -> None:
        """Not what the first of them selects alone."""
        if self.selects(source):
            self.restore(self.backup(source, store, select=(*self.selection, "*")), source, target, store)
            assert self.content(target) == self.content(source)

    @states("engine 23")
    def test_a_backup_is_without_what_is_selected_and_excluded(self, source: str, target: str, store: str) -> None:
        """Excluding takes precedence."""
        if self.selects(source):
            record = self.backup(source, store, select=("*",), exclude=self.selection)
            self.restore(record, source, target, store)
            assert self.content(target) == self.excluded(self.content(source))

    @states("engine 24", "engine 25")
    def test_patterns_work_together_in_a_restore(self, source: str, target: str, store: str) -> None:
        """As in a backup."""
        if self.selects(source):
            record = self.backup(source, store)
            self.restore(record, source, target, store, select=("*",), exclude=self.selection)
            assert self.content(target) == self.excluded(self.content(source))

    @states("engine 24")
    def test_all_of_several_patterns_are_restored(self, source: str, target: str, store: str) -> None:
        """Not what the first of them selects alone."""
        if self.selects(source):
            self.restore(self.backup(source, store), source, target, store, select=(*self.selection, "*"))
            assert self.content(target) == self.content(source)

    @states("engine 24")
    def test_a_selection_is_restored_alone(self, source: str, target: str, store: str) -> None:
        """Of a backup that holds more."""
        if self.selects(source):
            self.restore(self.backup(source, store), source, target, store, select=self.selection)
            assert self.content(target) == self.selected(self.content(source))

    @states("engine 25")
    def test_what_is_excluded_is_not_restored(self, source: str, target: str, store: str) -> None:
        """And all else is."""
        if self.selects(source):
            self.restore(self.backup(source, store), source, target, store, exclude=self.selection)
            assert self.content(target) == self.excluded(self.content(source))

    @states("engine 29")
    def test_a_selection_is_merged_into_what_is_there(self, source: str, target: str, store: str) -> None:
        """When that is allowed: all else stays as it is, also what refers to what is replaced; or nothing changes."""
        if not self.selects(source):
            return
        record = self.backup(source, store)
        self.restore(record, source, target, store)
        old = self.content(target)
        if self.can(source, Capability.SNAPSHOT) or self.can(source, Capability.PROOF):
            self.change(target)
        before, around = self.content(target), self.surroundings(target)
        with pytest.raises(UnsafeError):
            self.restore(record, source, target, store, select=self.selection)
        assert (self.content(target), self.surroundings(target)) == (before, around)
        try:
            self.restore(record, source, target, store, select=self.selection, replace=True)
        except UnsafeError:
            assert (self.content(target), self.surroundings(target)) == (before, around)
            return
        after = self.content(target)
        assert self.selected(after) == self.selected(old)
        assert self.excluded(after) == self.excluded(before)
        assert self.surroundings(target) == around

    @states("engine 27")
    def test_a_preview_of_a_selection_names_nothing_that_stays(self, source: str, target: str, store: str) -> None:
        """What was not selected is neither replaced nor gone."""
        if not self.selects(source):
            return
        record = self.backup(source, store)
        self.restore(record, source, target, store)
        parts = {**self.parts(source), "options": dict(self.restore_options), "store": store, "dry_run": True}
        try:
            part = holdfast.restore(record.id, target, select=self.selection, replace=True, **parts)
        except UnsafeError:
            return  # it cannot merge
        assert [change for change in part.changes if change.action == "gone"] == []

    @states("engine 26")
    def test_a_pattern_that_matches_nothing_is_refused(self, source: str, target: str, store: str) -> None:
        """Most likely it is mistyped, and a backup of nothing is none."""
        if self.selects(source):
            before = self.content(target)
            for wrong in self._mistyped():
                for fields in ({"select": wrong}, {"exclude": wrong}):
                    with pytest.raises(HoldfastError):
                        self.backup(source, store, **fields)
            record = self.backup(source, store)
            for wrong in self._mistyped():
                for fields in ({"select": wrong}, {"exclude": wrong}):
                    with pytest.raises(HoldfastError):
                        self.restore(record, source, target, store, **fields)
            assert self.content(target) == before

    def _mistyped(self) -> list[tuple[str, ...]]:
        """Patterns one of which matches nothing: alone, and next to others."""
        return [("no_such_object",), (*self.selection, "no_such_object"), ("no_such_object", *self.selection)]
