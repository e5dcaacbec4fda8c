"""Findings: the state of a backup follows from what checks have said, in whichever order they are read."""

import errno
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.errors import NotFoundError
from holdfast.store.findings import Depth, Finding, State, parse_name, record, state_of
from holdfast.testing.memory import MemoryStorage

START = datetime(2026, 11, 24, tzinfo=UTC)
MARKS = {"T": Depth.STRUCTURE, "S": Depth.STORED, "D": Depth.DECODE, "R": Depth.DRILL}


def history(text: str) -> list[Finding]:
    """`S+ D- R+`: a stored check that passed, a decode that failed, a drill that passed, in this order."""
    return [
        Finding(time=START + timedelta(minutes=number), depth=MARKS[mark], passed=sign == "+")
        for number, (mark, sign) in enumerate((pair[0], pair[1]) for pair in text.split())
    ]


def published() -> MemoryStorage:
    storage = MemoryStorage()
    storage.objects["app/id/backup_manifest.json"] = b"{}"
    return storage


@pytest.mark.parametrize(
    ("checks", "state"),
    [
        ("", "complete"),
        ("T+", "verified"),
        ("S+", "verified"),
        ("R+", "proven"),
        ("R+ S+", "proven"),
        ("S-", "damaged"),
        ("S- S+", "verified"),
        ("S- D+", "verified"),
        ("D- S+", "damaged"),
        ("D- R+", "proven"),
        ("R+ S-", "damaged"),
        ("R+ S- S+", "proven"),
        ("R+ R-", "damaged"),
        ("R- S+ D+", "damaged"),
        ("R- R+", "proven"),
        ("T- S- D+", "verified"),
        ("T- D- S+", "damaged"),
    ],
)
def test_a_failure_stands_until_a_check_as_deep_has_passed(checks: str, state: str) -> None:
    assert state_of(history(checks)) == State(state)


@given(st.permutations(history("S+ D- R+ S- D+ R- R+ T-")))
def test_the_order_in_which_findings_are_read_does_not_matter(findings: list[Finding]) -> None:
    assert state_of(findings) is state_of(history("S+ D- R+ S- D+ R- R+ T-")) is State.DAMAGED


@pytest.mark.parametrize("depth", Depth)
@pytest.mark.parametrize("problems", [[], ["blob x is missing"]])
def test_a_finding_is_read_again_from_its_name_alone(depth: Depth, problems: list[str]) -> None:
    storage = published()
    finding = record(storage, "app/id", depth=depth, problems=problems, detail={"id": "id"})
    path = list(storage.objects)[-1]
    assert path.startswith("app/id/findings/")
    assert parse_name(path.rpartition("/")[2]) == finding
    assert finding.passed is not bool(problems)
    assert storage.trace[-1] == "barrier"


@pytest.mark.parametrize("year", [2099, 9999])
@pytest.mark.parametrize(("before", "problems", "state"), [("passed", ["x"], "damaged"), ("failed", [], "proven")])
def test_the_last_word_counts_also_after_one_from_a_clock_that_ran_ahead(
    year: int, before: str, problems: list[str], state: str
) -> None:
    storage = published()
    storage.objects[f"app/id/findings/{year}1231T235959.999999Z-drill-{before}-abcdef.json"] = b"{}"
    for _ in range(2):
        record(storage, "app/id", depth=Depth.DRILL, problems=problems, detail={})
    names = [stat.path.rpartition("/")[2] for stat in storage.list("app/id/findings")]
    findings = [finding for finding in map(parse_name, names) if finding]
    if year == 2099:  # the last moment of the calendar has none after it
        assert state_of(findings) == state
    assert len(findings) == 3


def test_of_a_backup_that_is_gone_nothing_is_written_again() -> None:
    storage = MemoryStorage()
    with pytest.raises(NotFoundError, match="deleted meanwhile"):
        record(storage, "app/id", depth=Depth.DRILL, problems=[], detail={})
    assert not storage.objects


@given(st.text(max_size=70))
def test_any_other_file_is_no_finding(name: str) -> None:
    assert parse_name(name) is None


def test_an_impossible_time_is_no_finding() -> None:
    assert parse_name("20261399T000000.000000Z-stored-passed-abcdef.json") is None


def test_a_check_that_could_not_be_recorded_is_not_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = published()

    def fail() -> None:
        raise OSError(errno.EIO, "lost")

    monkeypatch.setattr(storage, "barrier", fail)
    with pytest.raises(OSError, match="lost"):
        record(storage, "app/id", depth=Depth.STORED, problems=[], detail={})
    assert [*storage.objects] == ["app/id/backup_manifest.json"]


def test_what_cannot_be_told_after_a_check_was_recorded_makes_no_failure_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    storage = published()

    def fail(path: str) -> None:
        raise PermissionError(errno.EACCES, "closed", path)

    monkeypatch.setattr(storage, "stat", fail)
    record(storage, "app/id", depth=Depth.STORED, problems=[], detail={})
    assert len(storage.objects) == 2
