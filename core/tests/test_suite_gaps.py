"""What a suite can test of a part only with an author's help is skipped without, and says what to override."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from support import contract

TESTS = Path(contract.__file__).parents[2]
STORAGE = """
import pytest
from support.contract.sound_storage import Memory, Place
from holdfast.testing import StorageSuite


class TestBare(StorageSuite):
    ttl, many = 0.15, 5

    @pytest.fixture
    def storage(self):
        return Memory(Place())


class TestTold(TestBare):
    @pytest.fixture
    def second(self, storage):
        return storage

    @pytest.fixture
    def die(self):
        return None

    password = ""

    def lose_lease(self, storage, name):
        return False
"""
ENGINE = """
from support.contract.sound_engine import Shelf, suite_of
from holdfast.testing import EngineSuite


class Bare(EngineSuite):
    pass


UNKNOWN = {"surroundings", "password", "foreign", "leave_log", "__dict__", "__weakref__"}
for name, member in vars(suite_of(Shelf)).items():
    if name not in UNKNOWN:
        setattr(Bare, name, member)


class TestBare(Bare):
    pass


class TestTold(TestBare):
    password = ""

    def surroundings(self, url):
        return ()

    def foreign(self, source, target):
        return iter(())

    def leave_log(self, url):
        return False
"""


@pytest.mark.parametrize(
    ("module", "gaps"),
    [
        (
            STORAGE,
            {
                "test_a_second_opening_sees_what_the_first_did": "override the fixture `second`",
                "test_what_a_dead_writer_left_can_be_deleted": "override the fixture `die`",
                "test_the_lease_of_a_dead_holder_ends": "override the fixture `die`",
                "test_errors_tell_no_secrets": "override `password`",
                "test_whoever_has_lost_a_lease_changes_nothing": "override `lose_lease`",
            },
        ),
        (
            ENGINE,
            {
                "test_what_is_something_else_is_an_error_and_stays_as_it_is": "override `foreign`",
                "test_it_is_known_what_is_beside_a_database": "override `surroundings`",
                "test_the_error_of_what_is_not_there_tells_no_secret": "override `password`",
                "test_the_log_of_what_was_replaced_is_gone_with_it": "override `leave_log`",
            },
        ),
    ],
)
def test_what_is_not_overridden_is_skipped_and_says_what_to_override(
    tmp_path: Path, module: str, gaps: dict[str, str]
) -> None:
    (tmp_path / "test_it.py").write_text(module)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-v", "-rs", "--no-fold-skipped", "-pno:cacheprovider", "-pno:xdist",
         f"--basetemp={tmp_path / 'suites'}", "test_it.py"],
        check=False, cwd=tmp_path, env={**os.environ, "PYTHONPATH": str(TESTS), "COLUMNS": "400"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    assert done.returncode == pytest.ExitCode.OK, done.stdout
    skipped = dict(re.findall(r"^SKIPPED test_it\.py::(\S+) - .*(override .*)$", done.stdout, re.MULTILINE))
    assert {name.partition("::")[2]: skipped[name] for name in skipped}.keys() == gaps.keys(), done.stdout
    for name, reason in skipped.items():
        suite, _, test = name.partition("::")
        assert suite == "TestBare"
        assert reason.startswith(gaps[test])
