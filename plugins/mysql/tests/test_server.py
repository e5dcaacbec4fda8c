"""Which server answers: what it says of itself, whatever a proxy greets with and whatever its start options say."""

import re

import pytest
from support.mysql_proxy import statement_proxy
from support.servers.mariadb import MariaDB, running_mariadb

import holdfast
from holdfast_mysql.location import locate
from holdfast_mysql.session import Server, connect


@pytest.mark.parametrize(
    ("text", "mariadb", "version"),
    [
        ("5.5.5-10.11.19-MariaDB-0+deb12u1-log", True, (10, 11, 19)),
        ("11.8.3-MariaDB", True, (11, 8, 3)),
        ("9.7.4-2", False, (9, 7, 4)),
        ("8.0.36", False, (8, 0, 36)),
        ("unknown", False, (0, 0, 0)),
    ],
)
def test_a_version_is_told_by_its_text(text: str, mariadb: bool, version: tuple[int, int, int]) -> None:
    server = Server.of(text)
    assert (server.mariadb, server.version) == (mariadb, version)


@pytest.mark.parametrize("greeting", [b"8.0.11", b"5.5.30 (Proxy)"])
def test_the_server_behind_a_proxy_counts(mariadb: MariaDB, database: str, store: str, greeting: bytes) -> None:
    mariadb.rows("CREATE TABLE t (id INT PRIMARY KEY, u UUID)", database=database)
    with statement_proxy(mariadb.port, re.compile(b"never"), greeting=greeting) as proxy:
        url = f"mysql://root@127.0.0.1:{proxy.own_port}/{database}"
        record = holdfast.backup(url, store=store)
        into = f"mysql://root@127.0.0.1:{proxy.own_port}"
        assert holdfast.drill(record.id, store=store, into=into).state == "proven"


def test_a_server_that_was_given_another_version_is_known() -> None:
    """As hosters do for programs that ask for MySQL: MariaDB alone reads its own comments."""
    with running_mariadb("--version=5.7.99-shop") as server:
        session = connect(locate(server.url(), database=False))
        try:
            assert session.server.mariadb_since(10, 11)
            assert "5.7.99-shop" in session.server.text
            assert Server.of(session.server.text) == session.server
        finally:
            session.close()
