"""A replacement is interrupted at every statement that changes something; `make swaps` does it in every way."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.mysql_swap_sweep import SwapSweep, swap_sweep
from support.servers.mariadb import MariaDB, running_mariadb
from support.servers.power import power_of
from support.sweeps import tries

_ROW = rb"INSERT INTO `\w+`\.`holdfast_restore_\w+` VALUES \("
_ROTATED = ("killed", "error", "lost", "cut", "kill")


@pytest.fixture(scope="module")
def sweep(mariadb: MariaDB, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwapSweep]:
    with swap_sweep(mariadb, str(tmp_path_factory.mktemp("sweep") / "store"), sequences=True) as made:
        yield made


def number_of(sweep: SwapSweep, pattern: bytes) -> int:
    return next(number for number, text in enumerate(sweep.statements, 1) if re.match(pattern, text))


def test_whatever_interrupts_it_the_target_is_old_or_new(sweep: SwapSweep) -> None:
    """From the first of the journal's plan on, in one way each; of the rows of the journal the first.

    In the suite that is every other statement.
    """
    begins = number_of(sweep, _ROW + rb"1,")
    changing = [number for number in sweep.points() if number >= begins]
    points = [1, 2, begins, *(number for number in changing if not re.match(_ROW, sweep.statements[number - 1]))]
    points = points[:: tries(2, long=1)]
    came = [sweep.interrupt(number, _ROTATED[turn % len(_ROTATED)]) for turn, number in enumerate(points)]
    assert set(came) <= {"old", "new", "recovered"}
    assert {"old", "recovered"} <= set(came)


@pytest.mark.parametrize("pattern", [rb"RENAME TABLE", rb"CREATE DEFINER=\S+ TRIGGER second", rb"ALTER TABLE `far`"])
def test_a_lock_that_is_not_got_leaves_the_old_database(sweep: SwapSweep, pattern: bytes) -> None:
    assert sweep.interrupt(number_of(sweep, pattern), "lock") == "old"


@pytest.mark.parametrize("fault", ["error", "cut"])
def test_what_fails_after_the_old_database_is_gone_makes_no_failure(sweep: SwapSweep, fault: str) -> None:
    """What describes a database is made then, and asked what there is to tell; the sweep refuses an error with it."""
    gone = max(number for number, text in enumerate(sweep.statements, 1) if text.startswith(b"DROP DATABASE IF EXISTS"))
    after = range(gone + 1, len(sweep.statements) + 1)
    assert len(after) > 2
    assert {sweep.interrupt(number, fault) for number in after[:: tries(4, long=1)]} == {"new"}


def test_putting_back_may_be_cut_off_too(sweep: SwapSweep, tmp_path: Path) -> None:
    """An error in the last of the swap, and then a SIGKILL in what undoes it: in the middle of that and at its end."""
    refused = number_of(sweep, rb"UPDATE `\w+`\.`holdfast_restore_\w+` SET script=\S+ X'\w*22646f6e65")
    sweep.interrupt(refused, "error")
    undoing = len(sweep.proxy.statements) - refused
    for part in (0.45, 0.6, 0.75, 0.9):
        assert sweep.interrupt(refused + int(undoing * part), "killed", refused=refused) in ("old", "recovered")


def test_what_a_program_writes_into_the_new_tables_is_never_lost(sweep: SwapSweep) -> None:
    """A replacement that is killed then is finished by the next run; one that fails is undone, and keeps the rows."""
    first = number_of(sweep, rb"RENAME TABLE")
    last = number_of(sweep, rb"UPDATE `\w+`\.`holdfast_restore_\w+` SET script=\S+ X'\w*22646f6e65")
    points = [number for number in sweep.points() if first <= number <= last]
    assert len(points) > 10
    assert {sweep.interrupt_writer(number, "killed") for number in points[:: tries(4, long=1)]} == {"new"}
    assert {sweep.interrupt_writer(number, "error") for number in points[1 :: tries(6, long=1)]} == {"old, kept"}


def test_a_loss_of_power_leaves_the_old_or_the_new_database(tmp_path: Path) -> None:
    """The server forgets what it had not written to its disk, which is up to a second here; the run waits for it."""
    with (
        running_mariadb("--local-infile=ON") as server,
        power_of(server) as power,
        swap_sweep(server, str(tmp_path / "store"), sequences=True) as sweep,
    ):
        sweep.cut_power = power.cut
        assert sweep.interrupt(number_of(sweep, rb"DROP TRIGGER IF"), "power") in ("old", "recovered")
        for pattern in (rb"RENAME TABLE", rb"ALTER TABLE `far`", rb"DROP EVENT", rb"DROP DATABASE IF"):
            assert sweep.interrupt(number_of(sweep, pattern), "power") in ("new", "recovered")
