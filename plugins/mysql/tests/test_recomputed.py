"""Stored generated columns that depend on the session of whoever wrote the row."""

from collections.abc import Callable

import pytest
from support.servers.mariadb import MariaDB

import holdfast


def test_values_that_a_restore_computes_otherwise_are_told_of(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str, caplog: pytest.LogCaptureFixture
) -> None:
    """At the backup and at the restore, and those alone that are others afterwards."""
    zoned = (
        "day DATE AS (DATE(ts)) STORED, same DATE AS (DATE(ts)) VIRTUAL, `hour` INT AS (HOUR(ts)) STORED",
        "text VARCHAR(10) AS (CONCAT(day, 'x')) STORED, half DECIMAL(10,1) AS (n / 3) STORED",
        "whole INT UNSIGNED AS (n / 2) STORED, name VARCHAR(20) AS (CONCAT(n, ' ')) STORED",
        "later TIMESTAMP(3) AS (ts + INTERVAL 1 DAY) STORED, KEY (day)",
    )
    rows = "(1, '2024-01-01 03:00:00', 1), (2, '2024-01-01 12:00:00.5', 7), (3, NULL, NULL)"
    with mariadb.connect(database) as connection, connection.cursor() as cursor:
        for statement in (
            "SET time_zone='+09:00', sql_mode=''",
            f"CREATE TABLE zoned(id INT PRIMARY KEY, ts TIMESTAMP(3) NULL, n INT UNSIGNED, {', '.join(zoned)})",
            f"INSERT INTO zoned(id, ts, n) VALUES {rows}",
            "SET time_zone='+00:00'",
            "CREATE TABLE utc(id INT PRIMARY KEY, ts TIMESTAMP, day DATE AS (DATE(ts)) STORED)",
            "INSERT INTO utc(id, ts) VALUES (1, '2024-01-01 03:00:00')",
        ):
            cursor.execute(statement)
    record = holdfast.backup(mariadb.url(database), store=store)
    counts = {"day": "1 value", "hour": "2 values", "text": "1 value"}
    told = [
        f"column zoned.{name} is generated and stored, and a restore, which computes it in UTC, changes {count} of it: "
        "they were computed in another time zone or language"
        for name, count in counts.items()
    ]
    assert [warning for warning in record.warnings if "generated" in warning] == told
    target = new_name()
    caplog.clear()
    holdfast.restore(record.id, mariadb.url(target), store=store)
    assert [entry.getMessage() for entry in caplog.records if "generated" in entry.getMessage()] == told
    columns = "id, half, whole, name, later"
    assert mariadb.rows(f"SELECT {columns} FROM {target}.zoned") == mariadb.rows(
        f"SELECT {columns} FROM {database}.zoned"
    )
    caplog.clear()
    holdfast.restore(record.id, mariadb.url(new_name()), store=store, select=("utc",))
    assert "generated" not in caplog.text
