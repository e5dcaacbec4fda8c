"""A database that a restore has begun to fill, and has not ended: told from others, and put right by one command."""

from collections.abc import Iterator

import pytest
from support.postgres_statement_proxy import statement_proxy
from support.servers.postgres import PostgresServer

import holdfast
from holdfast.errors import HoldfastError, LockedError, UnsafeError
from holdfast_postgres.unfinished import LOCK_KEY, new_limit

_MARKED = "application_name TO 'holdfast: restore of 2026-11-30 03:00:00 UTC has not ended'"
_MARKS = """
    SELECT datconnlimit FROM pg_database WHERE datname = '{0}' AND datconnlimit > -1 UNION ALL
    SELECT setrole::int FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase WHERE datname = '{0}'
"""


@pytest.fixture
def backup(server: PostgresServer, database: str, store: str) -> holdfast.Backup:
    server.execute(database, "CREATE TABLE t AS SELECT generate_series(1, 9) AS a")
    server.execute("postgres", f"ALTER DATABASE {database} SET app.tenant TO 'shop'")
    return holdfast.backup(server.url(database), store=store)


@pytest.fixture
def made(server: PostgresServer, database: str) -> Iterator[str]:
    """A database as a restore leaves it that was killed after it had made it."""
    name = f"{database}_new"
    server.execute("postgres", f"CREATE DATABASE {name} CONNECTION LIMIT {new_limit()}")
    yield name
    server.drop(name)


def _refused(backup: holdfast.Backup, url: str, **changed: object) -> HoldfastError:
    with pytest.raises(HoldfastError) as caught:
        holdfast.restore(backup, url, **changed)  # type: ignore[arg-type]
    return caught.value


def test_what_a_killed_restore_left_is_said_with_the_command_that_puts_it_right(
    server: PostgresServer, backup: holdfast.Backup, target: str, store: str
) -> None:
    """Also that sessions are in it, in which case it may live; a backup of it says so, too, and does not keep it."""
    server.execute(target, "CREATE TABLE half (a int)", f"ALTER ROLE postgres IN DATABASE {target} SET {_MARKED}")
    refused = _refused(backup, server.url(target), store=store)
    assert isinstance(refused, UnsafeError)
    assert "is what a restore left that was killed or cut off, one that began 2026-11-30 03:00:00 UTC" in str(refused)
    assert "holds 'table public.half'" in refused.message
    assert str(refused.hint).startswith("use --replace")
    with server.connect(target):
        refused = _refused(backup, server.url(target), store=store)
        assert "has not ended" in refused.message
        assert "if the restore was killed, use --replace" in str(refused.hint)
    assert server.quiet()
    copied = holdfast.backup(server.url(target), store=store, name="half")
    assert any("has not ended" in text for text in copied.warnings)
    holdfast.restore(copied, server.url(target), store=store, replace=True)
    assert server.rows("postgres", _MARKS.format(target)) == []
    assert server.relations(target) == {"public.half"}


def test_a_database_that_a_killed_restore_made_is_made_anew_while_it_is_empty_and_else_replaced(
    server: PostgresServer, backup: holdfast.Backup, made: str, store: str
) -> None:
    """With what belongs to the database, in both cases; and it is refused while the restore lives."""
    url, create = server.url(made), {"create": "true"}
    with server.connect() as living:
        living.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", (LOCK_KEY, made))
        for replace in (False, True):
            refused = _refused(backup, url, store=store, options=create, replace=replace)
            assert isinstance(refused, LockedError), refused
    tenant = (
        f"SELECT setconfig FROM pg_db_role_setting s JOIN pg_database d ON d.oid = setdatabase WHERE datname = '{made}'"
    )
    warnings = holdfast.restore(backup, url, store=store, options=create).warnings
    assert any(made in text and "had made and left empty" in text for text in warnings)
    assert server.value("postgres", tenant) == ["app.tenant=shop"]
    server.execute("postgres", f"ALTER DATABASE {made} CONNECTION LIMIT {new_limit()}")
    server.execute("postgres", f"ALTER DATABASE {made} RESET app.tenant")
    assert "one that made it; it holds" in _refused(backup, url, store=store, options=create).message
    holdfast.restore(backup, url, store=store, replace=True)
    assert server.value("postgres", tenant) == ["app.tenant=shop"]
    assert server.value("postgres", f"SELECT datconnlimit FROM pg_database WHERE datname = '{made}'") == -1


def test_a_database_that_somebody_else_makes_meanwhile_is_left_alone(
    server: PostgresServer, backup: holdfast.Backup, database: str, store: str
) -> None:
    """It has not the mark of the restore that is ended."""
    name = f"{database}_new"
    with statement_proxy(server.port) as proxy:

        def at(_number: int, statement: bytes, _session: int) -> bool:
            if not statement.startswith(b"CREATE DATABASE"):
                return True
            server.create(name)
            return False

        proxy.at = at
        url = f"postgresql://postgres@127.0.0.1:{proxy.own_port}/{name}?sslmode=disable"
        try:
            _refused(backup, url, store=store, options={"create": "true"})
            assert name in server.databases()
        finally:
            server.drop(name)


def test_a_role_that_owns_nothing_marks_the_empty_database_for_as_long_as_it_restores(
    server: PostgresServer, backup: holdfast.Backup, role: str, target: str, store: str
) -> None:
    """It may set the name of its own sessions, and where it has set another it keeps that."""
    server.execute(target, f"GRANT ALL ON SCHEMA public TO {role}")
    seen = []
    with statement_proxy(server.port) as proxy:

        def at(_number: int, statement: bytes, _session: int) -> bool:
            if statement.startswith(b"CREATE TABLE"):
                seen.extend(server.rows("postgres", _MARKS.format(target)))
            return True

        proxy.at = at
        url = f"postgresql://{role}@127.0.0.1:{proxy.own_port}/{target}?sslmode=disable"
        holdfast.restore(backup, url, store=store, options={"no_owner": "true"})
        assert len(seen) == 1
        assert server.rows("postgres", _MARKS.format(target)) == []
        own = f"ALTER ROLE {role} IN DATABASE {target} SET application_name TO 'app'"
        server.execute(target, "DROP TABLE t", own)
        before = server.rows("postgres", _MARKS.format(target))
        holdfast.restore(backup, url, store=store, options={"no_owner": "true"})
        assert server.rows("postgres", _MARKS.format(target)) == before


def test_rows_alone_that_a_killed_restore_left_are_named(
    server: PostgresServer, database: str, target: str, store: str
) -> None:
    server.execute(database, "CREATE TABLE t AS SELECT 1 AS a")
    rows = holdfast.backup(server.url(database), store=store, options={"data_only": "true"})
    server.execute(target, "CREATE TABLE t (a int)", f"ALTER ROLE postgres IN DATABASE {target} SET {_MARKED}")
    server.execute(target, "INSERT INTO t VALUES (2)")
    refused = _refused(rows, server.url(target), store=store)
    assert "killed or cut off" in refused.message
    assert "TRUNCATE" in str(refused.hint)
    server.execute(target, "TRUNCATE t")
    holdfast.restore(rows, server.url(target), store=store)
    assert server.rows("postgres", _MARKS.format(target)) == []
