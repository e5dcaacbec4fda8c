"""Where a URL leads: its own words first, then the environment, then the client's option files."""

import contextlib
import socket
import ssl
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
from holdfast_mysql.location import database_url
from holdfast_mysql.location.database_url import locate
from holdfast_mysql.session import connect


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
    for url, path, port in (
        ("mysql://localhost/shop", "/run/other.sock", 3310),
        ("mysql:///shop", "/run/other.sock", 3310),
        ("mysql://localhost/shop?socket=/own.sock", "/own.sock", 3310),
        ("mysql://localhost:3307/shop", "", 3307),
        ("mysql://127.0.0.1/shop", "", 3310),
        ("mysql://db:3307/shop", "", 3307),
    ):
        location = locate(url, environ=environ)
        assert (location.socket, location.port) == (path, port), url


@pytest.mark.parametrize(
    ("text", "url", "expected"),
    [
        ("host=db\nprotocol=tcp\nport=3310", "mysql:///shop", ("", "db", 3310)),
        ("socket=/live.sock\nprotocol=tcp\nport=3310", "mysql:///shop", ("", "localhost", 3310)),
        ("socket=/live.sock\nprotocol=TCP", "mysql://localhost/shop", ("", "localhost", 3306)),
        ("socket=/live.sock\nprotocol=socket\nport=3310", "mysql:///shop", ("/live.sock", "localhost", 3310)),
        ("socket=/live.sock\nhost=db", "mysql:///shop", ("", "db", 3306)),
        ("socket=/live.sock\nhost=db", "mysql://localhost/shop", ("/live.sock", "localhost", 3306)),
        ("socket=/live.sock\nport=1", "mysql+mysqldb://localhost/shop", ("/live.sock", "localhost", 1)),
        # These drivers take localhost for an address, and read no option files.
        ("socket=/live.sock\nport=1\nhost=db", "mysql+pymysql://localhost/shop", ("", "localhost", 3306)),
        ("socket=/live.sock\nport=1\nhost=db", "mariadb+asyncmy:///shop", ("", "localhost", 3306)),
        ("socket=/live.sock\nhost=db", "mysql+pymysql://localhost/shop?unix_socket=/own", ("/own", "localhost", 3306)),
        ("socket=/live.sock", "mysql://%2Fown.sock/shop", ("/own.sock", "localhost", 3306)),
    ],
)  # fmt: skip
def test_no_option_file_leads_to_another_server_than_that_of_the_client_programs(
    home: Callable[[str], dict[str, str]], text: str, url: str, expected: tuple[str, str, int]
) -> None:
    location = locate(url, environ=home(f"[client]\n{text}\n"))
    assert (location.socket, location.host, location.port) == expected


@pytest.mark.parametrize(
    ("text", "url", "words"),
    [
        ("protocol=socket\nhost=db", "mysql:///shop", "does not reach host db"),
        ("protocol=pipe", "mysql:///shop", "protocol pipe"),
        ("user=a", "mysql://db/shop?socket=/a.sock", "another host"),
        ("user=a", "mysql://a@db/shop?user=b", "different values for user"),
        ("user=a", "mysql://db:1/shop?port=2", "different values for port"),
        ("user=a\n[client", "mysql://db/shop", "line 3: a group has no closing bracket"),
    ],
)
def test_what_could_mean_two_servers_is_refused(
    home: Callable[[str], dict[str, str]], text: str, url: str, words: str
) -> None:
    with pytest.raises(holdfast.UsageError, match=words):
        locate(url, environ=home(f"[client]\n{text}\n"))


