"""Whether the other end of a connection still answers, asked for as long as a statement of it takes.

A proxy or a pooler acknowledges what it takes on the way to a server that is gone, so that neither keepalives nor
tcp_user_timeout end a wait behind it; and how long a statement may take nobody knows. So the address is asked anew, by
a request that takes no slot of a server or pool and that every server answers before any login.
"""

import logging
import os
import socket
import struct
import time
from dataclasses import dataclass, field
from typing import Any, Self

import msgspec
from psycopg import OperationalError

log = logging.getLogger("holdfast.postgres.silence")

PATIENCE = 10.0  # seconds without any answer before the address is asked, and for each of its answers
_TRIES = 5  # in a row without an answer: a minute in all, as for a peer that keepalives do not reach
_LONGEST_PAUSE = 60.0  # seconds between two questions, as long as they are answered
# Manual: "Message Formats", GSSENCRequest and SSLRequest. The first leaves no line in the log of a server, and the
# second is known to whatever can speak to libpq.
_REQUESTS = (80877104, 80877103)
_SHORT = 2.0  # seconds for a connection to an address that has been silent just now
_REMEMBERED = 60.0

Address = tuple[str, str]
"""An IP address or the folder of a socket, and the port."""
_silent: dict[Address, float] = {}  # with the moment when nobody answered there


class SilentServerError(OperationalError):
    """Nobody answers any more."""

    sqlstate = "08006"


class Peer(msgspec.Struct, frozen=True, kw_only=True):
    """The address at the other end of a connection, as exactly that one was reached."""

    family: int
    address: Any

    @classmethod
    def of(cls, descriptor: int) -> "Self | None":
        """The peer of a connected socket, which stays open; None where it has none any more."""
        try:
            with socket.socket(fileno=os.dup(descriptor)) as link:
                return cls(family=link.family, address=link.getpeername())
        except OSError:
            return None

    def answers(self, request: int, patience: float) -> bool:
        """Whether anything comes back; also True where that cannot be told, as nobody may have been asked."""
        try:
            with socket.socket(self.family, socket.SOCK_STREAM) as link:
                link.settimeout(patience)
                link.connect(self.address)
                link.sendall(struct.pack("!ii", 8, request))
                link.recv(1)  # the end of the connection is an answer, too
        except TimeoutError:
            return False
        except OSError as error:
            log.info("cannot ask %s: %s", self.address, error)
        return True

    def remember(self) -> None:
        """Let those who connect there in the next minute wait for less."""
        if self.family == socket.AF_UNIX:
            folder, _, port = str(self.address).rpartition("/.s.PGSQL.")
            remember((folder, port))
        else:
            remember((self.address[0], str(self.address[1])))


def is_silent(address: Address) -> bool:
    """Whether nobody answers at an address, for a moment: a pool may let nobody into a single database."""
    host, port = address
    port = port or "5432"
    if not host or not port.isdecimal():
        return False  # several, or what only libpq knows
    try:
        if host.startswith("/"):
            peer = Peer(family=socket.AF_UNIX, address=f"{host}/.s.PGSQL.{port}")
        else:
            family, *_, place = socket.getaddrinfo(host, int(port), type=socket.SOCK_STREAM)[0]
            peer = Peer(family=family, address=place)
    except OSError:
        return False
    return not any(peer.answers(request, _SHORT) for request in _REQUESTS)


def remember(address: Address) -> None:
    """Let those who connect there in the next minute wait for less: what is undone after a failure cannot be."""
    _silent[address] = time.monotonic()


def shortened(address: Address, seconds: float) -> float:
    """How long to wait for a connection to an address, instead of so many seconds."""
    was_silent = time.monotonic() - _silent.get(address, -_REMEMBERED) < _REMEMBERED
    return min(seconds, _SHORT) if was_silent else seconds


@dataclass(kw_only=True)
class Watch:
    """How long nothing has come from a peer, and when to ask it again; for one thread."""

    peer: Peer | None
    patience: float = PATIENCE
    _since: float = field(default_factory=time.monotonic)
    _due: float = 0.0
    _pause: float = 0.0
    _unanswered: int = 0

    def __post_init__(self) -> None:
        """Begin to count."""
        self.reset()

    def reset(self) -> None:
        """Something has come."""
        self._since = time.monotonic()
        self._pause = self.patience
        self._due = self._since + self._pause
        self._unanswered = 0

    @property
    def is_due(self) -> bool:
        """Whether it is time to ask."""
        return not self.pause

    @property
    def pause(self) -> float:
        """The seconds until then."""
        return max(0.0, self._due - time.monotonic())

    @property
    def seconds(self) -> float:
        """How long nothing has come."""
        return time.monotonic() - self._since

    def ask(self) -> bool:
        """Ask once; whether there was an answer. What was silent too often raises `SilentServerError`."""
        request = _REQUESTS[self._unanswered % len(_REQUESTS)]
        if self.peer is None or self.peer.answers(request, self.patience):
            self._unanswered = 0
            self._pause = min(2 * self._pause, _LONGEST_PAUSE)
            self._due = time.monotonic() + self._pause
            return True
        self.missed()
        return False

    def missed(self) -> None:
        """Count what was not answered; too often in a row it raises `SilentServerError`."""
        self._unanswered += 1
        if self._unanswered >= _TRIES:
            if self.peer is not None:
                self.peer.remember()
            raise SilentServerError(
                f"no answer from the server for {self.seconds:.0f} s, and none to new connections either"
            )
