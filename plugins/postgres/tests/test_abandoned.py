"""What a restore that was killed leaves on the server: dropped by the next run if it is ours and dead, else named."""

import secrets
from collections.abc import Callable, Iterator

import pytest
from support.postgres_statement_proxy import statement_proxy
from support.servers.postgres import PostgresServer

import holdfast
from holdfast.errors import UnsafeError
from holdfast_postgres.location import Location
from holdfast_postgres.scratch import list_databases
from holdfast_postgres.session import connected
from holdfast_postgres.target import abandoned
from holdfast_postgres.target.temporary import UNFINISHED, replaced_comment
from holdfast_postgres.unfinished import FRESH_LIMIT, LOCK_KEY


@pytest.fixture
def backup(server: PostgresServer, database: str, store: str) -> holdfast.Backup:
    server.execute(database, "CREATE TABLE t AS SELECT generate_series(1, 9) AS a")
    return holdfast.backup(server.url(database), store=store)


@pytest.fixture
def leave(server: PostgresServer) -> Iterator[Callable[..., str]]:
    """Makes a database of a name as a restore gives it, with a comment and a limit of sessions."""
    names = []

    def left(comment: str | None, *, word: str = "holdfast", limit: int = -1, owner: str = "postgres") -> str:
        name = f"shop_{word}_{secrets.token_hex(4)}"
        names.append(name)
        text = "NULL" if comment is None else f"'{comment}'"
        server.execute("postgres", f"CREATE DATABASE {name} CONNECTION LIMIT {limit} OWNER {owner}")
        server.execute("postgres", f"COMMENT ON DATABASE {name} IS {text}")
        return name

    yield left
    for name in names:
        server.drop(name)


def test_only_what_is_ours_and_dead_is_dropped(
    server: PostgresServer, backup: holdfast.Backup, target: str, store: str, leave: Callable[..., str]
) -> None:
    """Not what a living restore holds, not what somebody uses or has filled, not what only has the name or the mark."""
    there = server.value("postgres", f"SELECT oid::int FROM pg_database WHERE datname = '{target}'")
    dead = [
        leave(UNFINISHED),
        leave(None, limit=FRESH_LIMIT),
        leave(replaced_comment(there, "of the shop"), word="holdfast_old"),
        leave(UNFINISHED),
    ]
    server.execute("postgres", f"UPDATE pg_database SET datconnlimit = -2 WHERE datname = '{dead[-1]}'")
    held, used, filled = leave(UNFINISHED), leave(UNFINISHED), leave(None, limit=FRESH_LIMIT)
    last = leave(replaced_comment(99, None), word="holdfast_old")  # perhaps the only copy
    others = [held, used, filled, last, leave(None), leave("somebody''s"), leave(UNFINISHED, word="of")]
    server.execute(filled, "CREATE TABLE t (a int)")
    listed = {url.partition("?")[0].rpartition("/")[2] for url in list_databases(server.url(""))}
    assert set(others[4:6]) <= listed
    assert not {*dead, held, used, filled, last} & listed
    with server.connect(used), server.connect() as living:
        living.execute("SELECT pg_advisory_lock(%s, hashtext(%s))", (LOCK_KEY, held))
        said = holdfast.restore(backup, server.url(target), store=store).warnings
    assert server.databases().isdisjoint(dead)
    assert set(others) <= server.databases()
    dropped = [line for line in said if line.startswith("dropped database")]
    assert all(any(name in line for line in dropped) for name in dead)
    assert len(dropped) == len(dead)
    assert any(used in line and "a session is in it" in line and "DROP DATABASE" in line for line in said)
    assert any(last in line and f'ALTER DATABASE "{last}" RENAME' in line for line in said)
    assert len(said) == len(dead) + 2


def test_every_kind_of_run_sweeps_but_a_dry_one_and_says_so(
    server: PostgresServer,
    backup: holdfast.Backup,
    target: str,
    store: str,
    leave: Callable[..., str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A restore that is refused too: it is the first thing that somebody will try."""
    name = leave(UNFINISHED)
    plan = holdfast.RestorePlan(backup=backup.id, target=server.url(target), store=store)
    assert not holdfast.restore(plan, dry_run=True).warnings
    assert name in server.databases()
    assert any(name in line for line in holdfast.drill(backup, store=store, into=server.url("")).warnings)
    assert name not in server.databases()
    server.execute(target, "CREATE TABLE something (a int)")
    name = leave(UNFINISHED)
    with pytest.raises(UnsafeError, match="not empty"):
        holdfast.restore(plan)
    assert name not in server.databases()
    assert any(f"dropped database '{name}'" in line or f"dropped database {name}" in line for line in caplog.messages)


def test_what_the_role_may_not_drop_is_named(
    server: PostgresServer, backup: holdfast.Backup, role: str, store: str, leave: Callable[..., str]
) -> None:
    name = leave(UNFINISHED)
    url = server.url(f"{role}_new", role)
    try:
        said = holdfast.restore(backup, url, store=store, options={"create": "true", "no_owner": "true"}).warnings
        assert any(name in line and "must be owner" in line and "DROP DATABASE" in line for line in said)
        assert name in server.databases()
    finally:
        server.drop(f"{role}_new")


def test_a_restore_that_lives_is_swept_at_no_moment(
    server: PostgresServer, backup: holdfast.Backup, target: str, store: str
) -> None:
    """From before its database is made to after the replaced one is dropped."""
    server.execute(target, "CREATE TABLE old (a int)")
    said: list[str] = []
    looks = 0
    with statement_proxy(server.port) as proxy:

        def look(_number: int, statement: bytes, _session: int) -> bool:
            nonlocal looks
            if b"DATABASE" in statement or statement.startswith((b"COPY", b"COMMIT")):
                looks += 1
                location = Location.parse(server.url("postgres"), connect_timeout=10)
                with connected(location) as connection:
                    said.extend(abandoned.sweep(connection, location))
            return True

        proxy.at = proxy.after = look
        url = f"postgresql://postgres@127.0.0.1:{proxy.own_port}/{target}?sslmode=disable"
        holdfast.restore(backup, url, store=store, replace=True)
    assert looks > 10
    assert said == []
    assert server.value(target, "SELECT count(*) FROM t") == 9
