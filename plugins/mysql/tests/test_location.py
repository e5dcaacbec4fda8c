"""Where a URL leads: its own words first, then the environment, then the client's option files."""

import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.servers.mariadb import MariaDB, running_mariadb

import holdfast
from holdfast_mysql.location.database_url import locate
from holdfast_mysql.location.option_files import client_options
from holdfast_mysql.session import Server, connect


@pytest.fixture
def home(tmp_path: Path) -> Callable[[str], dict[str, str]]:
    """Writes `~/.my.cnf` and returns the environment."""

    def write(text: str) -> dict[str, str]:
        (tmp_path / ".my.cnf").write_text(text)
        return {"HOME": str(tmp_path)}

    return write


@given(st.text(min_size=1, max_size=20), st.text(min_size=1, max_size=20).filter(lambda text: text.isprintable()))
def test_any_character_may_be_in_a_password_or_a_user(password: str, user: str) -> None:
    url = f"mysql://{quote(user, safe='')}:{quote(password, safe='')}@db:3307/shop"
    location = locate(url, environ={"HOME": "/nowhere"})
    assert (location.user, location.password, location.host, location.port) == (user, password, "db", 3307)
    assert repr(location) == repr(replace(location, password="another"))


def test_what_the_url_leaves_out_comes_from_the_option_file(home: Callable[[str], dict[str, str]]) -> None:
    environ = home(
        "# comment\n[mysqld]\nuser=wrong\n[client]\nuser = app # not this\npassword = 'p#s\"\\\\w'\nhost=db.example\n"
        "port=3310\nssl-ca=/ca.pem\n[mysqldump]\nuser=wrong\n"
    )
    location = locate("mysql:///shop", environ=environ)
    assert (location.user, location.password, location.host, location.port) == ("app", 'p#s"\\w', "db.example", 3310)
    assert (location.ssl_mode, location.ssl_ca) == ("verify_ca", "/ca.pem")
    other = locate("mysql://me@else:1/shop?ssl_mode=disabled", environ={**environ, "MYSQL_PWD": "from env"})
    assert (other.user, other.password, other.host, other.port, other.ssl_mode) == (
        "me",
        "from env",
        "else",
        1,
        "disabled",
    )
    assert locate("mysql://me:own@else/shop", environ=environ).password == "own"
    assert locate("mysql://me:@else/shop", environ=environ).password == ""


def test_the_option_file_says_socket_and_port_of_a_host_without_one(home: Callable[[str], dict[str, str]]) -> None:
    """As for the stock clients: localhost is the socket, unless a port is named; other hosts get the port."""
    environ = home("[client]\nsocket=/run/other.sock\nport=3310\n")
    for url, socket, port in (
        ("mysql://localhost/shop", "/run/other.sock", 3310),
        ("mysql:///shop", "/run/other.sock", 3310),
        ("mysql://localhost/shop?socket=/own.sock", "/own.sock", 3310),
        ("mysql://localhost:3307/shop", "", 3307),
        ("mysql://127.0.0.1/shop", "", 3310),
        ("mysql://db:3307/shop", "", 3307),
    ):
        location = locate(url, environ=environ)
        assert (location.socket, location.port) == (socket, port), url


def test_option_files_include_others(home: Callable[[str], dict[str, str]], tmp_path: Path) -> None:
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d/a.cnf").write_text("[client-mariadb]\nsocket=/a\\sb\nskip-ssl\n")
    (tmp_path / "conf.d/b.txt").write_text("[client]\nsocket=/wrong\n")
    (tmp_path / "loop.cnf").write_text("!include loop.cnf\n[client]\nuser=looped\n")
    environ = home("!includedir conf.d\n!include loop.cnf\n!include missing.cnf\n[client]\nunknown=1\n")
    options = client_options(environ)
    assert (options["socket"], options["skip-ssl"], options["user"]) == ("/a b", "1", "looped")
    assert locate("mysql:///shop", environ=environ).socket == "/a b"
    assert locate("mysql:///shop", environ=environ).ssl_mode == "disabled"


