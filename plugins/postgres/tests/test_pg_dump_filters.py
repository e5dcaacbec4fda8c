"""What pg_dump is told to leave out: all that it shall, and nothing else, in as few words as names allow."""

import fnmatch
import hashlib
import os
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from support.servers.postgres import PostgresServer

from holdfast_postgres.client.programs import find_programs
from holdfast_postgres.selection.pg_dump_filters import relation_filters, schema_filters

_NEEDED = ("PATH", "HOME", "TMPDIR", "HOLDFAST_PG_BINDIR")
_NAMES = st.sets(st.text("ab_%", min_size=1, max_size=6), max_size=12)


@given(_NAMES, _NAMES)
def test_patterns_mean_the_names_and_no_others(wanted: set[str], others: set[str]) -> None:
    others -= wanted
    patterns = [
        entry.pattern.removeprefix('"s".').replace('"', "")
        for entry in relation_filters("table", [("s", name) for name in wanted], [("s", name) for name in others])
    ]
    matched = {name for name in wanted | others if any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)}
    assert matched == wanted
    assert len(patterns) <= len(wanted)


def test_names_that_begin_or_end_alike_are_one_pattern() -> None:
    relations = [("s", f"{kind}_{number}") for kind in ("log", "old") for number in range(1000)]
    (log,) = relation_filters("table", relations[:1000], relations[1000:])
    assert log.word == '--exclude-table="s"."l"*'
    odd = relation_filters("table_data", relations[1::2], relations[::2])
    assert [entry.word for entry in odd] == [f'--exclude-table-data="s".*"{digit}"' for digit in (1, 3, 5, 7, 9)]


def test_no_pattern_of_schemas_means_those_of_the_system() -> None:
    wanted = {"p", "pga", "pgbench", "pgbouncer", "info", "informations"}
    globs = [entry.pattern.replace('"', "") for entry in schema_filters("include", wanted, set())]
    system = {"pg_catalog", "pg_toast", "pg_temp_3", "information_schema"}
    matched = {name for name in wanted | system if any(fnmatch.fnmatchcase(name, glob) for glob in globs)}
    assert matched == wanted
    assert "pgb*" in globs


def _names(number: int, width: int) -> list[str]:
    """Names of 61 letters that neither begin nor end in a way that tells which is which."""
    middles = [hashlib.sha256(str(index).encode()).hexdigest()[:width] for index in range(number)]
    return [f"{'x' * 25}{middle}{'y' * 25}" for middle in middles]


def test_a_selection_has_no_limit_by_the_length_of_a_command_line(
    server: PostgresServer, database: str, store: str, tmp_path: Path
) -> None:
    """Half of 2,000 tables whose names have nothing to tell them by; from version 17 on pg_dump reads a file."""
    names = _names(2000, 11)
    with server.connect(database) as connection:
        for start in range(0, len(names), 200):
            connection.execute("".join(f"CREATE TABLE {name} (a int);" for name in names[start : start + 200]))
    (tmp_path / "names").write_text("\n".join(names[::2]))
    script = f"""
import sys, holdfast
try:
    holdfast.backup(sys.argv[1], store=sys.argv[2], select=open({str(tmp_path / "names")!r}).read().split())
except holdfast.errors.HoldfastError as error:
    sys.exit(f"{{error.message}} / {{error.hint}}")
"""
    limited = ["bash", "-c", 'ulimit -s 512; exec "$@"', "bash", sys.executable, "-c", script]
    environment = {name: os.environ[name] for name in _NEEDED if name in os.environ}
    done = subprocess.run(
        [*limited, server.url(database), store], check=False, capture_output=True, text=True, env=environment
    )
    with server.connect("postgres") as connection:
        programs = find_programs(connection.info.server_version // 10000, why="the test")
    if programs.major >= 17:
        assert (done.returncode, done.stderr) == (0, "")
    else:
        assert done.returncode == 1
        assert "arguments of pg_dump" in done.stderr
        assert "postgresql-client-17" in done.stderr
