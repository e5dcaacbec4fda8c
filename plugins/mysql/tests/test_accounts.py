"""Accounts and grants: they come along only when asked for, and then with all that was said of them."""

from collections.abc import Callable

from support.servers.mariadb import MariaDB

import holdfast


def test_accounts_come_along_only_when_asked_for(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str]
) -> None:
    """With their passwords, roles and grants; those that exist are left as they are."""
    odd = "o''dd \\\\user"
    with mariadb.connect() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE ROLE reading")
        cursor.execute(f"GRANT SELECT ON `{database}`.* TO reading")
        cursor.execute(f"CREATE USER '{odd}'@'10.%' IDENTIFIED BY 'secret' PASSWORD EXPIRE NEVER")
        cursor.execute(f"GRANT reading TO '{odd}'@'10.%'")
        cursor.execute(f"GRANT ALL ON {database}.* TO '{odd}'@'10.%' WITH GRANT OPTION")
        try:
            queries = (f"SHOW GRANTS FOR '{odd}'@'10.%'", f"SHOW CREATE USER '{odd}'@'10.%'", "SHOW GRANTS FOR reading")
            before = [mariadb.rows(query) for query in queries]
            record = holdfast.backup(mariadb.url(database), store=store, options={"users": True})
            assert any("password hashes" in warning for warning in record.warnings)
            cursor.execute(f"DROP USER '{odd}'@'10.%'")
            cursor.execute("DROP ROLE reading")
            holdfast.restore(record.id, mariadb.url(new_name()), store=store)
            assert not mariadb.rows("SELECT 1 FROM mysql.user WHERE user='reading'")
            holdfast.restore(record.id, mariadb.url(new_name()), store=store, options={"users": True})
            assert [mariadb.rows(query) for query in queries] == before
        finally:
            cursor.execute(f"DROP USER IF EXISTS '{odd}'@'10.%'")
            cursor.execute("DROP ROLE IF EXISTS reading")


def test_accounts_come_back_with_all_that_was_said_of_them(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str]
) -> None:
    """A password that has expired stays so: the grants do not set it again."""
    accounts = {
        "expired": "IDENTIFIED BY 'x' PASSWORD EXPIRE",
        "limited": "IDENTIFIED BY 'x' REQUIRE SSL WITH MAX_QUERIES_PER_HOUR 5 PASSWORD EXPIRE INTERVAL 5 DAY",
        "sockets": "IDENTIFIED VIA unix_socket OR mysql_native_password USING PASSWORD('with require') PASSWORD EXPIRE",
        "nothing": "",
    }
    for name, how in accounts.items():
        mariadb.rows(f"CREATE USER {name}@'%' {how}")
        mariadb.rows(f"GRANT SELECT ON {database}.* TO {name}@'%' WITH GRANT OPTION")
    try:
        queries = [f"SHOW {what} {name}@'%'" for name in accounts for what in ("CREATE USER", "GRANTS FOR")]
        before = [mariadb.rows(query) for query in queries]
        record = holdfast.backup(mariadb.url(database), store=store, options={"users": True})
        for name in accounts:
            mariadb.rows(f"DROP USER {name}@'%'")
        holdfast.restore(record.id, mariadb.url(new_name()), store=store, options={"users": True})
        assert [mariadb.rows(query) for query in queries] == before
    finally:
        for name in accounts:
            mariadb.rows(f"DROP USER IF EXISTS {name}@'%'")
