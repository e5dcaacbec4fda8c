"""Poolers: sessions that are ours alone work as the server itself, shared ones are refused untouched."""

import pytest
from support.servers.pgbouncer import pgbouncer
from support.servers.postgres import PostgresServer

import holdfast
from holdfast.api import UnreachableError


@pytest.fixture
def app(server: PostgresServer, database: str) -> str:
    """A database with rows in one table."""
    server.execute(database, "CREATE TABLE things AS SELECT generate_series(1, 1000) AS a")
    return database


@pytest.mark.sweep(1)
@pytest.mark.parametrize(("mode", "round_robin"), [("transaction", False), ("transaction", True), ("statement", False)])
def test_a_pool_of_shared_sessions_is_refused_and_its_applications_are_not_disturbed(
    server: PostgresServer, app: str, store: str, mode: str, round_robin: bool
) -> None:
    """Whatever is done first: nothing of ours stays in a session that an application gets next."""
    record = holdfast.backup(server.url(app), store=store)
    with pgbouncer(server, mode, round_robin=round_robin) as pool:
        applications = [pool.connect(app) for _ in range(3)]
        for application in applications:  # so that the pool has several sessions to give out
            application.execute("SELECT pg_sleep(0.01)")
        calls = (
            lambda: holdfast.backup(pool.url(app), store=store),
            lambda: holdfast.restore(record.id, pool.url(f"{app}_new"), store=store, options={"create": "true"}),
            lambda: holdfast.restore(record.id, pool.url(app), store=store, replace=True),
            # It asks for postgres first, which this pool lets nobody into after what was asked before.
            lambda: holdfast.drill(record.id, store=store, into=pool.url("", connect_timeout="2")),
        )
        for call in calls:
            with pytest.raises(UnreachableError, match="pooler") as caught:
                call()
            assert "session mode" in str(caught.value.hint)
        for application in applications * 4:
            row = application.execute(
                "SELECT count(*), current_setting('search_path'), current_setting('statement_timeout') FROM things"
            )
            assert row.fetchone() == (1000, '"$user", public', "0")
            application.execute("SHOW lock_timeout")
        for application in applications:
            application.close()


def test_sessions_of_a_pool_that_are_ours_alone_work_for_everything(
    server: PostgresServer, app: str, target: str, store: str
) -> None:
    """Backup, restore, `--replace`, a restore of rows alone, and a drill: none needs start-up options."""
    server.execute(app, "CREATE TABLE wide AS SELECT n, repeat('x', 500) AS t FROM generate_series(1, 2000) n")
    with pgbouncer(server, "session") as pool:
        record = holdfast.backup(pool.url(app), store=store, options={"large_table": "64kB"}, proof=True)
        holdfast.restore(record.id, pool.url(target), store=store)
        assert server.text(target) == server.text(app)
        server.execute(target, "TRUNCATE things")
        holdfast.restore(record.id, pool.url(target), store=store, replace=True, options={"disconnect": "true"})
        assert server.text(target) == server.text(app)
        assert holdfast.drill(record.id, store=store, into=pool.url("")).state == "proven"
        rows = holdfast.backup(pool.url(app), store=store, options={"data_only": "true"})
        server.execute(target, "TRUNCATE things, wide")
        with pytest.raises(UnreachableError, match="session_replication_role"):
            holdfast.restore(rows.id, pool.url(target), store=store)
        assert server.value(target, "SELECT count(*) FROM things") == 0


def test_a_database_is_made_through_a_pool(server: PostgresServer, app: str, store: str) -> None:
    """PgBouncer lets nobody into a database for 15 seconds once it has been asked for one that was not there."""
    record = holdfast.backup(server.url(app), store=store)
    with pgbouncer(server, "session") as pool:
        holdfast.restore(record.id, pool.url(f"{app}_made"), store=store, options={"create": "true"})
        try:
            assert server.value(f"{app}_made", "SELECT count(*) FROM things") == 1000
        finally:
            server.execute("postgres", f'DROP DATABASE "{app}_made" WITH (FORCE)')
