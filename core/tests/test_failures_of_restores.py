"""A restore that goes on after errors: what is missing is a part of its result, of a drill's, and the exit code 3."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.api import Event, Failure, RestoreRequest, UsageError
from holdfast.errors import PartialError
from holdfast.operations.restore import raise_for_failures
from holdfast.testing.memory import TARGET, URL, MemoryEngine, MemoryRestore

LOST = Failure(kind="index", name="public.t_a", code="23505", message="could not create\nunique index")


class PartialRestore(MemoryRestore):
    """A restore that cannot make one object."""

    failures = (LOST,)


class PartialEngine(MemoryEngine):
    """An engine that goes on after errors and can leave triggers out."""

    kinds = frozenset({"trigger"})
    asked: RestoreRequest | None = None

    @contextmanager
    def restore(self, request: RestoreRequest) -> Iterator[Any]:
        """Restore as its class does."""
        self.asked = request
        with super().restore(request):
            yield PartialRestore(self, request)


def test_what_was_not_restored_is_in_the_result_and_in_the_last_event(tmp_path: Path) -> None:
    engine, events = PartialEngine(), list[Event]()
    record = holdfast.backup(URL, store=str(tmp_path), engine=engine)
    result = holdfast.restore(record, TARGET, store=str(tmp_path), engine=engine, on_event=events.append)
    assert result.failures == (LOST,)
    assert [failure["code"] for failure in result.as_data()["failures"]] == ["23505"]
    assert events[-1].detail["failures"][0]["name"] == "public.t_a"
    with pytest.raises(
        PartialError, match=r"1 object was not restored: index public\.t_a: could not create unique"
    ) as it:
        raise_for_failures(result)
    assert it.value.exit_code == 3


def test_a_drill_takes_it_for_damage(tmp_path: Path) -> None:
    engine = PartialEngine()
    record = holdfast.backup(URL, store=str(tmp_path), engine=engine)
    result = holdfast.drill(record, store=str(tmp_path), engine=engine)
    assert (result.passed, result.state) == (False, "damaged")
    assert result.problems[0] == "not restored: index public.t_a: could not create unique index (23505)"


def test_kinds_are_left_out_as_asked_at_backup_and_restore_and_no_selection(tmp_path: Path) -> None:
    engine = PartialEngine()
    record = holdfast.backup(URL, store=str(tmp_path), engine=engine, exclude_kinds=["trigger"])
    holdfast.restore(record, TARGET, store=str(tmp_path), engine=engine)
    assert engine.asked is not None
    assert (engine.asked.exclude_kinds, engine.asked.partial) == (("trigger",), False)
    with pytest.raises(UsageError, match=r"kind 'triggers' out \(it can: trigger\)"):
        holdfast.restore(record, TARGET, store=str(tmp_path), engine=engine, exclude_kinds=["triggers"])
    with pytest.raises(UsageError, match=r"it can: none"):
        holdfast.backup(URL, store=str(tmp_path), engine=MemoryEngine(), exclude_kinds=["trigger"])
