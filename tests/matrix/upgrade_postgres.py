"""A backup of PostgreSQL 15 restored into a newer server: run by `.ci/matrix/postgres`, not by `make test`."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from support.servers.postgres import PostgresServer, running
from support.servers.postgres_matrix import matrix_programs
from support.servers.postgres_odd import make_roles, odd_script

import holdfast


@pytest.fixture(scope="module")
def newer() -> Iterator[PostgresServer]:
    """The server to restore into."""
    with running(matrix_programs(os.environ["HOLDFAST_UPGRADE_TO"])) as server:
        make_roles(server)
        yield server


@pytest.mark.parametrize("kind", ["parallel", "plain", "custom", "directory", "tar"])
def test_a_backup_of_15_is_restored_into_a_newer_server(
    postgres_server: PostgresServer,
    newer: PostgresServer,
    tmp_path: Path,
    kind: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Rows, definitions and sequences; the proof holds in what both versions write alike."""
    old, store = postgres_server, str(tmp_path)
    options = {"format": kind, "large_table": "0"} if kind == "parallel" else {"format": kind}
    clients = os.environ["HOLDFAST_PG_BINDIR"]
    monkeypatch.delenv("HOLDFAST_PG_BINDIR")  # dumped by the programs of the old server
    with old.database() as source:
        if old.value("postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'odd_reader'") == 0:
            make_roles(old)
        old.execute(source, odd_script(old, newer))
        tables = [row[0] for row in old.rows(source, _TABLES)]
        rows = {name: old.rows(source, _DIGEST.format(name)) for name in tables}
        record = holdfast.backup(old.url(source), store=store, options=options)
    monkeypatch.setenv("HOLDFAST_PG_BINDIR", clients)
    made = f"upgraded_{kind}"
    result = holdfast.restore(record.id, newer.url(made), store=store, options={"create": "true"})
    assert not [warning for warning in result.warnings if "not restored" in warning]
    assert {name: newer.rows(made, _DIGEST.format(name)) for name in tables} == rows
    assert newer.rows(made, "SELECT last_value, is_called FROM app.counter") == [(-43, True)]


_TABLES = """
SELECT c.oid::regclass::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND c.relispopulated AND n.nspname !~ '^pg_|information_schema' ORDER BY 1
"""
_DIGEST = "SELECT count(*), sum(hashtextextended((t.*)::text, 0)::numeric) FROM ONLY {} t"
