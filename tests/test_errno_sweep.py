"""Whatever one call of the file system answers, a command's message, exit code, store and target say the same.

`HOLDFAST_ERRNO_POINTS=all` tries every call with every errno; otherwise a few points of each command.
"""

import os
import random
import signal
from pathlib import Path

import pytest
from support.errno_sweep import COMMANDS, Sweep, make_template

_POINTS = os.environ.get("HOLDFAST_ERRNO_POINTS", "6")


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_template(tmp_path_factory.mktemp("template"))


@pytest.mark.timeout(7200)
@pytest.mark.parametrize("command", COMMANDS)
def test_no_call_that_fails_makes_a_command_say_what_is_not_so(
    command: str, template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    sweep = Sweep(template=template, work=tmp_path, command=command)
    points = sweep.points()
    if _POINTS != "all":
        points = random.Random(command).sample(points, int(_POINTS))
    else:
        with capsys.disabled():
            print(f" {command}: {len(points)} points")
    assert list(sweep.lies(points)) == []


@pytest.mark.sweep(1)
@pytest.mark.timeout(7200)
@pytest.mark.parametrize("fault", [signal.SIGTERM, signal.SIGKILL], ids=lambda fault: fault.name)
def test_a_restore_that_a_signal_ends_at_any_call_leaves_the_old_database_or_the_new(
    fault: signal.Signals, template: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A target with all of its content in its log."""
    sweep = Sweep(template=template, work=tmp_path, command="restore")
    calls = sorted({at for at, _, _ in sweep.points()})
    if _POINTS != "all":
        # The last calls are those of the commit.
        calls = sorted({*random.Random(fault.name).sample(calls, int(_POINTS)), *calls[-int(_POINTS) :]})
    else:
        with capsys.disabled():
            print(f" {fault.name}: {len(calls)} calls")
    assert list(sweep.interrupted(calls, fault)) == []
