"""From a URL to a server, an account and a database: `mysql://user:password@host:port/database?ssl_mode=required`."""

import getpass
import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass, field

from holdfast.api import DatabaseURL, UsageError, quote_name
from holdfast_mysql.location.option_files import client_options

DEFAULT_PORT = 3306
SOCKETS = ("/run/mysqld/mysqld.sock", "/var/run/mysqld/mysqld.sock", "/var/lib/mysql/mysql.sock", "/tmp/mysql.sock")  # noqa: S108
_MODES = ("disabled", "preferred", "required", "verify_ca", "verify_identity")
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PARAMETERS = {
    "socket": "socket",
    "unix_socket": "socket",
    "ssl_mode": "ssl-mode",
    "sslmode": "ssl-mode",
    "ssl_ca": "ssl-ca",
    "ssl_cert": "ssl-cert",
    "ssl_key": "ssl-key",
    "connect_timeout": "connect-timeout",
    "charset": "",  # other programs' URLs name it; ours is fixed
}


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
    ssl_cert: str | None = None
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
    values = _parameters(parsed)
    files = client_options(environ)
    name = parsed.path.removeprefix("/")
    _check(parsed, name, needed=database)
    host, port = parsed.hosts[0] if parsed.hosts else ("", None)
    host = host or ("" if "socket" in values else files.get("host", ""))
    socket = values.get("socket", "") or _socket(host, port, files.get("socket", ""))
    settings = {**{key: value for key, value in files.items() if "ssl" in key}, **values}
    password = parsed.password
    if password is None:
        password = environ.get("MYSQL_PWD") or files.get("password", "")
    return Location(
        host=host or "localhost",
        port=port or _port(files.get("port", "")),
        socket=socket,
        user=parsed.user or files.get("user") or getpass.getuser(),
        password=password,
        database=name,
        ssl_mode=_ssl_mode(settings),
        ssl_ca=settings.get("ssl-ca") or None,
        ssl_cert=settings.get("ssl-cert") or None,
        ssl_key=settings.get("ssl-key") or None,
        connect_timeout=_timeout(values.get("connect-timeout", "10")),
    )


def _check(parsed: DatabaseURL, name: str, *, needed: bool) -> None:
    if len(parsed.hosts) > 1:
        raise UsageError(f"the URL {parsed.redacted()} names several hosts, expected one")
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


def _parameters(parsed: DatabaseURL) -> dict[str, str]:
    values: dict[str, str] = {}
    for key, value in parsed.query:
        name = _PARAMETERS.get(key.lower().replace("-", "_"))
        if name is None:
            raise UsageError(
                f"the URL has an unknown parameter {quote_name(key)}",
                hint=f"use one of {', '.join(sorted(_PARAMETERS))}",
            )
        if name:
            values[name] = value
    return values


def _socket(host: str, port: int | None, configured: str) -> str:
    """The socket that `localhost` without a port means, as for the stock clients; empty for TCP."""
    if host not in ("", "localhost") or port is not None:
        return ""
    for path in (configured,) if configured else SOCKETS:
        try:
            if stat.S_ISSOCK(os.stat(path).st_mode) or configured:
                return path
        except OSError:
            if configured:
                return path  # the connection says what is wrong with it
    return ""


def _port(text: str) -> int:
    if not text:
        return DEFAULT_PORT
    if not text.isdecimal() or not 0 < int(text) < 65536:
        raise UsageError("the port in the client's option file is not a number from 1 to 65535")
    return int(text)


def _ssl_mode(settings: Mapping[str, str]) -> str:
    if "ssl-mode" in settings:
        mode = settings["ssl-mode"].lower().replace("-", "_")
        if mode not in _MODES:
            raise UsageError(f"unknown ssl_mode {quote_name(mode)}", hint=f"use one of {', '.join(_MODES)}")
        return mode
    off = ("0", "off", "false")
    if settings.get("skip-ssl", "0").lower() not in off or settings.get("ssl", "1").lower() in off:
        return "disabled"
    if settings.get("ssl-verify-server-cert", "0").lower() not in off:
        return "verify_identity"
    if settings.get("ssl-ca"):
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
