"""What a restore does to what its target holds is said before it happens, in the same words for every engine."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import pytest

from holdfast.api import Blob, Capability, Change, Preview, RestoreRequest, preview_objects, refuse_replacing
from holdfast.errors import UnsafeError
from holdfast.operations.backup import backup
from holdfast.operations.restore import restore
from holdfast.plan import BackupPlan, RestorePlan
from holdfast.setup import Parts
from holdfast.testing.memory import TARGET, URL, MemoryEngine, MemoryRestore, MemoryStorage, memory_registry

USERS = Change(action="replaced", kind="table", name="users", rows=1, new_rows=2)


class PreviewingRestore(MemoryRestore):
    def preview(self, blobs: Mapping[str, Blob]) -> Preview:
        return Preview(changes=tuple(Change(action="added", kind="content", name=name) for name in blobs), whole=True)


class PreviewingEngine(MemoryEngine):
    @contextmanager
    def restore(self, request: RestoreRequest) -> Iterator[MemoryRestore]:
        self.requests.append(request)
        yield PreviewingRestore(self, request)


def run(engine: MemoryEngine, selection: dict[str, Any], **more: Any) -> Any:
    storage, registry = MemoryStorage(), memory_registry()
    source = MemoryEngine(streams={"one": [b"a"], "two": [b"b"]}, capabilities=frozenset({Capability.SELECT}))
    parts = Parts(engine=source, storage=storage)
    backup(BackupPlan(source=URL, codec="none", **selection), registry=registry, parts=parts)
    plan = RestorePlan(backup="latest", target=TARGET)
    return restore(plan, registry=registry, storage=storage, engine=engine, **more)


def test_a_dry_run_asks_the_session_what_would_happen() -> None:
    result = run(PreviewingEngine(), {}, dry_run=True)
    assert [str(change) for change in result.changes] == ["content one: added", "content two: added"]
    assert result.whole
    assert run(PreviewingEngine(), {}).changes == ()


def test_a_backup_of_a_selection_is_restored_as_a_selection() -> None:
    for selection, selective in (({}, False), ({"select": ("one",)}, True), ({"exclude": ("one",)}, True)):
        engine = PreviewingEngine()
        run(engine, selection)
        (request,) = engine.requests
        assert (request.partial, request.selective) == (selective, selective)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (USERS, "table users: replaced (1 row by 2 rows)"),
        (Change(action="replaced", kind="table", name="a b", new_rows=0), "table 'a b': replaced (by 0 rows)"),
        (Change(action="replaced", kind="view", name="v"), "view v: replaced"),
        (Change(action="added", kind="table", name="users", new_rows=1), "table users: added (1 row)"),
        (Change(action="gone", kind="view", name="old"), "view old: gone"),
        (Change(action="gone", kind="table", name="old", rows=3), "table old: gone (3 rows)"),
    ],
)
def test_each_change_is_one_line(change: Change, line: str) -> None:
    assert str(change) == line


def test_what_is_there_is_refused_with_all_that_replacing_would_do() -> None:
    refuse_replacing("database app", [Change(action="added", kind="table", name="more", new_rows=1)])
    gone = Change(action="gone", kind="index", name="i")
    with pytest.raises(UnsafeError, match=r"^database app already holds table users .1 row.$") as caught:
        refuse_replacing("database app", [USERS, gone])
    assert caught.value.hint == (
        "use --replace to change this and leave all other tables as they are: "
        "table users: replaced (1 row by 2 rows), index i: gone"
    )
    many = [Change(action="replaced", kind="table", name=f"t{number}") for number in range(25)]
    with pytest.raises(UnsafeError, match=r"table t19 and 5 more$"):
        refuse_replacing("database app", many)


def test_objects_are_compared_by_their_names() -> None:
    changes = preview_objects(["new", "old"], ["old", "other"], selective=False, rows={"old": 3}).changes
    assert [(change.action, change.name, change.rows) for change in changes] == [
        ("added", "new", None),
        ("replaced", "old", 3),
        ("gone", "other", None),
    ]
    selective = preview_objects(["old"], ["old", "other"], selective=True, kind="file")
    assert [str(change) for change in selective.changes] == ["file old: replaced"]
    assert (selective.whole, preview_objects([], [], selective=False).whole) == (False, True)
