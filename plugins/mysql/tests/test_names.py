"""Names as the server tells them apart: by case, or not at all (lower_case_table_names)."""

from collections.abc import Callable

from support.servers.mariadb import MariaDB

import holdfast


def test_databases_that_differ_by_case_have_nothing_of_each_other(
    mariadb: MariaDB, new_name: Callable[[], str], store: str
) -> None:
    """MariaDB compares names without case where it lists objects."""
    lower, target = new_name(), new_name()
    upper = lower.upper()
    for name, letter in ((lower, "a"), (upper, "b")):
        mariadb.rows(f"CREATE DATABASE {name}")
        for statement in (
            f"TABLE {letter}(id INT PRIMARY KEY)",
            f"VIEW v{letter} AS SELECT 1",
            f"PROCEDURE p{letter}() SELECT 1",
            f"FUNCTION f{letter}() RETURNS INT DETERMINISTIC RETURN 1",
            f"TRIGGER t{letter} BEFORE INSERT ON {letter} FOR EACH ROW SET @a = 1",
            f"EVENT e{letter} ON SCHEDULE EVERY 1 DAY DO SELECT 1",
            f"SEQUENCE s{letter}",
        ):
            mariadb.rows(f"CREATE {statement}", database=name)
    try:
        record = holdfast.backup(mariadb.url(lower), store=store)
        holdfast.restore(record.id, mariadb.url(target), store=store)
        assert mariadb.rows(f"SHOW TABLES FROM {target}") == [("a",), ("sa",), ("va",)]
        assert [name for (name, *_) in mariadb.rows(f"SHOW TRIGGERS FROM {target}")] == ["ta"]
        routines = "SELECT routine_name FROM information_schema.routines WHERE routine_schema='{}' ORDER BY 1"
        assert mariadb.rows(routines.format(target)) == [("fa",), ("pa",)]
        mariadb.rows(f"DROP DATABASE {target}")
        holdfast.restore(record.id, mariadb.url(upper), store=store, replace=True)
        assert mariadb.rows(f"SHOW TABLES FROM {lower}") == [("a",), ("sa",), ("va",)]
        assert mariadb.rows(f"SHOW TABLES FROM {upper}") == [("a",), ("sa",), ("va",)]
        assert holdfast.drill(record.id, store=store, into=mariadb.url()).state == "proven"
    finally:
        mariadb.rows(f"DROP DATABASE IF EXISTS {upper}")