def test_of_several_servers_on_this_machine_none_is_guessed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    sockets = [tmp_path / "a.sock", tmp_path / "b.sock"]
    monkeypatch.setattr(database_url, "SOCKETS", [*map(str, sockets), str(tmp_path / "none")])
    (tmp_path / "empty.cnf").touch()
    url = f"mysql:///shop?read_default_file={tmp_path}/empty.cnf"  # that of this machine may name a socket
    assert locate(url).socket == ""
    with contextlib.ExitStack() as stack:
        for number, path in enumerate(sockets):
            stack.enter_context(socket.socket(socket.AF_UNIX)).bind(str(path))
            if number == 0:
                assert locate(url).socket == str(path)
        with pytest.raises(holdfast.UsageError, match="several servers"):
            locate(url)


def test_the_environment_of_the_client_programs_says_where_the_server_is(tmp_path: Path) -> None:
    environ = {"MYSQL_HOST": "db", "MYSQL_TCP_PORT": "3311", "MYSQL_UNIX_PORT": "/env.sock"}
    file = tmp_path / "own.cnf"  # that of this machine may name a socket
    file.touch()
    location = locate(f"mysql:///shop?read_default_file={file}", environ=environ)
    assert (location.host, location.port, location.socket) == ("db", 3311, "")
    assert locate(f"mysql://localhost/shop?read_default_file={file}", environ=environ).socket == "/env.sock"
    file.write_text("[client]\nport=1\nhost=other\n")
    location = locate(f"mysql:///shop?read_default_file={file}", environ=environ)
    assert (location.host, location.port) == ("other", 1)


@pytest.mark.parametrize(
    ("query", "mode"),
    [
        ("ssl-mode=REQUIRED", "required"), ("sslmode=verify-full", "verify_identity"), ("ssl=true", "required"),
        ("ssl=false", "disabled"), ("useSSL=true&requireSSL=true", "required"), ("tls=skip-verify", "required"),
        ("tls=true", "verify_identity"), ("sslaccept=strict", "verify_identity"), ("sslverify=true", "verify_identity"),
        ("ssl_disabled=true", "disabled"), ("ssl_disabled=false", "preferred"), ("ssl_verify_cert=true", "verify_ca"),
        ("ssl_ca=/ca.pem", "verify_ca"), ("sslca=/ca.pem&ssl_check_hostname=true", "verify_identity"),
        ("ssl_cert=/c.pem&ssl_key=/k.pem", "required"),
        ("ssl=%7B%22rejectUnauthorized%22%3Atrue%7D", "verify_identity"),
        ("sslMode=VERIFY_CA&useSSL=true", "verify_ca"), ("sslMode=trust", "required"),
    ],
)  # fmt: skip
def test_each_way_to_ask_for_tls_is_understood(query: str, mode: str) -> None:
    assert locate(f"mysql://db/shop?{query}", environ={"HOME": "/nowhere"}).ssl_mode == mode


@pytest.mark.parametrize(
    "url",
    [
        "mysql+pymysql://u:p@db/shop?charset=utf8mb4&read_timeout=5&autocommit=true",
        "mysql+mysqldb://u:p@db/shop?charset=utf8mb4&use_unicode=1&local_infile=1",
        "mariadb+mariadbconnector://u:p@db:3306/shop?pool_size=5",
        "mysql+mysqlconnector://u:p@db/shop?collation=utf8mb4_general_ci&consume_results=True&use_pure=True",
        "mysql2://u:p@db/shop?encoding=utf8mb4&pool=5&reconnect=true&checkout_timeout=5&prepared_statements=false",
        "trilogy://u:p@db/shop?pool=5",
        "mysqlgis://u:p@db/shop?conn_max_age=600&conn_health_checks=true",
        "mysql://u:p@db/shop?connection_limit=5&pool_timeout=2&socket_timeout=3",
        "mysql://u:p@db/shop?parseTime=true&loc=Local&multiStatements=true",
        "mysql://u:p@db/shop?useUnicode=true&characterEncoding=utf8&serverTimezone=UTC&allowPublicKeyRetrieval=true",
        "pdo-mysql://u:p@db/shop?serverVersion=8.0&charset=utf8mb4",
        "mysql:///shop?host=db&user=u&password=p",
    ],
)
def test_urls_of_applications_are_taken_as_they_are(url: str) -> None:
    location = locate(url, environ={"HOME": "/nowhere"})
    assert (location.host, location.port, location.user, location.password) == ("db", 3306, "u", "p")
    assert location.database == "shop"


