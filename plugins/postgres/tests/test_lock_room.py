"""Servers with room for few locks: nothing takes more of it than it must, and want of it says what to set."""

from collections.abc import Iterator

import pytest
from support.servers.postgres import PostgresServer, running

import holdfast
from holdfast.api import HoldfastError


@pytest.fixture(scope="module")
def small() -> Iterator[PostgresServer]:
    """A server with room for 820 locks, ten for each of its 82 sessions, transactions and processes, and for twice."""
    with running(settings="max_locks_per_transaction = 10\n") as server:
        yield server


def _make(server: PostgresServer, database: str, tables: int, columns: str) -> None:
    server.create(database)
    with server.connect(database) as connection:
        for start in range(0, tables, 50):
            numbers = range(start, min(start + 50, tables))
            connection.execute("".join(f"CREATE TABLE t{number} ({columns});" for number in numbers))


def test_a_proof_and_a_drill_lock_no_more_at_once_than_a_dump(small: PostgresServer, store: str) -> None:
    """Each table has an index and a TOAST table with one, which would be four times the locks."""
    _make(small, "proven", 700, "id int PRIMARY KEY, t text")
    small.execute("proven", "CREATE VIEW v AS SELECT t0.id FROM t0, t1")
    backup = holdfast.backup(small.url("proven"), store=store, proof=True)
    assert backup.warnings == ()
    assert holdfast.drill(backup.id, store=store, into=small.url("")).passed


def test_a_backup_of_more_tables_than_there_is_room_for_says_what_to_set(small: PostgresServer, store: str) -> None:
    _make(small, "many", 2500, "id int")
    with pytest.raises(HoldfastError, match=r"locks about 2500 objects at once.* room for [89]\d\d locks") as caught:
        holdfast.backup(small.url("many"), store=store)
    assert caught.value.hint is not None
    assert "max_locks_per_transaction to 64 on the server, where it is 10" in caught.value.hint
    # One that is small enough is not kept from it.
    assert holdfast.backup(small.url("many"), store=store, select=["t1?"]).state == "complete"


def test_a_merge_that_cannot_succeed_is_refused_before_anything_has_happened(small: PostgresServer, store: str) -> None:
    _make(small, "merged", 500, "id int PRIMARY KEY, t text")
    backup = holdfast.backup(small.url("merged"), store=store)
    small.execute("merged", "CREATE TABLE other (a int)", "INSERT INTO t0 VALUES (1)")
    with pytest.raises(HoldfastError, match=r"putting the selection into database merged locks about \d+ objects"):
        holdfast.restore(backup.id, small.url("merged"), store=store, select=["t*"], replace=True)
    assert small.value("merged", "SELECT count(*) FROM t0") == 1
    assert {"merged"} == {name for name in small.databases() if "merged" in name}


def test_a_failed_restore_of_more_than_fits_into_the_locks_is_undone(small: PostgresServer, store: str) -> None:
    """To drop a schema locks each thing in it at once."""
    _make(small, "undone", 700, "id int PRIMARY KEY, t text")
    with small.connect("undone") as connection:
        connection.execute("CREATE TABLE part (id int) PARTITION BY LIST (id)")
        for number in range(20):
            connection.execute(f"CREATE TABLE part_{number} PARTITION OF part FOR VALUES IN ({number})")
            connection.execute(f"CREATE FUNCTION f{number}(int) RETURNS int LANGUAGE sql AS 'SELECT 1'")
            connection.execute("SELECT lo_create(0) FROM generate_series(1, 100)")
        # Refused as the last thing.
        connection.execute("CREATE TABLE z (id int, twin int REFERENCES t0); INSERT INTO t0 VALUES (1)")
        connection.execute("INSERT INTO z VALUES (1, 1); SET session_replication_role TO replica; DELETE FROM t0")
    backup = holdfast.backup(small.url("undone"), store=store)
    small.create("empty")
    with pytest.raises(HoldfastError, match="foreign key") as caught:
        holdfast.restore(backup.id, small.url("empty"), store=store)
    assert "left in" not in caught.value.message
    assert small.relations("empty") == set()
    assert small.value("empty", "SELECT count(*) FROM pg_largeobject_metadata") == 0
