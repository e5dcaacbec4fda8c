"""Partitions whose DETACH PARTITION CONCURRENTLY was interrupted: a backup names them."""

import threading
import time

import psycopg
import pytest
from support.servers.postgres import PostgresServer

import holdfast


def test_a_partition_that_is_half_detached_is_named(server: PostgresServer, database: str, store: str) -> None:
    """Readers of the table see its rows no longer, but pg_dump attaches it again."""
    server.execute(
        database,
        "CREATE TABLE whole (a int) PARTITION BY RANGE (a)",
        "CREATE TABLE part PARTITION OF whole FOR VALUES FROM (0) TO (10)",
        "INSERT INTO whole VALUES (1)",
    )
    detach_half(server, database, "whole", "part")
    assert server.value(database, "SELECT count(*) FROM whole") == 0
    record = holdfast.backup(server.url(database), store=store, proof=True)
    (warning,) = record.warnings
    assert "public.part" in warning
    assert "FINALIZE" in warning
    assert holdfast.drill(record.id, store=store, into=server.url("")).state == "proven"


def detach_half(server: PostgresServer, database: str, table: str, partition: str) -> None:
    """Interrupt DETACH PARTITION CONCURRENTLY while it waits for a reader."""
    pending = f"SELECT inhdetachpending FROM pg_inherits WHERE inhrelid = '{partition}'::regclass"
    with server.connect(database) as reader, server.connect(database) as detaching:
        reader.execute("BEGIN")
        reader.execute(f"SELECT FROM {table}".encode())

        def detach() -> None:
            with pytest.raises(psycopg.errors.QueryCanceled):
                detaching.execute(f"ALTER TABLE {table} DETACH PARTITION {partition} CONCURRENTLY".encode())

        thread = threading.Thread(target=detach)
        thread.start()
        while not server.value(database, pending):
            time.sleep(0.01)
        detaching.cancel_safe()
        thread.join()