@pytest.mark.parametrize(
    "text",
    [
        "mysql://a,b/shop",
        "mysql://a//",
        "mysql://a/x?connect_timeout=soon",
        "mysql://a/x?connect_timeout=0",
        "mysql://a/%F0%9F%98%80",
    ],
)
def test_what_names_no_database_is_refused(text: str) -> None:
    with pytest.raises(holdfast.UsageError):
        locate(text, environ={"HOME": "/nowhere"})


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
def test_servers_are_told_by_their_greeting(text: str, mariadb: bool, version: tuple[int, int, int]) -> None:
    server = Server.of(text)
    assert (server.mariadb, server.version) == (mariadb, version)


def test_every_way_to_one_database_is_one_source(mariadb: MariaDB, database: str, store: str) -> None:
    """Over the socket, by address and by name: one name in the store, no second source."""
    for url in (
        mariadb.url(database),
        f"mariadb://root@localhost:{mariadb.port}/{database}",
        f"mysql://root@localhost/{database}?socket={mariadb.socket}",
    ):
        assert holdfast.backup(url, store=store).name == database


@pytest.fixture(scope="module")
def encrypted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[MariaDB, Path]]:
    """A server with a certificate of its own, which is its own authority; it takes no connection without TLS."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "cert.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost",
         "-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)],
        check=True, capture_output=True,
    )  # fmt: skip
    folder.chmod(0o755)
    for parent in folder.parents:
        if parent.stat().st_uid == folder.stat().st_uid and parent != Path("/"):
            parent.chmod(parent.stat().st_mode | 0o055)
        if parent == Path("/tmp"):
            break
    key.chmod(0o644)
    with running_mariadb(f"--ssl-key={key}", f"--ssl-cert={certificate}") as server:
        server.rows("CREATE USER tls@'%' IDENTIFIED BY 'geheim' REQUIRE SSL")
        server.rows("GRANT ALL ON *.* TO tls@'%'")
        server.rows("CREATE DATABASE d")
        yield server, certificate


def test_tls_is_used_as_asked_for(encrypted: tuple[MariaDB, Path]) -> None:
    server, certificate = encrypted

    def cipher(host: str, query: str) -> str:
        session = connect(locate(f"mysql://tls:geheim@{host}:{server.port}/d{query}", environ={"HOME": "/nowhere"}))
        try:
            return session.texts("SHOW STATUS LIKE 'Ssl_cipher'")[0][1]
        finally:
            session.close()

    for query in ("", "?ssl_mode=required", f"?ssl_mode=verify_ca&ssl_ca={certificate}"):
        assert cipher("127.0.0.1", query)
    assert cipher("localhost", f"?ssl_mode=verify_identity&ssl_ca={certificate}")
    with pytest.raises(holdfast.CredentialsError):
        cipher("127.0.0.1", "?ssl_mode=disabled")
    with pytest.raises(holdfast.UnreachableError, match="TLS failed"):
        cipher("127.0.0.1", "?ssl_mode=verify_ca")
    with pytest.raises(holdfast.UnreachableError, match="TLS failed"):
        cipher("127.0.0.1", f"?ssl_mode=verify_identity&ssl_ca={certificate}")


def test_a_backup_over_tls_is_the_same(encrypted: tuple[MariaDB, Path], tmp_path: Path) -> None:
    server, _ = encrypted
    server.rows("CREATE TABLE t(id INT PRIMARY KEY, v LONGBLOB)", database="d")
    server.rows("INSERT INTO t VALUES (1, REPEAT(0xfeff, 10000000)), (2, NULL)", database="d")
    server.rows("INSERT INTO t SELECT seq, MD5(seq) FROM seq_3_to_20000", database="d")
    url = f"mysql://tls:geheim@127.0.0.1:{server.port}"
    record = holdfast.backup(f"{url}/d", store=str(tmp_path))
    holdfast.restore(record.id, f"{url}/e", store=str(tmp_path))
    assert server.rows("CHECKSUM TABLE d.t")[0][1] == server.rows("CHECKSUM TABLE e.t")[0][1]
