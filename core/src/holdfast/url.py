"""Database URLs: taken apart without losing a byte of an odd name, shown without their secrets.

The general shape is `scheme://[user[:password]@][host[:port][,host[:port]…]][/path][?key=value&…]`, each part
percent-encoded (RFC 3986 §2.1). A `#` has no meaning of its own here, because file names and passwords
contain it; `?` inside a name must be written `%3F`, and where there is a host, an `@` after it `%40`: such an
`@` is nearly always the end of a password with a `/` or `?` in it, which must not be taken for a name.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Self
from urllib.parse import quote, unquote

from holdfast.command_text import command_text
from holdfast.errors import UsageError
from holdfast.field_docs import explain_fields

_SHAPE = re.compile(
    r"(?P<scheme>[A-Za-z][A-Za-z0-9+._-]*)://(?P<authority>[^/?]*)(?P<path>[^?]*)(?:\?(?P<query>.*))?", re.DOTALL
)
_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_HOST = re.compile(r"(?:\[(?P<address>[^\[\]]+)\]|(?P<name>[^:\[\]]*))(?::(?P<port>.*))?", re.DOTALL)
_SETTING = re.compile(
    r"\b(host|hostaddr|server|data source|port|dbname|database|user|username|user id|uid|\w*pass\w*|pwd|service)\s*=",
    re.IGNORECASE,
)
_JDBC = "jdbc:"
_HIDDEN = "***"
_IN_MEMORY = ":memory:"  # as SQLite names it: a host without a name would have the port "memory:"
_ENCODE = "percent-encode / ? # % @ : in a user name or password, for instance / as %2F"

# Values of these parameters say how to connect and never who may, whatever the database; all others are hidden, except
# those that the engine of the URL lists.
HARMLESS = frozenset({"connect_timeout", "database", "host", "port", "timeout", "user"})

_listed: dict[str, frozenset[str]] = {}  # by scheme, as the registry that was made last knows them


def list_harmless(scheme: str, parameters: frozenset[str]) -> None:
    """Show the values of these parameters in URLs of a scheme from now on, in place of those listed before."""
    _listed[scheme] = parameters


def _is_harmless(scheme: str, parameter: str) -> bool:
    return parameter.lower() in HARMLESS or parameter.lower() in _listed.get(scheme.lower(), ())


@explain_fields
@dataclass(frozen=True, kw_only=True)
class DatabaseURL:
    """A database URL in parts, each decoded; `repr` and `redacted()` hide what is secret."""

    scheme: str  #: what names the engine, in lowercase
    user: str | None = None  #: the account
    password: str | None = field(default=None, repr=False)  #: its password
    hosts: tuple[tuple[str, int | None], ...] = ()  #: each host with its port, or None for the engine's own
    path: str = ""  #: what follows the hosts, with its first `/`: a database or a file
    query: tuple[tuple[str, str], ...] = field(default=(), repr=False)  #: the parameters after `?`

    @classmethod
    def parse(cls, text: str) -> Self:
        """Take a URL apart, or raise `UsageError` with a message that shows no secret of it."""
        if text[-1:].isspace():
            raise UsageError(
                f"the URL {redact(text.rstrip())} has {text[len(text.rstrip()) :]!a} at its end",
                hint="files of variables whose lines end as on Windows do that; percent-encode it if it is meant",
            )
        match = _SHAPE.fullmatch(text)
        if match is None:
            raise UsageError(f"not a database URL: {redact(text)}", hint=_hint(text))
        if _PERCENT.search(text):
            raise UsageError(
                f"a '%' in the URL {redact(text)} is not followed by two hexadecimal digits",
                hint="write a literal % as %25",
            )
        if match["authority"] and "@" in text[match.end("authority") :]:
            raise UsageError(
                f"an '@' follows the host in the URL {redact(text)}",
                hint=f"{_ENCODE}; @ in other parts as %40",
            )
        credentials, at, hosts = match["authority"].rpartition("@")
        user, colon, password = credentials.partition(":")
        return cls(
            scheme=match["scheme"].lower(),
            user=_decode(user) if at else None,
            password=_decode(password) if colon else None,
            hosts=tuple(_host(part, text) for part in hosts.split(",")) if hosts else (),
            path=_decode(match["path"]),
            query=tuple(_pair(part) for part in (match["query"] or "").split("&") if part),
        )

    @property
    def secrets(self) -> tuple[str, ...]:
        """What `redacted` hides: the password and every value of the query that is not known to be harmless."""
        values = (value for key, value in self.query if not _is_harmless(self.scheme, key))
        return tuple(secret for secret in (self.password, *values) if secret)

    def redacted(self) -> str:
        """Write the URL again, the password and every parameter not known to be harmless as `***`."""
        query = tuple((key, value if _is_harmless(self.scheme, key) else _HIDDEN) for key, value in self.query)
        return replace(self, password=None if self.password is None else _HIDDEN, query=query).text()

    def text(self) -> str:
        """Write the URL in full, secrets included; parsing it gives an equal object."""
        user = "" if self.user is None else _encode(self.user)
        password = "" if self.password is None else ":" + _encode(self.password, keep="*")
        at = "@" if self.user is not None or self.password is not None else ""
        hosts = ",".join(_join_host(name, port) for name, port in self.hosts)
        query = "&".join(f"{_encode(key)}={_encode(value, keep='*/:,')}" for key, value in self.query)
        path = _encode(self.path, keep="/:,+~" if at or hosts else "/:,+~@")
        return f"{self.scheme}://{user}{password}{at}{hosts}{path}" + (f"?{query}" if query else "")


def _hint(text: str) -> str:
    """What to write in place of a text that is no URL."""
    if text.lower().startswith(_JDBC):
        return f"leave {_JDBC!r} out, and write user and password before the host"
    if _SETTING.search(text):
        return "write it as scheme://user:password@host:port/database, for instance postgresql://app@db.example/shop"
    store = ""
    if text.startswith(("./", "../", "/", "~")):
        # A quoted ~ would be no home any more.
        path = text if text.startswith("~") and text.isprintable() else command_text(text)
        store = f"; a store is named by --store: --store {path}"
    return f"write it as scheme://… , for instance sqlite:///app.db{store}"


def redact(text: str) -> str:
    """Show any text that was meant as a URL without what could be a secret in it, on one line."""
    match = _SHAPE.fullmatch(text)
    odd = match is None or (match["authority"] and "@" in text[match.end("authority") :])
    if not odd and not _PERCENT.search(text):
        try:
            return DatabaseURL.parse(text).redacted()
        except UsageError:
            pass  # its host or port is none, maybe a password with a '/' in it: hide more than needed
    scheme, mark, rest = text.partition("://")
    if setting := _SETTING.search(scheme):  # a connection string of libpq, ODBC or .NET, password and all
        return repr(f"{scheme[: setting.end()]}{_HIDDEN}")
    if not mark:
        return repr(text.rpartition("@")[2].partition("?")[0])
    # Without '@' it cannot hold credentials, but for a 'user:password' whose '@host' was forgotten.
    place = rest.rpartition("@")[2] if "@" in rest or ":" not in rest else ""
    hidden = f"{_HIDDEN}@" if "@" in rest else ("" if place else _HIDDEN)
    return repr(f"{scheme}://{hidden}{place.partition('?')[0]}")


def secrets_of(text: str) -> list[str]:
    """Every form in which the secrets of a URL could appear in somebody's message, the longest first.

    That is the password, and values of parameters not known to be harmless unless they are so short that hiding
    them would make messages unreadable; as written in the URL, decoded, encoded again, and put into quotes.
    """
    match = _SHAPE.fullmatch(text)
    if match is None:
        return []
    credentials = match["authority"].rpartition("@")[0]
    written = [credentials.partition(":")[2]]
    for part in (match["query"] or "").split("&"):
        key, _, value = part.partition("=")
        if len(value) > 3 and not _is_harmless(match["scheme"], _decode(key)):
            written.append(value)
    forms = {form for secret in written for form in (secret, *_forms(_decode(secret)))}
    return sorted(filter(None, forms), key=len, reverse=True)


def _forms(secret: str) -> Iterator[str]:
    """A secret as messages write it: encoded, on one line, and in the quotes of Python, JSON, libpq and SQL."""
    yield from (secret, _encode(secret), " ".join(secret.split()), repr(secret)[1:-1], json.dumps(secret)[1:-1])
    backslashed = secret.replace("\\", "\\\\")
    for quote_mark in "'\"":
        yield secret.replace(quote_mark, 2 * quote_mark)
        yield backslashed.replace(quote_mark, f"\\{quote_mark}")


def _decode(text: str) -> str:
    # surrogateescape: a POSIX file name is bytes, and os.fsencode turns the result into those bytes again.
    return unquote(text, errors="surrogateescape")


def _encode(text: str, keep: str = "") -> str:
    return quote(text, safe=keep, errors="surrogateescape")


def _pair(part: str) -> tuple[str, str]:
    key, _, value = part.partition("=")
    return _decode(key), _decode(value)


def _host(part: str, text: str) -> tuple[str, int | None]:
    match = _HOST.fullmatch(part)
    scheme = text.partition("://")[0]
    if part == _IN_MEMORY:
        raise UsageError(
            f"the {scheme} URL names a database in memory, which only its own process can reach",
            hint="let that process write it to a file, and back that up",
        )
    # The text is not shown: with an unencoded '/' in a password this "port" is a part of the secret.
    if match is None:
        raise UsageError(
            f"a host in the {scheme} URL is malformed, expected name, name:port or [address]:port", hint=_ENCODE
        )
    port = match["port"]
    if port and not (port.isascii() and port.isdigit() and len(port) < 6 and 0 < int(port) < 65536):
        raise UsageError(f"the port in the {scheme} URL is not a number from 1 to 65535", hint=_ENCODE)
    return _decode(match["address"] or match["name"] or ""), int(port) if port else None


def _join_host(name: str, port: int | None) -> str:
    host = f"[{name}]" if ":" in name else _encode(name)
    return host if port is None else f"{host}:{port}"
