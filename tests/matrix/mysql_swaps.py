"""Replacements interrupted at every statement in every way; run by `make swaps`, not by `make test`.

On MySQL where HOLDFAST_TEST_MYSQL_ROOT names a folder with one, else on MariaDB.
"""

import os
from collections import Counter
from collections.abc import Iterator

import pytest
from support.mysql_swap_sweep import FAULTS, SwapSweep, swap_sweep
from support.servers.mariadb import running_mariadb
from support.servers.mysql import running_mysql

_MYSQL = bool(os.environ.get("HOLDFAST_TEST_MYSQL_ROOT"))


@pytest.fixture(scope="module")
def sweep(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SwapSweep]:
    store = str(tmp_path_factory.mktemp("sweep") / "store")
    running = running_mysql() if _MYSQL else running_mariadb("--local-infile=ON")
    with running as server, swap_sweep(server, store, sequences=not _MYSQL) as made:
        yield made


@pytest.mark.parametrize("fault", FAULTS)
def test_every_statement(sweep: SwapSweep, fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Those that only read or set are in it too."""
    came = Counter(sweep.interrupt(number, fault) for number in range(1, len(sweep.statements) + 1))
    with capsys.disabled():
        print(f" {fault}: {len(sweep.statements)} statements, {dict(came)}")
    assert set(came) <= ({"old", "new"} if fault == "lock" else {"old", "new", "recovered"})


@pytest.mark.parametrize("fault", ["killed", "cut"])
def test_every_statement_of_putting_back(sweep: SwapSweep, fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    """After an error in the last statement before the point of no return."""
    done = max(number for number, text in enumerate(sweep.statements, 1) if text.startswith(b"UPDATE"))
    sweep.interrupt(done, "error")
    last = len(sweep.proxy.statements)
    came = Counter(sweep.interrupt(number, fault, refused=done) for number in range(done + 1, last + 1))
    with capsys.disabled():
        print(f" {fault}: {last - done} statements of putting back, {dict(came)}")
    assert set(came) <= {"old", "recovered"}


@pytest.mark.parametrize("fault", ["killed", "error", "lost"])
def test_every_statement_while_a_program_writes(
    sweep: SwapSweep, fault: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """From the exchange of the tables to the point of no return."""
    first = next(number for number, text in enumerate(sweep.statements, 1) if text.startswith(b"RENAME TABLE"))
    last = max(number for number, text in enumerate(sweep.statements, 1) if text.startswith(b"UPDATE"))
    came = Counter(sweep.interrupt_writer(number, fault) for number in range(first, last + 1))
    with capsys.disabled():
        print(f" {fault}: {last - first + 1} statements, {dict(came)}")
    assert set(came) <= {"old", "new", "old, kept"}
