"""A backup of PostgreSQL 15 restored into a newer server: run by `.ci/matrix/postgres`, not by `make test`."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from servers.postgres import PostgresServer, running
from servers.postgres_matrix import matrix_programs

import holdfast

ODD = Path(__file__).parents[2] / "plugins" / "postgres" / "tests" / "odd.sql"
ROLES = ('CREATE ROLE "odd ""owner"" ü"', "CREATE ROLE odd_reader", "CREATE ROLE odd_writer")


def odd(plain: bool) -> str:
    """The odd database; `plain` without what needs contrib modules."""
    text = ODD.read_text()
    if plain:
        for extension in ("CREATE EXTENSION hstore;", "CREATE EXTENSION citext SCHEMA public;"):
            text = text.replace(extension, "")
        text = text.replace("store hstore", "store text").replace("insensitive citext", "insensitive text")
    return text


@pytest.fixture(scope="module")
def newer() -> Iterator[PostgresServer]:
    """The server to restore into."""
    with running(matrix_programs(os.environ["HOLDFAST_UPGRADE_TO"])) as server:
        server.execute("postgres", *ROLES)
        yield server


@pytest.mark.parametrize("kind", ["parallel", "plain", "custom", "directory", "tar"])
def test_a_backup_of_15_is_restored_into_a_newer_server(
    postgres_server: PostgresServer, newer: PostgresServer, tmp_path: Path, kind: str
) -> None:
    """Rows, definitions and sequences; the proof holds in what both versions write alike."""
    old, store = postgres_server, str(tmp_path)
    plain = newer.run.root is None
    options = {"format": kind, "large_table": "0"} if kind == "parallel" else {"format": kind}
    with old.database() as source:
        if old.value("postgres", "SELECT count(*) FROM pg_roles WHERE rolname = 'odd_reader'") == 0:
            old.execute("postgres", *ROLES)
        old.execute(source, odd(plain))
        tables = [row[0] for row in old.rows(source, _TABLES)]
        rows = {name: old.rows(source, _DIGEST.format(name)) for name in tables}
        record = holdfast.backup(old.url(source), store=store, options=options)
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
