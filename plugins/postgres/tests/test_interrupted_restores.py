"""A restore interrupted at the statements that matter: the target is old or new; `make swaps` tries all statements."""

import re
import time
from pathlib import Path
from typing import Any

import pytest
from support.postgres_faults import wait_until
from support.postgres_swap_sweep import restore_sweep
from support.servers.postgres import PostgresServer

import holdfast
from holdfast_postgres.target import databases
from holdfast_postgres.watched import SessionIdentity, WatchedConnection

# What is interrupted, how, and what comes of it.
_POINTS = {
    "empty": [(rb"COPY .*parent", "killed", "recovered")],
    "create": [
        (rb"CREATE DATABASE", "interrupt", "old"),
        (rb"CREATE DATABASE", "lost", "old"),
        (rb"CREATE DATABASE", "killed", "recovered"),
        (rb"COPY .*parent", "killed", "recovered"),
        (rb"ALTER DATABASE .* CONNECTION LIMIT -1", "interrupt", "old"),
        (rb"COMMIT", "lost", "new"),
    ],
    "replace": [
        (rb"CREATE DATABASE", "killed", "recovered"),
        (rb"ALTER DATABASE .* RENAME TO .swapped.$", "terminate", "old"),
        (rb"COMMIT", "killed", "recovered"),
        (rb"COMMIT", "lost", "new"),
    ],
    "merge": [(rb"COMMIT;", "lost", "new")],
}


@pytest.mark.sweep(2)
@pytest.mark.parametrize("mode", _POINTS)
def test_the_target_is_old_or_new_and_what_is_left_is_swept(server: PostgresServer, tmp_path: Path, mode: str) -> None:
    with restore_sweep(server, str(tmp_path / "store"), mode) as sweep:
        for pattern, fault, expected in _POINTS[mode]:
            numbers = [place for place, text in enumerate(sweep.statements, 1) if re.match(pattern, text)]
            assert (pattern, fault, sweep.interrupt(numbers[-1], fault)) == (pattern, fault, expected)


def test_a_thread_that_hears_late_of_its_lost_session_makes_nothing_forgotten(
    server: PostgresServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whoever ends the restore has closed the session by then, and the server has made the database meanwhile."""
    real, end = databases.create, databases.end_session

    def create(connection: WatchedConnection, *arguments: Any, **more: Any) -> list[str]:
        try:
            return real(connection, *arguments, **more)
        except holdfast.HoldfastError:
            deadline = time.monotonic() + 20
            while connection.broken and time.monotonic() < deadline:
                time.sleep(0.005)
            raise

    def end_session(connection: WatchedConnection, session: SessionIdentity) -> None:
        wait_until(lambda: "swapped" in server.databases())
        end(connection, session)

    with restore_sweep(server, str(tmp_path / "store"), "create") as sweep:
        numbers = [place for place, text in enumerate(sweep.statements, 1) if text.startswith(b"CREATE DATABASE")]
        monkeypatch.setattr(databases, "create", create)
        monkeypatch.setattr(databases, "end_session", end_session)
        assert sweep.interrupt(numbers[-1], "interrupt") == "old"
