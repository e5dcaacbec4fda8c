"""What a drill finds wrong in the source already is told apart from what is wrong with the backup."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import holdfast
from holdfast.api import ScratchRequest
from holdfast.testing.memory import URL, MemoryEngine, MemoryScratch


class FaultyScratch(MemoryScratch):
    """A scratch database that finds a fault, and something that it cannot check."""

    faults = ("index i lost a row:\nbuild it anew",)
    warnings = ("table t could not be checked",)


class FaultyEngine(MemoryEngine):
    """An engine that drills with one of them."""

    @contextmanager
    def scratch(self, request: ScratchRequest) -> Iterator[Any]:
        """Make a scratch database as its class does, and look at it otherwise."""
        with super().scratch(request) as scratch:
            yield FaultyScratch(self, scratch.url)


def drill(store: Path) -> tuple[holdfast.DrillResult, dict[str, Any]]:
    """Back up and drill; the result, and the finding that is kept."""
    engine = FaultyEngine()
    record = holdfast.backup(URL, store=str(store), engine=engine)
    result = holdfast.drill(record, store=str(store), engine=engine)
    (finding,) = Path(record.path, "findings").iterdir()
    return result, json.loads(finding.read_text())


def test_what_was_wrong_in_the_source_is_said_and_recorded_and_no_damage_of_the_backup(tmp_path: Path) -> None:
    result, finding = drill(tmp_path / "store")
    assert (result.passed, result.problems) == (True, ())
    assert result.faults == ("index i lost a row: build it anew",)
    assert result.warnings[-1] == "table t could not be checked"
    assert (finding["result"], finding["faults"]) == ("passed", ["index i lost a row: build it anew"])


def test_a_fault_of_a_backup_that_is_not_what_was_recorded_is_not_said_to_be_its_sources(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(FaultyScratch, "check", lambda _: ["table t is damaged"])
    result, finding = drill(tmp_path / "store")
    assert (result.passed, result.state, result.faults) == (False, "damaged", ())
    assert result.problems == ("table t is damaged", "index i lost a row: build it anew")
    assert finding["faults"] == []
