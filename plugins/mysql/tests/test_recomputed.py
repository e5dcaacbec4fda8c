"""Stored generated columns that depend on the session of whoever wrote the row."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from support.servers.mariadb import MariaDB

import holdfast

_ZONED = (
    "day DATE AS (DATE(ts)) STORED, same DATE AS (DATE(ts)) VIRTUAL, `hour` INT AS (HOUR(ts)) STORED",
    "text VARCHAR(10) AS (CONCAT(day, 'x')) STORED, half DECIMAL(10,1) AS (n / 3) STORED",
    "whole INT UNSIGNED AS (n / 2) STORED, name VARCHAR(20) AS (CONCAT(n, ' ')) STORED",
    "later TIMESTAMP(3) AS (ts + INTERVAL 1 DAY) STORED, KEY (day)",
)
_ROWS = "(1, '2024-01-01 03:00:00', 1), (2, '2024-01-01 12:00:00.5', 7), (3, NULL, NULL)"


def run(server: MariaDB, database: str, *statements: str) -> None:
    with server.connect(database) as connection, connection.cursor() as cursor:
        for statement in statements:
            cursor.execute(statement)


def told(lines: object) -> list[str]:
    return [line for line in map(str, lines if isinstance(lines, list | tuple) else ()) if "generated" in line]


@pytest.mark.parametrize("form", ["wire", "sql"])
def test_values_come_back_as_they_were_computed_in_another_time_zone(
    mariadb: MariaDB,
    database: str,
    new_name: Callable[[], str],
    store: str,
    caplog: pytest.LogCaptureFixture,
    form: str,
) -> None:
    run(
        mariadb,
        database,
        "SET time_zone='+09:00', sql_mode=''",
        f"CREATE TABLE zoned(id INT PRIMARY KEY, ts TIMESTAMP(3) NULL, n INT UNSIGNED, {', '.join(_ZONED)})",
        f"INSERT INTO zoned(id, ts, n) VALUES {_ROWS}",
    )
    record = holdfast.backup(mariadb.url(database), store=store, options={"format": form})
    assert told(record.warnings) == []
    target = new_name()
    caplog.clear()
    for replace in (False, True):
        restored = holdfast.restore(record.id, mariadb.url(target), store=store, replace=replace)
        assert (told(restored.warnings), told(caplog.messages)) == ([], [])
        columns = "id, ts, n, day, `hour`, text, half, whole, name, later"
        assert mariadb.rows(f"SELECT {columns} FROM {target}.zoned") == mariadb.rows(
            f"SELECT {columns} FROM {database}.zoned"
        )
    assert holdfast.drill(record, into=mariadb.url(), store=store).state == "proven"


def test_values_that_no_setting_explains_are_told_of(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str, caplog: pytest.LogCaptureFixture
) -> None:
    """At the backup and at the restore, and those alone that are others afterwards: rows of two time zones."""
    run(
        mariadb,
        database,
        "SET time_zone='+09:00', sql_mode=''",
        f"CREATE TABLE zoned(id INT PRIMARY KEY, ts TIMESTAMP(3) NULL, n INT UNSIGNED, {', '.join(_ZONED)})",
        f"INSERT INTO zoned(id, ts, n) VALUES {_ROWS}",
        "SET time_zone='-07:00'",
        f"INSERT INTO zoned(id, ts, n) VALUES {_ROWS.replace('(', '(1')}",
        "SET time_zone='+00:00'",
        "CREATE TABLE utc(id INT PRIMARY KEY, ts TIMESTAMP, day DATE AS (DATE(ts)) STORED)",
        "INSERT INTO utc(id, ts) VALUES (1, '2024-01-01 03:00:00')",
    )
    record = holdfast.backup(mariadb.url(database), store=store)
    counts = {"day": "1 value", "hour": "4 values", "text": "1 value"}
    lines = [
        f"column zoned.{name} is generated and stored, and a restore, which computes it anew, changes {count} of it: "
        "they were computed under other settings of a session, and not all under the same"
        for name, count in counts.items()
    ]
    assert told(record.warnings) == lines
    caplog.clear()
    holdfast.restore(record.id, mariadb.url(new_name()), store=store)
    assert told(caplog.messages) == lines
    caplog.clear()
    holdfast.restore(record.id, mariadb.url(new_name()), store=store, select=("utc",))
    assert told(caplog.messages) == []


@pytest.fixture
def berlin(mariadb: MariaDB) -> None:
    """One zone with summer and winter that the server knows by name."""
    for statement in (
        "REPLACE INTO mysql.time_zone VALUES (9999, 'N')",
        "REPLACE INTO mysql.time_zone_name VALUES ('Test/Berlin', 9999)",
        "REPLACE INTO mysql.time_zone_transition_type VALUES (9999, 0, 3600, 0, 'CET'), (9999, 1, 7200, 1, 'CEST')",
        "REPLACE INTO mysql.time_zone_transition VALUES (9999, 1711846800, 1), (9999, 1729990800, 0)",
    ):
        mariadb.rows(statement)


@pytest.mark.usefixtures("berlin")
def test_a_time_zone_with_summer_and_winter_is_known_by_its_name(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str
) -> None:
    """Where the target does not know it, that is said, and all else is restored."""
    run(
        mariadb,
        database,
        "SET time_zone='Test/Berlin'",
        "CREATE TABLE t(id INT PRIMARY KEY, ts TIMESTAMP NULL, at DATETIME AS (ts) STORED)",
        "INSERT INTO t(id, ts) VALUES (1, '2024-01-01 12:00:00'), (2, '2024-07-01 12:00:00')",
    )
    record = holdfast.backup(mariadb.url(database), store=store)
    target = new_name()
    assert holdfast.restore(record, mariadb.url(target), store=store).warnings == ()
    assert [str(at) for (at,) in mariadb.rows(f"SELECT at FROM {target}.t")] == [
        "2024-01-01 12:00:00",
        "2024-07-01 12:00:00",
    ]
    manifest = Path(record.path, "backup_manifest.json")
    assert '"Test/Berlin"' in manifest.read_text()
    manifest.write_text(manifest.read_text().replace('"Test/Berlin"', '"Test/Bremen"'))
    (warning,) = holdfast.restore(record.id, mariadb.url(new_name()), store=store).warnings
    assert "does not compute them under time_zone=Test/Bremen" in warning
    manifest.write_text(json.dumps(json.loads(manifest.read_text())).replace('"time_zone":', '"sql_log_bin":'))
    with pytest.raises(holdfast.IntegrityError, match="computed_under"):
        holdfast.restore(record.id, mariadb.url(new_name()), store=store)


_OTHER = {
    "as many digits as usual": ("div_precision_increment=4", "q VARCHAR(40) AS (n / 7) STORED"),
    "fewer digits": ("div_precision_increment=2", "q VARCHAR(40) AS (n / 7) STORED, e VARCHAR(40) AS (id / 4) STORED"),
    "more digits of a quotient": (
        "div_precision_increment=10",
        "q VARCHAR(40) AS (n / 7) STORED, d DOUBLE AS (n / 7) STORED, e VARCHAR(40) AS (id / 4) STORED",
    ),
    "dates with zeros": ("sql_mode='NO_ZERO_DATE,NO_ZERO_IN_DATE'", "d INT AS (DATE('2020-02-30') IS NULL) STORED"),
    "unsigned subtraction": ("sql_mode='NO_UNSIGNED_SUBTRACTION'", "s INT AS (u - v) STORED, KEY (s)"),
    "an index over it": ("sql_mode='NO_UNSIGNED_SUBTRACTION'", "s INT AS (u - v) VIRTUAL, KEY (s)"),
    "a virtual column of it": ("sql_mode='NO_UNSIGNED_SUBTRACTION'", "s INT AS (u - v) VIRTUAL"),
}


def values(server: MariaDB, database: str, setting: str) -> list[tuple[object, ...]]:
    """The rows of a table that the server opens anew: it looks at the mode of virtual columns then alone."""
    server.rows(f"FLUSH TABLES {database}.t")
    return server.rows(f"SELECT * FROM {database}.t", init_command=f"SET {setting}")


@pytest.mark.sweep(6)
@pytest.mark.parametrize("name", _OTHER)
@pytest.mark.parametrize("form", ["wire", "sql"])
def test_settings_under_which_values_were_computed_hold_for_their_table_again(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str, name: str, form: str
) -> None:
    setting, columns = _OTHER[name]
    run(
        mariadb,
        database,
        f"SET {setting}",
        f"CREATE TABLE t(id INT PRIMARY KEY, n DECIMAL(9,2), u INT UNSIGNED, v INT UNSIGNED, {columns})",
        "INSERT INTO t(id, n, u, v) VALUES (1, 1, 1, 2), (2, 10, 5, 3)",
    )
    record = holdfast.backup(mariadb.url(database), store=store, options={"format": form})
    assert told(record.warnings) == []
    target = new_name()
    for infile in (True, False):
        options = {"local_infile": infile}
        assert holdfast.drill(record, into=mariadb.url(), store=store, options=options).state == "proven"
        restored = holdfast.restore(record, mariadb.url(target), store=store, replace=True, options=options)
        assert restored.warnings == ()
        assert values(mariadb, target, setting) == values(mariadb, database, setting)
        assert mariadb.rows(f"SHOW CREATE TABLE {target}.t") == mariadb.rows(f"SHOW CREATE TABLE {database}.t")


def test_what_the_target_has_for_its_sessions_changes_no_value(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str
) -> None:
    run(
        mariadb,
        database,
        "CREATE TABLE t(id INT PRIMARY KEY, n DECIMAL(9,2), q VARCHAR(40) AS (n / 7) STORED)",
        "INSERT INTO t(id, n) VALUES (1, 1)",
    )
    record = holdfast.backup(mariadb.url(database), store=store)
    target = new_name()
    mariadb.rows("SET GLOBAL div_precision_increment=12")
    try:
        holdfast.restore(record, mariadb.url(target), store=store)
    finally:
        mariadb.rows("SET GLOBAL div_precision_increment=DEFAULT")
    assert mariadb.rows(f"SELECT q FROM {target}.t") == mariadb.rows(f"SELECT q FROM {database}.t")


@pytest.mark.parametrize("form", ["wire", "sql"])
def test_commands_by_hand_compute_values_as_they_were(
    mariadb: MariaDB, database: str, by_hand: Callable[..., str], form: str
) -> None:
    run(
        mariadb,
        database,
        "SET time_zone='+09:00', div_precision_increment=10",
        "CREATE TABLE `it's`(id INT PRIMARY KEY, ts TIMESTAMP, at DATETIME AS (ts) STORED, q TEXT AS (id / 7) STORED)",
        "INSERT INTO `it's`(id, ts) VALUES (1, '2024-01-01 03:00:00')",
    )
    target = by_hand(database, form)
    assert mariadb.rows(f"SELECT * FROM {target}.`it's`") == mariadb.rows(f"SELECT * FROM {database}.`it's`")


@pytest.mark.parametrize("form", ["wire", "sql"])
@pytest.mark.parametrize("columns", [columns for setting, columns in _OTHER.values() if "SUBTRACTION" in setting])
def test_commands_by_hand_subtract_as_the_source_did(
    mariadb: MariaDB, database: str, by_hand: Callable[..., str], form: str, columns: str
) -> None:
    setting = "sql_mode='NO_UNSIGNED_SUBTRACTION'"
    run(
        mariadb,
        database,
        f"SET {setting}",
        f"CREATE TABLE t(id INT PRIMARY KEY, u INT UNSIGNED, v INT UNSIGNED, w TEXT, {columns})",
        "INSERT INTO t(id, u, v, w) VALUES (1, 1, 2, 'NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES')",
    )
    target = by_hand(database, form)
    assert values(mariadb, target, setting) == values(mariadb, database, setting)


def test_settings_that_the_target_does_not_know_are_told_of(
    mariadb: MariaDB, database: str, new_name: Callable[[], str], store: str
) -> None:
    run(
        mariadb,
        database,
        "SET div_precision_increment=10",
        "CREATE TABLE t(id INT PRIMARY KEY, q VARCHAR(40) AS (id / 7) STORED)",
        "INSERT INTO t(id) VALUES (1)",
    )
    record = holdfast.backup(mariadb.url(database), store=store)
    manifest = Path(record.path, "backup_manifest.json")
    name = "default_collation_for_utf8mb4"
    manifest.write_text(manifest.read_text().replace('"div_precision_increment"', f'"{name}"'))
    (warning,) = holdfast.restore(record, mariadb.url(new_name()), store=store).warnings
    assert f"this server has no {name}, and they were computed under {name}=" in warning
