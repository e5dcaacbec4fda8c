"""From a URL to a server, an account and a database: `mysql://user:password@host:port/database?ssl_mode=required`."""

import getpass
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.api import DatabaseURL, UsageError, quote_name
from holdfast_mysql.location.option_files import client_options
from holdfast_mysql.location.parameters import MODES, parameters_of

DEFAULT_PORT = 3306
SOCKETS = ("/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock")  # noqa: S108
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
# Drivers in Python that take localhost for an address and read no option files, as schemes of SQLAlchemy name them.
_BY_ADDRESS = frozenset({"pymysql", "aiomysql", "asyncmy", "mysqlconnector"})
_OFF = frozenset({"0", "off", "false"})


@dataclass(frozen=True, kw_only=True)
class _Place:
    """Where a server is."""

    host: str
    port: int
    socket: str


@dataclass(frozen=True, kw_only=True)
class Location:
    """Where a database is and who we are there; `socket` empty means TCP."""

    host: str
    port: int
    socket: str
    user: str
    password: str = field(repr=False)
    database: str
    ssl_mode: str
    ssl_ca: str | None = None
    ssl_capath: str | None = None
    ssl_cert: str | None = None
    ssl_crl: str | None = None
    ssl_key: str | None = None
    connect_timeout: float = 10.0

    @property
    def server(self) -> str:
        """The server, for messages."""
        return (
            f"the server at socket {quote_name(self.socket)}"
            if self.socket
            else f"the server at {self.host}:{self.port}"
        )

    @property
    def local(self) -> bool:
        """Whether the server is on this machine, for all that can be told."""
        return bool(self.socket) or self.host in _LOOPBACK


def locate(url: str, *, database: bool = True, environ: Mapping[str, str] = os.environ) -> Location:
    """Take a URL apart; what it leaves out comes from the environment, then the client's option files.

    A URL without a database is a `UsageError` where one is needed.
    """
    parsed = DatabaseURL.parse(url)
    values = _said_by(parsed)
    # MariaDB's programs know no login file.
    login = not parsed.scheme.startswith("mariadb")
    files = client_options(environ, path=values.get("file", ""), group=values.get("group", ""), login=login)
    name = values.get("database", "")
    _check(parsed, name, needed=database)
    settings = {**{key: value for key, value in files.items() if "ssl" in key}, **values}
    password = values.get("password")
    if password is None:
        password = environ.get("MYSQL_PWD") or files.get("password", "")
    place = _by_address(parsed, values) or _place(parsed, values, files, environ)
    return Location(
        host=place.host,
        port=place.port,
        socket=place.socket,
        user=values.get("user") or files.get("user") or getpass.getuser(),
        password=password,
        database=name,
        ssl_mode=_ssl_mode(settings),
        ssl_ca=settings.get("ssl-ca") or None,
        ssl_capath=settings.get("ssl-capath") or None,
        ssl_cert=settings.get("ssl-cert") or None,
        ssl_crl=settings.get("ssl-crl") or None,
        ssl_key=settings.get("ssl-key") or None,
        connect_timeout=_timeout(values.get("connect-timeout", "10")),
    )


def _said_by(parsed: DatabaseURL) -> dict[str, str]:
    """All that the URL says; what it says twice it must say alike, so that no wrong server is taken."""
    if len(parsed.hosts) > 1:
        raise UsageError(f"the URL {parsed.redacted()} names several hosts, expected one")
    host, port = parsed.hosts[0] if parsed.hosts else ("", None)
    ahead = {
        "socket" if host.startswith("/") else "host": host,  # as Django has it
        "port": "" if port is None else str(port),
        "user": parsed.user or "",
        "password": parsed.password,
        "database": parsed.path.removeprefix("/"),
    }
    values = parameters_of(parsed)
    for key, value in ahead.items():
        if value and values.get(key, value) != value:
            raise UsageError(f"the URL {parsed.redacted()} names two different values for {key}")
        if value or (value is not None and key == "password"):
            values.setdefault(key, value)
    return values


