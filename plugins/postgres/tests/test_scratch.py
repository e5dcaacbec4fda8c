"""Scratch databases of drills: restored, checked, compared, and dropped."""

import contextlib
from dataclasses import replace
from pathlib import Path

import pytest
from support.postgres_proofs import differences, recorded_proof, scratch_request
from support.servers.postgres import PostgresServer

import holdfast
from holdfast.api import DatabaseURL, LockedError, UnsafeError, UsageError
from holdfast_postgres.proof import record
from holdfast_postgres.scratch import list_databases, open_scratch
from holdfast_postgres.session import quoted
from holdfast_postgres.target import databases
from holdfast_postgres.target.abandoned import DRILL_MARKER, DRILL_PREFIX
from holdfast_postgres.unfinished import LOCK_KEY


def test_a_drill_of_an_odd_database_finds_no_difference(
    server: PostgresServer, odd: str, store: str, tmp_path: Path
) -> None:
    """Restored, checked with amcheck, and every object of the proof is as recorded; then the database is gone."""
    backup = holdfast.backup(server.url(odd), store=store, proof=True, options={"large_table": "0"})
    before = recorded_proof(backup)
    kinds = {entry.kind for entry in before.objects}
    assert {"table", "sequence", "large objects", "definition of table", "definition of routine"} <= kinds
    databases_before = server.databases()
    with open_scratch(scratch_request(server, backup, tmp_path)) as scratch:
        holdfast.restore(backup.id, scratch.url, store=store)
        assert scratch.check() == []
        assert differences(before, scratch.proof(before)) == set()
        assert scratch.server_version == server.value("postgres", "SHOW server_version")
        (name,) = server.databases() - databases_before
        assert name.startswith(DRILL_PREFIX)
        assert server.value(name, "SELECT count(*) FROM pg_extension WHERE extname = 'amcheck'") == 0
    assert server.databases() == databases_before
    assert server.quiet()


def test_an_index_that_lies_about_its_table_is_found_with_amcheck(
    server: PostgresServer, database: str, store: str, tmp_path: Path
) -> None:
    """amcheck compares every entry of a B-tree with its rows."""
    server.execute(database, "CREATE TABLE t AS SELECT generate_series(1, 1000) AS a", "CREATE INDEX i ON t (a)")
    backup = holdfast.backup(server.url(database), store=store, proof=True)
    with open_scratch(scratch_request(server, backup, tmp_path)) as scratch:
        holdfast.restore(backup.id, scratch.url, store=store)
        name = next(name for name in server.databases() if name.startswith(DRILL_PREFIX))
        with server.connect(name) as connection:
            connection.execute("SET allow_system_table_mods TO on")
            connection.execute("UPDATE pg_index SET indisready = false WHERE indexrelid = 'i'::regclass")
            connection.execute("INSERT INTO t VALUES (5000)")
            connection.execute("UPDATE pg_index SET indisready = true WHERE indexrelid = 'i'::regclass")
        problems = scratch.check()
        assert any("index public.i" in problem or "index i" in problem for problem in problems), problems
        (difference,) = differences(recorded_proof(backup), scratch.proof(recorded_proof(backup)))
        assert difference == ("table", "public.t")


def test_an_index_that_amcheck_cannot_compare_with_its_table_is_not_called_damaged(
    server: PostgresServer, database: str, store: str, tmp_path: Path
) -> None:
    """Its function needs what a session of the check has not; it is checked alone, and a warning names it."""
    server.execute(database, "CREATE TABLE t AS SELECT generate_series(1, 1000) AS a")
    backup = holdfast.backup(server.url(database), store=store, proof=True)
    with open_scratch(scratch_request(server, backup, tmp_path)) as scratch:
        holdfast.restore(backup.id, scratch.url, store=store)
        name = next(name for name in server.databases() if name.startswith(DRILL_PREFIX))
        server.execute(
            name,
            """
            CREATE FUNCTION tenant(a int) RETURNS text LANGUAGE plpgsql IMMUTABLE AS $$BEGIN
                RETURN current_setting('app.tenant') || a; END$$
            """,
            "SET app.tenant TO 'x'; CREATE INDEX by_tenant ON t (tenant(a)); CREATE INDEX plain ON t (a)",
        )
        assert scratch.check() == []
        (warning,) = scratch.warnings
        assert "by_tenant has every row" in warning
        assert "app.tenant" in warning
        scratch.proof(recorded_proof(backup))
        assert warning in scratch.warnings


def test_that_amcheck_cannot_be_installed_is_a_warning(
    server: PostgresServer, database: str, store: str, tmp_path: Path
) -> None:
    """Whatever stands in its way; nothing is called damaged for it."""
    backup = holdfast.backup(server.url(database), store=store, proof=True)
    with open_scratch(scratch_request(server, backup, tmp_path)) as scratch:
        name = next(name for name in server.databases() if name.startswith(DRILL_PREFIX))
        server.execute(name, "CREATE SCHEMA holdfast_amcheck")
        assert scratch.check() == []
        (warning,) = scratch.warnings
        assert "not checked with amcheck" in warning


