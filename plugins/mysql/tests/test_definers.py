"""Definers whose rights are those on the database that was backed up: under another name they have none."""

from collections.abc import Callable, Iterator

import pytest
from support.servers.mariadb import MariaDB

import holdfast

_VIEWS = "SELECT table_name, definer, security_type FROM information_schema.views WHERE table_schema='{}' ORDER BY 1"
_ROUTINES = "SELECT routine_name, definer FROM information_schema.routines WHERE routine_schema='{}' ORDER BY 1"


@pytest.fixture(params=["limited@'%'", "holder"])
def defined(mariadb: MariaDB, database: str, request: pytest.FixtureRequest) -> Iterator[tuple[str, str]]:
    """Views and a function of an account, or of a role, with rights on this database alone; some read each other."""
    definer = request.param
    word = "USER" if "@" in definer else "ROLE"
    with mariadb.connect(database) as connection, connection.cursor() as cursor:
        for statement in (
            f"CREATE {word} {definer}",
            f"GRANT SELECT, EXECUTE, SHOW VIEW ON {database}.* TO {definer}",
            "SET GLOBAL log_bin_trust_function_creators=1",
            "CREATE TABLE t(a INT)",
            "INSERT INTO t VALUES (1)",
            f"CREATE DEFINER={definer} VIEW leaf AS SELECT a FROM t",
            f"CREATE DEFINER={definer} FUNCTION f() RETURNS INT READS SQL DATA RETURN (SELECT max(a) FROM t)",
            "CREATE VIEW above AS SELECT a, f() AS x FROM leaf",
            f"CREATE DEFINER={definer} VIEW between_them AS SELECT a FROM leaf",
            f"CREATE DEFINER={definer} VIEW calling AS SELECT f() AS q",
            f"CREATE DEFINER={definer} SQL SECURITY INVOKER VIEW invoked AS SELECT a FROM leaf",
            "CREATE VIEW top AS SELECT q FROM calling",
        ):
            cursor.execute(statement)
    yield database, definer
    mariadb.rows(f"DROP {word} {definer}")


@pytest.mark.sweep(2)
@pytest.mark.parametrize("form", ["wire", "sql"])
def test_views_of_such_definers_come_back_under_another_name(
    mariadb: MariaDB, defined: tuple[str, str], round_trip: Callable[..., str], by_hand: Callable[..., str],
    caplog: pytest.LogCaptureFixture, form: str,
) -> None:  # fmt: skip
    database, definer = defined
    targets = [round_trip(database, backup={"options": {"format": form}})]
    assert "cannot be read before their definers" in caplog.text
    targets.append(by_hand(database, form))
    for target in targets:
        for query in (_VIEWS, _ROUTINES):
            assert mariadb.rows(query.format(target)) == mariadb.rows(query.format(database))
        mariadb.rows(f"GRANT SELECT, EXECUTE, SHOW VIEW ON {target}.* TO {definer}")
        for name, row in (
            ("above", (1, 1)),
            ("between_them", (1,)),
            ("calling", (1,)),
            ("invoked", (1,)),
            ("top", (1,)),
        ):
            assert mariadb.rows(f"SELECT * FROM {target}.{name}") == [row]


def test_a_drill_compares_views_of_such_definers(
    mariadb: MariaDB, defined: tuple[str, str], store: str, caplog: pytest.LogCaptureFixture
) -> None:
    database, _ = defined
    record = holdfast.backup(mariadb.url(database), store=store)
    result = holdfast.drill(record, store=store, into=mariadb.url())
    assert (result.state, result.problems, result.warnings) == ("proven", (), ())
    holdfast.restore(record.id, mariadb.url(database), store=store, replace=True)
    assert "cannot be read" not in caplog.text
    assert mariadb.rows(f"SELECT * FROM {database}.above") == [(1, 1)]
