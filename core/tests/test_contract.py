"""The contract of each kind: numbered sentences, a test of the public suites for each, and mutants that they catch."""

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support import contract

from holdfast import testing

ROOT = Path(__file__).parents[2]
MUTANTS = Path(contract.__file__).parent
KINDS = {
    "codec": testing.CodecSuite,
    "checksum": testing.ChecksumSuite,
    "storage": testing.StorageSuite,
    "engine": testing.EngineSuite,
    "scratch": testing.EngineSuite,
    "observer": testing.ObserverSuite,
    "wrapper": testing.WrapperSuite,
}


def sentences(kind: str) -> list[str]:
    """The sentences of a kind, in the order of the page."""
    page = (ROOT / "docs" / "contract.md").read_text()
    return [f"{kind} {number}" for number in re.findall(rf"^- \*\*{kind} (\d+)\.\*\* ", page, re.MULTILINE)]


def stated(suite: type) -> set[str]:
    tests = (getattr(suite, name) for name in dir(suite) if name.startswith("test_"))
    return {sentence for test in tests for sentence in getattr(test, "sentences", ())}


class Outcomes:
    """Runs of each suite only the tests of the sentence that its mutant breaks, and notes what came of them."""

    def __init__(self) -> None:
        self.ran: Counter[str] = Counter()
        self.failed: Counter[str] = Counter()
        self.reports: list[str] = []
        self.sentences: dict[str, str] = {}

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        self.sentences = {item.cls.__name__: item.cls.sentence for item in items}
        assert len({item.cls for item in items}) == len(self.sentences), "two mutants have one name"
        items[:] = [
            item for item in items if item.cls.sentence in (contract.SOUND, *getattr(item.function, "sentences", ()))
        ]

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        name = report.nodeid.split("::")[1]
        self.ran[name] += report.when == "call"
        if report.failed:
            self.failed[name] += 1
            self.reports.append(f"{report.nodeid} ({report.when})\n{report.longreprtext}")

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        assert not report.failed, report.longreprtext


@pytest.mark.parametrize("kind", KINDS)
def test_each_sentence_of_the_contract_has_tests_and_mutants_that_these_catch(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    numbers = sentences(kind)
    assert numbers == [f"{kind} {number + 1}" for number in range(len(numbers))]
    assert numbers, f"docs/contract.md says nothing of a {kind}"
    assert stated(KINDS[kind]) >= set(numbers)
    outcomes = Outcomes()
    modules = [str(path) for path in sorted(MUTANTS.glob(f"{kind}*.py"))]
    pytest.main(
        [*modules, "--noconftest", "-pno:cacheprovider", "-pno:xdist", "-pno:hypothesispytest",
         f"--basetemp={tmp_path / 'suites'}"],
        plugins=[outcomes],
    )  # fmt: skip
    capsys.readouterr()
    assert contract.SOUND in outcomes.sentences.values() or kind == "scratch"
    wrong = [report for report in outcomes.reports if outcomes.sentences[report.split("::")[1]] == contract.SOUND]
    assert not wrong, "\n".join(wrong)
    mutants = {name: sentence for name, sentence in outcomes.sentences.items() if sentence != contract.SOUND}
    assert set(mutants.values()) == set(numbers)
    assert [name for name in mutants if not outcomes.failed[name]] == []
