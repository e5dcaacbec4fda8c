"""A restore interrupted at the statements that matter: the target is old or new; `make swaps` tries all statements."""

import re
from pathlib import Path

import pytest
from support.postgres_swap_sweep import restore_sweep
from support.servers.postgres import PostgresServer

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


@pytest.mark.parametrize("mode", _POINTS)
def test_the_target_is_old_or_new_and_what_is_left_is_swept(server: PostgresServer, tmp_path: Path, mode: str) -> None:
    with restore_sweep(server, str(tmp_path / "store"), mode) as sweep:
        for pattern, fault, expected in _POINTS[mode]:
            numbers = [place for place, text in enumerate(sweep.statements, 1) if re.match(pattern, text)]
            assert (pattern, fault, sweep.interrupt(numbers[-1], fault)) == (pattern, fault, expected)