def test_the_option_file_that_a_driver_reads_is_read_alone(
    home: Callable[[str], dict[str, str]], tmp_path: Path
) -> None:
    """As Django's OPTIONS have it: no other file says anything, and a missing one is an error."""
    environ = home("[client]\nhost=wrong\nuser=wrong\nport=9\n")
    (tmp_path / "own.cnf").write_text("[client]\nhost=db\nuser=a\n[shop]\nuser=b\n")
    location = locate(f"mysql:///shop?read_default_file={tmp_path}/own.cnf", environ=environ)
    assert (location.host, location.user, location.port) == ("db", "a", 3306)
    url = f"mysql+pymysql:///shop?read_default_file={tmp_path}/own.cnf&read_default_group=shop"
    assert locate(url, environ=environ).user == "b"
    with pytest.raises(holdfast.UsageError, match="does not exist"):
        locate(f"mysql:///shop?read_default_file={tmp_path}/none.cnf", environ=environ)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ("color=red", "leave it out"),
        ("ssl=%7B%22ca%22%3A%22x%22%7D", "ssl_mode"),
        ("ssl_disabled=true&ssl_mode=required", ""),
        ("sslmode=maybe", "verify_identity"),
    ],
)
def test_other_parameters_are_refused_with_what_to_do(query: str, words: str) -> None:
    with pytest.raises(holdfast.UsageError) as caught:
        locate(f"mysql://db/shop?{query}", environ={"HOME": "/nowhere"})
    assert words in str(caught.value.hint)


@pytest.mark.parametrize("scheme", ["mysql+pymysql", "mariadb+mariadbconnector", "mysql2", "trilogy", "mysqlgis"])
def test_urls_of_applications_are_of_this_engine(mariadb: MariaDB, database: str, store: str, scheme: str) -> None:
    url = mariadb.url(database, query="?charset=utf8mb4").replace("mysql", scheme, 1)
    assert holdfast.backup(url, store=store).engine == "mysql"


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


def test_no_certificates_are_read_with_which_nothing_is_verified(
    encrypted: tuple[MariaDB, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Those of the system cost 40 ms a connection."""
    server, certificate = encrypted
    calls: list[str] = []
    monkeypatch.setattr(ssl.SSLContext, "load_default_certs", lambda *_: calls.append("all"))
    for query in ("", "?ssl_mode=required", f"?ssl_mode=verify_ca&ssl_ca={certificate}"):
        connect(locate(f"mysql://tls:geheim@localhost:{server.port}/{query}", database=False)).close()
    assert calls == []
    with pytest.raises(holdfast.UnreachableError, match="TLS failed"):
        connect(locate(f"mysql://tls:geheim@localhost:{server.port}/?ssl_mode=verify_ca", database=False))
    assert calls == ["all"]


def test_a_backup_over_tls_is_the_same(encrypted: tuple[MariaDB, Path], tmp_path: Path) -> None:
    server, _ = encrypted
    server.rows("CREATE TABLE t(id INT PRIMARY KEY, v LONGBLOB)", database="d")
    server.rows("INSERT INTO t VALUES (1, REPEAT(0xfeff, 10000000)), (2, NULL)", database="d")
    server.rows("INSERT INTO t SELECT seq, MD5(seq) FROM seq_3_to_20000", database="d")
    url = f"mysql://tls:geheim@127.0.0.1:{server.port}"
    record = holdfast.backup(f"{url}/d", store=str(tmp_path))
    holdfast.restore(record.id, f"{url}/e", store=str(tmp_path))
    assert server.rows("CHECKSUM TABLE d.t")[0][1] == server.rows("CHECKSUM TABLE e.t")[0][1]
