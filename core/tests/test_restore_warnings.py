"""What an engine says after a restore reaches whoever asked for it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from holdfast.api import (
    Blob,
    Capability,
    DumpRequest,
    DumpSession,
    Engine,
    Event,
    Facts,
    RestoreRequest,
    RestoreSession,
    Step,
    Stream,
)
from holdfast.operations.backup import backup
from holdfast.operations.restore import restore
from holdfast.plan import BackupPlan, RestorePlan
from holdfast.plugins.registry import Registry
from holdfast.setup import Parts


class Session:
    """A dump of one stream, and a restore that found something to say."""

    streams = (Stream(name="all"),)
    steps = (Step(stream="all"),)
    warnings: tuple[str, ...] = ()

    def read(self, stream: Stream) -> Iterator[bytes]:
        yield b"content"

    def proof(self) -> None:
        return None

    def facts(self) -> Facts:
        return Facts()

    def load(self, step: Step, blob: Blob) -> None:
        assert b"".join(bytes(chunk) for chunk in blob.chunks()) == b"content"

    def commit(self) -> None:
        self.warnings = ("the comment on table a is missing",)


class Remarks(Engine):
    """An engine whose restores have warnings."""

    name = "remarks"
    capabilities: frozenset[Capability] = frozenset()

    @contextmanager
    def dump(self, request: DumpRequest) -> Iterator[DumpSession]:
        yield Session()

    @contextmanager
    def restore(self, request: RestoreRequest) -> Iterator[RestoreSession]:
        yield Session()


def test_warnings_of_a_restore_are_events_and_part_of_the_result(tmp_path: Path) -> None:
    registry = Registry()
    plan = BackupPlan(source="remarks:///a", store=str(tmp_path), codec="none")
    record = backup(plan, registry=registry, parts=Parts(engine=Remarks()))
    events: list[Event] = []
    result = restore(
        RestorePlan(backup=record.id, target="remarks:///b", store=str(tmp_path)),
        registry=registry,
        engine=Remarks(),
        on_event=events.append,
    )
    assert result.warnings == ("the comment on table a is missing",)
    assert [event.message for event in events if event.type == "warning"] == ["the comment on table a is missing"]
