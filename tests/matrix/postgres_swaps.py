"""Restores into PostgreSQL interrupted at every statement in every way; run by `make swaps`, not by `make test`."""

from collections import Counter
from collections.abc import Callable, Iterator

import pytest
from support.postgres_swap_sweep import FAULTS, MODES, RestoreSweep, restore_sweep, sweep_server
from support.servers.postgres import PostgresServer

# Where nothing but the session is lost, a statement that only reads is no other than that before it.
_EVERYWHERE = ("cut", "kill")


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[PostgresServer, Callable[[bool], None]]]:
    with sweep_server() as made:
        yield made


@pytest.fixture(scope="module", params=MODES)
def sweep(
    request: pytest.FixtureRequest,
    servers: tuple[PostgresServer, Callable[[bool], None]],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[RestoreSweep]:
    server, disk = servers
    with restore_sweep(server, str(tmp_path_factory.mktemp("sweep") / "store"), request.param, disk) as made:
        yield made


@pytest.mark.parametrize("fault", FAULTS)
def test_every_statement(sweep: RestoreSweep, fault: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Those that only read or set are in it too, for what could matter there."""
    numbers = range(1, len(sweep.statements) + 1) if fault in _EVERYWHERE else sweep.points()
    came = Counter(sweep.interrupt(number, fault) for number in numbers)
    with capsys.disabled():
        print(f" {sweep.mode}, {fault}: {len(numbers)} of {len(sweep.statements)} statements, {dict(came)}")
    assert set(came) <= {"old", "new", "recovered", "named"}
