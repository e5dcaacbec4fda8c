"""What the URL of a store says: which server and folder, and how to connect; never a password."""

import os
import re
from dataclasses import dataclass
from typing import Self

from holdfast.api import DatabaseURL, UsageError, quote_name, redact
from holdfast_sftp import PARAMETERS

_KEYS = "log in with a key: ssh-keygen makes one, ssh-copy-id brings it to the server, ssh-add unlocks it"
_HOST = re.compile(r"[^-\s\0-\x1f\x7f][^\s\0-\x1f\x7f]*")
_USER = re.compile(r"[^\s\0-\x1f\x7f]+")
_SHAPE = "expected sftp://user@host/path, or sftp://user@host/~/path below the home folder"
_HOME = "/~"

CONNECTIONS = 4  # at most; a server takes ten beginnings at once, and three quarters of a fast link fill with two
_MOST_CONNECTIONS = 64


@dataclass(frozen=True, kw_only=True)
class Location:
    """A server, the folder in which a store lies, and how to connect."""

    text: str
    host: str
    root: bytes  #: the folder, absolute, or relative to where the server begins
    user: str | None = None
    port: int | None = None
    config: str | None = None  #: a file for ssh -F
    connections: int = CONNECTIONS

    @property
    def at_home(self) -> bool:
        """Whether the folder lies below the home folder of the account."""
        return not self.root.startswith(b"/")

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read a URL, or say which part of it cannot be used."""
        parsed = DatabaseURL.parse(url)
        redacted = redact(url)
        if parsed.password is not None:
            raise UsageError(f"{redacted} holds a password, which a store's URL never does", hint=_KEYS)
        if len(parsed.hosts) != 1 or not _HOST.fullmatch(parsed.hosts[0][0]):
            raise UsageError(f"{redacted} names no server, {_SHAPE}")
        if parsed.user is not None and (not _USER.fullmatch(parsed.user) or parsed.user.startswith("-")):
            raise UsageError(f"the user in {redacted} is no name of an account")
        given = dict(parsed.query)
        if unknown := sorted(given.keys() - PARAMETERS):
            hint = _KEYS if re.search("key|secret|token|passw", unknown[0]) else "~/.ssh/config holds all else"
            names = ", ".join(sorted(PARAMETERS))
            raise UsageError(f"{redacted} has the parameter {quote_name(unknown[0])} (sftp takes: {names})", hint=hint)
        return cls(
            text=redacted,
            host=parsed.hosts[0][0],
            port=parsed.hosts[0][1],
            user=parsed.user,
            root=_root(parsed.path, redacted),
            config=os.path.expanduser(given["config"]) if given.get("config") else None,
            connections=_connections(given.get("connections"), redacted),
        )


def _root(path: str, redacted: str) -> bytes:
    home = path == _HOME or path.startswith(f"{_HOME}/")
    parts = [part for part in path.removeprefix(_HOME if home else "").split("/") if part]
    if not parts:
        raise UsageError(f"{redacted} names no folder, {_SHAPE}")
    if {".", ".."} & set(parts) or re.search(r"[\0-\x1f\x7f]", path):
        raise UsageError(f"{redacted} has '.', '..' or a control character in its path")
    if parts[0].startswith("~"):
        raise UsageError(
            f"{redacted} means the home folder of another account, which SFTP does not tell",
            hint="write the path in full, or /~/ before what lies below the home folder of the account that logs in",
        )
    return os.fsencode("/".join(parts) if home else "/" + "/".join(parts))


def _connections(text: str | None, redacted: str) -> int:
    if text is None:
        return CONNECTIONS
    if not (text.isascii() and text.isdigit() and len(text) < 3 and 1 <= int(text) <= _MOST_CONNECTIONS):
        raise UsageError(
            f"connections is {quote_name(text)} in {redacted}, expected a number from 1 to {_MOST_CONNECTIONS}"
        )
    return int(text)