def _check(parsed: DatabaseURL, name: str, *, needed: bool) -> None:
    if needed and not name:
        raise UsageError(
            f"the URL {parsed.redacted()} names no database",
            hint=f"write {parsed.scheme}://HOST/DATABASE, or use --all-databases to back up each in turn",
        )
    if "/" in name and not name.replace("/", ""):
        raise UsageError(f"the URL {parsed.redacted()} names no database")
    if len(name) > 64 or "\0" in name or any(ord(char) > 0xFFFF for char in name):
        raise UsageError(
            f"not a name of a database: {quote_name(name[:80])}", hint="use at most 64 characters, none above U+FFFF"
        )


def _by_address(parsed: DatabaseURL, values: Mapping[str, str]) -> _Place | None:
    """Where the URL of such a driver leads, which no option file changes."""
    if parsed.scheme.partition("+")[2] not in _BY_ADDRESS or "file" in values:
        return None
    if "socket" in values:
        return None
    return _Place(host=values.get("host", "localhost"), port=_port(values.get("port", "")), socket="")


def _place(
    parsed: DatabaseURL, values: Mapping[str, str], files: Mapping[str, str], environ: Mapping[str, str]
) -> _Place:
    """Host, port and socket as the client programs find them."""
    host = values.get("host", "")
    socket = values.get("socket", "")
    if socket and host and host not in _LOOPBACK:
        raise UsageError(
            f"the URL {parsed.redacted()} names a socket of this machine and another host",
            hint="leave out one of them",
        )
    if not (host or socket):
        host = files.get("host") or environ.get("MYSQL_HOST", "")
    port = _port(values.get("port") or files.get("port") or environ.get("MYSQL_TCP_PORT", ""))
    if not socket and _wants_socket(host, files.get("protocol", ""), port="port" in values):
        socket = files.get("socket") or environ.get("MYSQL_UNIX_PORT") or _usual_socket()
    return _Place(host=host or "localhost", port=port, socket=socket)


def _wants_socket(host: str, protocol: str, *, port: bool) -> bool:
    """Whether the client programs take the socket: for localhost, unless the URL names a port or `protocol` is TCP."""
    wanted = next((known for known in ("", "tcp", "socket") if known.startswith(protocol.lower())), None)
    if wanted is None:
        raise UsageError(
            f"the option files choose the protocol {quote_name(protocol)}, expected tcp or socket",
            hint="correct it there; pipe and memory are for Windows alone",
        )
    local = host in ("", "localhost")
    if wanted == "socket" and not local and not port:
        raise UsageError(
            f"the option files choose the protocol socket, which does not reach host {quote_name(host)}",
            hint="write the port into the URL, or set protocol=tcp in the option file",
        )
    return local and not port and wanted != "tcp"


def _usual_socket() -> str:
    """The socket in one of the usual places, empty for none; of several servers none is guessed."""
    sockets: dict[tuple[int, int], str] = {}
    for path in SOCKETS:
        try:
            state = os.stat(path)
        except OSError:
            continue
        if stat.S_ISSOCK(state.st_mode):
            sockets.setdefault((state.st_dev, state.st_ino), path)
    if len(sockets) > 1:
        raise UsageError(
            f"there are several servers on this machine: {', '.join(sockets.values())}",
            hint="name one with ?socket=PATH in the URL, or in ~/.my.cnf",
        )
    return next(iter(sockets.values()), "")


def _port(text: str) -> int:
    if not text:
        return DEFAULT_PORT
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 65536):
        raise UsageError(f"the port {quote_name(text[:20])} is not a number from 1 to 65535")
    return int(text)


def _ssl_mode(settings: Mapping[str, str]) -> str:
    if "ssl-mode" in settings:
        mode = settings["ssl-mode"].lower().replace("-", "_")
        if mode not in MODES:
            raise UsageError(f"unknown ssl_mode {quote_name(mode)}", hint=f"use one of {', '.join(MODES)}")
        return mode
    if settings.get("ssl", "1").lower() in _OFF:
        return "disabled"
    if settings.get("ssl-verify-server-cert", "0").lower() not in _OFF:
        return "verify_identity"
    if settings.get("ssl-ca") or settings.get("ssl-capath"):
        return "verify_ca"
    return "required" if settings.get("ssl-cert") or "ssl" in settings else "preferred"


def _timeout(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 86400:
        raise UsageError(f"connect_timeout is {quote_name(text)}, expected seconds above 0")
    return seconds
