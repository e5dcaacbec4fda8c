"""The number of statements that we send does not grow with that of tables, but for what pg_dump sends."""

import re
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.servers.postgres import PostgresServer

import holdfast

pytestmark = pytest.mark.usefixtures("several_sessions")

_FEW, _MANY = 50, 200
_LINE = re.compile(r"^\S+ \S+ \S+ \[(\d+)\] LOG:  (?:statement|execute [^:]*): (.*)", re.MULTILINE)
# What pg_dump and pg_restore say first, and so do the scripts that psql runs.
_CLIENT = "SELECT pg_catalog.set_config('search_path', '', false)"

Count = Callable[[Callable[[], object]], int]


@pytest.fixture
def statements(server: PostgresServer) -> Iterator[Count]:
    """Counts the statements that our own sessions send meanwhile."""
    log = server.folder / "log"
    server.execute("postgres", "ALTER SYSTEM SET log_statement TO 'all'", "SELECT pg_reload_conf()")

    def count(work: Callable[[], object]) -> int:
        before = log.stat().st_size
        work()
        assert server.quiet()
        return _count(log, before)

    try:
        yield count
    finally:
        server.execute("postgres", "ALTER SYSTEM RESET log_statement", "SELECT pg_reload_conf()")


def _count(log: Path, start: int) -> int:
    sessions: dict[str, list[str]] = defaultdict(list)
    with open(log, encoding="utf-8") as file:
        file.seek(start)
        for process, statement in _LINE.findall(file.read()):
            sessions[process].append(statement)
    ours = [session for session in sessions.values() if not any(said.startswith(_CLIENT) for said in session)]
    assert ours, "nothing was logged"
    # The lock monitor looks around by the clock.
    return sum("pg_stat_activity" not in said for session in ours for said in session)


def _fill(server: PostgresServer, database: str, tables: int) -> None:
    server.execute(
        database,
        "CREATE TYPE mood AS ENUM ('ok')",
        f"""
        DO $$ BEGIN FOR n IN 1..{tables} LOOP
            EXECUTE format('CREATE TABLE a%1$s (id serial PRIMARY KEY, t text, m mood, o oid)', n);
            EXECUTE format('CREATE FUNCTION f%1$s(int) RETURNS int LANGUAGE sql AS ''SELECT %1$s''', n);
            EXECUTE format('INSERT INTO a%1$s (t, o) VALUES (''a'', lo_from_bytea(0, ''x''))', n);
            EXECUTE format('CREATE SCHEMA s%1$s', n);
        END LOOP; END $$
        """,
    )


def test_the_number_of_our_statements_does_not_grow_with_the_number_of_tables(
    server: PostgresServer, statements: Count, store: str
) -> None:
    """Of each operation 150 tables more, of four columns each, take at most 50 statements more."""
    counts = {tables: _counts(server, statements, store, tables) for tables in (_FEW, _MANY)}
    more = {name: counts[_MANY][name] - few for name, few in counts[_FEW].items()}
    assert max(more.values()) <= 50, more


def _counts(server: PostgresServer, statements: Count, store: str, tables: int) -> dict[str, int]:
    store = f"{store}-{tables}"
    with server.database() as source, server.database() as target:
        _fill(server, source, tables)
        url, into = server.url(source), server.url(target)
        options: dict[str, Any] = {"store": store, "jobs": 2}
        backup = holdfast.backup(url, proof=True, **options)
        counts = {"backup": statements(lambda: holdfast.backup(url, proof=True, **options))}
        counts["restore"] = statements(lambda: holdfast.restore(backup, into, **options))
        counts["replace"] = statements(lambda: holdfast.restore(backup, into, replace=True, **options))
        counts["preview"] = statements(lambda: holdfast.restore(backup, into, replace=True, dry_run=True, **options))
        counts["drill"] = statements(lambda: holdfast.drill(backup, into=server.url(""), **options))
        counts["merge"] = statements(
            lambda: holdfast.restore(backup, into, replace=True, select=["a*1", "s*"], **options)
        )
        counts["selection"] = statements(lambda: holdfast.backup(url, select=["a*1", "s*"], **options))
        return counts
