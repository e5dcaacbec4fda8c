"""Accounts and grants: they come along only when asked for, and then with all that was said of them."""

from collections.abc import Callable

import pytest
from support.servers.mariadb import MariaDB

import holdfast
from holdfast_mysql.definitions.script import Statement
from holdfast_mysql.location import locate
from holdfast_mysql.restore import accounts
from holdfast_mysql.session import connect


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


def test_what_everybody_is_granted_comes_along(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str], caplog: pytest.LogCaptureFixture
) -> None:
    grant = f"GRANT SELECT ON `{database}`.* TO PUBLIC"
    mariadb.rows(grant)
    try:
        record = holdfast.backup(mariadb.url(database), store=store, options={"users": True})
        mariadb.rows(f"REVOKE SELECT ON `{database}`.* FROM PUBLIC")
        holdfast.restore(record.id, mariadb.url(new_name()), store=store, options={"users": True})
        assert mariadb.rows("SHOW GRANTS FOR PUBLIC") == [(grant,)]
        caplog.clear()
        holdfast.restore(record.id, mariadb.url(new_name()), store=store, options={"users": True})
        assert any("left as they are" in line and "PUBLIC" in line for line in caplog.messages)
    finally:
        mariadb.rows(f"REVOKE SELECT ON `{database}`.* FROM PUBLIC")


def test_a_warning_that_means_another_account_is_an_error(mariadb: MariaDB) -> None:
    """The server says in a note only that it made none."""
    session = connect(locate(mariadb.url(), database=False))
    body = b"CREATE ROLE IF NOT EXISTS 'there'"
    mariadb.rows("CREATE ROLE there")
    try:
        with pytest.raises(holdfast.HoldfastError, match=r"does not make account other as it was: .*there.*exists"):
            accounts.apply(session, [Statement(kind="account", name="other", body=body)], [])
    finally:
        mariadb.rows("DROP ROLE there")
        session.close()


def test_accounts_are_gone_again_where_a_restore_fails(
    mariadb: MariaDB, database: str, store: str, new_name: Callable[[], str]
) -> None:
    """One that has no grants yet could be the one that the server takes whoever restores for."""
    mariadb.rows("CREATE ROLE looking")
    mariadb.rows("CREATE USER weak@'10.%' IDENTIFIED BY 'x'")
    mariadb.rows("CREATE DEFINER=weak@'10.%' FUNCTION " + database + ".f() RETURNS INT DETERMINISTIC RETURN 1")
    record = holdfast.backup(mariadb.url(database), store=store, options={"users": True})
    mariadb.rows("DROP USER weak@'10.%'")
    mariadb.rows("DROP ROLE looking")
    mariadb.rows("INSTALL SONAME 'simple_password_check'")
    query = "SELECT user FROM mysql.user WHERE user IN ('weak', 'looking')"
    try:
        session = connect(locate(mariadb.url(), database=False))
        own = Statement(kind="account", name="looking", body=b"CREATE ROLE IF NOT EXISTS 'looking'")
        made: list[Statement] = []
        for expected in ([own], []):  # of the second time somebody else has made it
            made.clear()
            accounts._make(session, [own], made)
            assert made == expected
        session.execute("DROP ROLE looking")
        session.close()
        with pytest.raises(holdfast.HoldfastError, match="takes no password that it cannot test") as caught:
            holdfast.restore(record.id, mariadb.url(new_name()), store=store, options={"users": True})
        assert "strict_password_validation=OFF" in str(caught.value.hint)
        assert mariadb.rows(query) == []
        mariadb.rows("SET GLOBAL strict_password_validation=OFF")
        holdfast.restore(record.id, mariadb.url(new_name()), store=store, options={"users": True})
        assert sorted(mariadb.rows(query)) == [("looking",), ("weak",)]
    finally:
        mariadb.rows("SET GLOBAL strict_password_validation=ON")
        mariadb.rows("UNINSTALL SONAME 'simple_password_check'")
        mariadb.rows("DROP USER IF EXISTS weak@'10.%'")
        mariadb.rows("DROP ROLE IF EXISTS looking")
