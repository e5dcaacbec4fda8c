"""The contract of each kind: numbered sentences, a test of the public suites for each, and mutants that they catch."""

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

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


@dataclass
class Outcomes:
    """What came of the mutants: the sentence that each breaks, and the reports of the tests that failed, by name."""

    sentences: dict[str, str]
    failed: dict[str, list[str]]


def run(modules: list[Path], folder: Path) -> Outcomes:
    """Run the suites of some modules in a process of their own: its end, whatever it is, is seen."""
    result = folder / "outcomes.json"
    # Pytest's own tracebacks of hundreds of mutants are half of the time, and nobody reads them.
    options = ["-q", "--noconftest", "-psupport.contract.outcomes", "-pno:cacheprovider", "-pno:xdist", "--tb=native",
               "-pno:hypothesispytest", f"--basetemp={folder / 'suites'}"]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *map(str, modules)],
        check=False, cwd=ROOT, env={**os.environ, "OUTCOMES": str(result)},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode in (pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED), done.stdout
    return Outcomes(**json.loads(result.read_text()))


@pytest.mark.parametrize("kind", KINDS)
def test_each_sentence_of_the_contract_has_tests_and_mutants_that_these_catch(kind: str, tmp_path: Path) -> None:
    numbers = sentences(kind)
    assert numbers == [f"{kind} {number + 1}" for number in range(len(numbers))]
    assert numbers, f"docs/contract.md says nothing of a {kind}"
    assert stated(KINDS[kind]) >= set(numbers)
    outcomes = run(sorted(MUTANTS.glob(f"{kind}*.py")), tmp_path)
    assert contract.SOUND in outcomes.sentences.values() or kind == "scratch"
    wrong = [
        report
        for name in outcomes.failed
        if outcomes.sentences[name] == contract.SOUND
        for report in outcomes.failed[name]
    ]
    assert not wrong, "\n".join(wrong)
    mutants = {name: sentence for name, sentence in outcomes.sentences.items() if sentence != contract.SOUND}
    assert set(mutants.values()) == set(numbers)
    assert [name for name in mutants if name not in outcomes.failed] == []