def test_only_marked_databases_whose_drill_is_dead_are_swept(
    server: PostgresServer, database: str, store: str, tmp_path: Path
) -> None:
    """Not one that only has the name, not one that a living drill holds."""
    backup = holdfast.backup(server.url(database), store=store)
    unmarked, dead = f"{DRILL_PREFIX}somebodys", f"{DRILL_PREFIX}dead_{database}"
    server.create(unmarked)
    server.create(dead)
    server.execute("postgres", f"COMMENT ON DATABASE {dead} IS '{DRILL_MARKER}'")
    try:
        with open_scratch(scratch_request(server, backup, tmp_path)) as living:
            alive = living.url.partition("?")[0].rpartition("/")[2]
            assert server.databases() >= {unmarked, alive}
            assert dead not in server.databases()
            with open_scratch(scratch_request(server, backup, tmp_path)):
                assert alive in server.databases()
        assert alive not in server.databases()
        assert unmarked in server.databases()
    finally:
        server.drop(unmarked)
        server.drop(dead)


def test_a_database_whose_drill_died_before_it_marked_it_is_swept(
    server: PostgresServer, database: str, store: str, tmp_path: Path
) -> None:
    """Of the very form of our names, empty, used by nobody, and not about to be marked."""
    backup = holdfast.backup(server.url(database), store=store)
    dead, filled, used, coming, said = (f"{DRILL_PREFIX}2026z_0000000{number}" for number in range(5))
    for name in (dead, filled, used, coming, said):
        server.create(name)
    server.execute(filled, "CREATE TABLE t (a int)")
    server.execute("postgres", f"COMMENT ON DATABASE {said} IS 'somebody''s'")
    try:
        with server.connect(used), server.connect(database) as admin:
            admin.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", (LOCK_KEY, coming))
            with open_scratch(scratch_request(server, backup, tmp_path)):
                left = server.databases()
        assert {filled, used, coming, said} <= left
        assert dead not in left
    finally:
        for name in (dead, filled, used, coming, said):
            server.drop(name)


def test_a_drill_needs_a_server_and_one_that_is_new_enough(
    server: PostgresServer, database: str, store: str, tmp_path: Path
) -> None:
    backup = holdfast.backup(server.url(database), store=store)
    request = scratch_request(server, backup, tmp_path)
    with pytest.raises(UsageError, match="server"), open_scratch(replace(request, into=None)):
        pass
    newer = replace(request, facts={**request.facts, "major": 99})
    with pytest.raises(UnsafeError, match="PostgreSQL 99"), open_scratch(newer):
        pass


def test_many_definitions_are_grouped(
    server: PostgresServer, odd: str, store: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """One entry for a kind in a schema keeps the manifest of a huge schema small; the drill groups alike."""
    monkeypatch.setattr(record, "GROUPED", 10)
    backup = holdfast.backup(server.url(odd), store=store, proof=True)
    before = recorded_proof(backup)
    assert ("definition of every table", "app") in {(entry.kind, entry.name) for entry in before.objects}
    monkeypatch.setattr(record, "GROUPED", 5000)
    with open_scratch(scratch_request(server, backup, tmp_path)) as scratch:
        holdfast.restore(backup.id, scratch.url, store=store)
        assert differences(before, scratch.proof(before)) == set()


def test_every_database_of_a_server_is_listed(server: PostgresServer, database: str) -> None:
    """No templates, none that takes no connections, no scratch database; names are encoded."""
    odd_name, closed, marked = f'{database} "x"/ü%', f"{database}_closed", f"{database}_marked"
    for name in (odd_name, closed, marked):
        with server.connect("postgres") as connection:
            connection.execute(f"CREATE DATABASE {quoted(name)} TEMPLATE template0")
    server.execute(
        "postgres",
        f"ALTER DATABASE {closed} ALLOW_CONNECTIONS false",
        f"COMMENT ON DATABASE {marked} IS '{DRILL_MARKER}'",
    )
    try:
        urls = list_databases(server.url("", password="pass%20word"))
        names = [DatabaseURL.parse(url).path.removeprefix("/") for url in urls]
        assert {database, odd_name, "postgres"} <= set(names)
        assert not {closed, marked, "template0", "template1"} & set(names)
        assert all(DatabaseURL.parse(url).password == "pass word" for url in urls)
    finally:
        server.execute("postgres", f"ALTER DATABASE {closed} ALLOW_CONNECTIONS true")
        for name in (odd_name, closed, marked):
            server.execute("postgres", f"DROP DATABASE {quoted(name)} WITH (FORCE)")


def test_a_scratch_database_that_cannot_be_dropped_is_named_and_left_to_the_next_drill(
    server: PostgresServer, database: str, store: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a session elsewhere that holds a lock on it keeps the server from it, without an end."""
    backup = holdfast.backup(server.url(database), store=store)
    monkeypatch.setattr(databases, "_LOCK_WAIT", 1)
    before = server.databases()
    with server.connect("postgres") as blocker, contextlib.ExitStack() as drill:
        drill.enter_context(open_scratch(scratch_request(server, backup, tmp_path)))
        (name,) = server.databases() - before
        blocker.execute("BEGIN")
        blocker.execute(f"COMMENT ON DATABASE {quoted(name)} IS '{DRILL_MARKER}'")
        with pytest.raises(LockedError) as caught:
            drill.close()
        assert f"could not drop the scratch database {name}" in caught.value.message
        assert caught.value.hint == "drop it, or leave it to the next drill on that server"
        with open_scratch(scratch_request(server, backup, tmp_path)):
            assert name in server.databases()
        assert server.databases() - before == {name}
        blocker.execute("ROLLBACK")
    with open_scratch(scratch_request(server, backup, tmp_path)):
        assert name not in server.databases()
    assert server.databases() == before
