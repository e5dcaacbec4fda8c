"""A standby ends what stands in the way of replaying changes: a backup there says so, and what to set."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.postgres_faults import fill_big, wait_until
from support.servers.postgres import PostgresServer, running, server_folder

import holdfast
from holdfast.api import DumpRequest, HoldfastError, LockedError
from holdfast_postgres.dump import open_dump
from holdfast_postgres.options import PostgresOptions


@pytest.fixture(scope="module")
def servers() -> Iterator[tuple[PostgresServer, PostgresServer]]:
    """A primary, and a standby that waits for nobody."""
    with running() as primary, server_folder(primary.run) as folder:
        standby = primary.standby(folder, "max_standby_streaming_delay = 0\nhot_standby_feedback = off\n")
        try:
            yield primary, standby
        finally:
            standby.stop()


@pytest.fixture
def app(servers: tuple[PostgresServer, PostgresServer]) -> Iterator[str]:
    """A database on both, with rows that take a while."""
    primary, standby = servers
    with primary.database() as name:
        fill_big(primary, name)
        primary.execute(name, "CREATE TABLE other (a int)", "DELETE FROM big WHERE n % 2 = 0")
        _replay(primary, standby)
        yield name


def _replay(primary: PostgresServer, standby: PostgresServer, *, unless: str = "false") -> None:
    """Let the standby have all that the primary has done, what is not committed included."""
    lsn = primary.value("postgres", "SELECT pg_switch_wal()")
    wait_until(lambda: bool(standby.value("postgres", f"SELECT pg_last_wal_replay_lsn() >= '{lsn}' OR {unless}")))


# The recovery waits for a page that a session is reading, or for a lock.
_WAITING = """
    EXISTS (SELECT FROM pg_stat_activity WHERE backend_type = 'startup' AND wait_event = 'BufferPin')
    OR EXISTS (SELECT FROM pg_locks WHERE NOT granted)
"""


def _read_disturbed(
    primary: PostgresServer, standby: PostgresServer, app: str, change: str, folder: Path, options: PostgresOptions
) -> None:
    """Read a backup of the standby while a change of the primary is replayed there."""
    with open_dump(DumpRequest(url=standby.url(app), scratch=folder, options=options)) as session:
        stream = next((stream for stream in session.streams if stream.name.startswith("data/")), session.streams[0])
        reading = session.read(stream)
        next(reading)
        primary.execute(app, change)
        # Rows that are all read before the change comes conflict with no VACUUM.
        _replay(primary, standby, unless=_WAITING)
        list(reading)  # a session that waits for its client to read is not cancelled
        _replay(primary, standby)
        session.facts()


def test_a_copy_that_goes_on_by_itself_is_told_from_the_original(
    servers: tuple[PostgresServer, PostgresServer], app: str, store: str
) -> None:
    """Its system identifier is the same; a standby, and what takes its place, is the original."""
    primary, standby = servers
    with server_folder(primary.run) as folder:
        clone = primary.standby(folder, "")
        try:
            clone.execute("postgres", "SELECT pg_promote()")
            first, _, copied = (
                holdfast.backup(server.url(app), store=store).id for server in (primary, standby, clone)
            )
            assert holdfast.prune(store, keep_last=3, dry_run=True).warnings == ()
            newest = holdfast.backup(primary.url(app), store=store).id
            kept = holdfast.backup(clone.url(app), store=store).id
        finally:
            clone.stop()
    pruned = holdfast.prune(store, keep_last=1)
    assert {first, copied} <= {choice.id for choice in pruned.deleted}
    assert {newest, kept} <= {choice.id for choice in pruned.choices if choice.keep}
    assert "one server is a copy of another" in pruned.warnings[0]


@pytest.mark.parametrize("change", ["DROP TABLE other", "VACUUM big", "TRUNCATE big"])
@pytest.mark.parametrize("options", [PostgresOptions(format="custom"), PostgresOptions(large_table="0")])
def test_a_conflict_with_recovery_is_told_as_one(
    servers: tuple[PostgresServer, PostgresServer], app: str, tmp_path: Path, change: str, options: PostgresOptions
) -> None:
    """Whether it hits the session that holds the snapshot, or one that reads rows: exit code 11, and what to set."""
    primary, standby = servers
    with pytest.raises(LockedError, match="conflict with recovery") as caught:
        _read_disturbed(primary, standby, app, change, tmp_path, options)
    assert "max_standby_streaming_delay" in str(caught.value.hint)
    assert "back up the primary" in str(caught.value.hint)
    assert standby.quiet()


def test_a_backup_that_nothing_disturbs_is_one(
    servers: tuple[PostgresServer, PostgresServer], app: str, store: str
) -> None:
    """Of the same standby, proven on the primary."""
    primary, standby = servers
    record = holdfast.backup(standby.url(app), store=store, proof=True)
    assert holdfast.drill(record.id, store=store, into=primary.url("")).state == "proven"


def test_a_lock_of_the_primary_is_told_as_one(
    servers: tuple[PostgresServer, PostgresServer], app: str, tmp_path: Path
) -> None:
    """The recovery holds it, and no session that could be ended."""
    primary, standby = servers
    request = DumpRequest(url=standby.url(app), scratch=tmp_path, options=PostgresOptions(lock_timeout=0.3))
    with primary.connect(app) as changing:
        changing.execute("BEGIN; ALTER TABLE other ADD b int")
        _replay(primary, standby)
        refused = pytest.raises(LockedError, match=r"public\.other.*recovery, for a transaction of the primary")
        with refused, open_dump(request):
            pass


def test_a_drill_on_a_standby_is_refused_with_where_to_go(
    servers: tuple[PostgresServer, PostgresServer], app: str, store: str
) -> None:
    primary, standby = servers
    record = holdfast.backup(primary.url(app), store=store, select=("other",))
    with pytest.raises(HoldfastError, match="cannot make database") as caught:
        holdfast.drill(record.id, store=store, into=standby.url("postgres"))
    assert "name the primary" in str(caught.value.hint)
