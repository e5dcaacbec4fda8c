"""One session of SFTP: many requests in flight, from several threads, whose replies may come in any order."""

import contextlib
import errno
import io
import itertools
import logging
import os
import threading
import time
from collections.abc import Sequence

from holdfast.api import HoldfastError, UnreachableError
from holdfast_sftp import wire
from holdfast_sftp.location import Location
from holdfast_sftp.program import Program, explain, refuse_missing_config

log = logging.getLogger("holdfast.storage")

_BEGINS = 60.0  # seconds for logging in and the first packets
_SILENCE = 1800.0  # seconds for the reply to a request: an fsync of gigabytes takes its time, a FIFO never ends
_UNTOLD = 32 << 10  # bytes of a read or write that every server takes
_MOST = 255 << 10  # of one of OpenSSH's
_UNTOLD_HANDLES, _MOST_HANDLES = 32, 128  # files and folders that are open for one call
_BUFFER = 1 << 18


class ConnectionLostError(ConnectionError):
    """The session ended before all replies were there: nobody knows what was done."""


class Pending:
    """The reply to a request, once it is there; one that nobody waits for any more is dropped."""

    __slots__ = ("_arrived", "_connection", "reply")

    def __init__(self, connection: "Connection") -> None:
        self._connection = connection
        self._arrived = threading.Lock()
        self._arrived.acquire()
        self.reply: wire.Reply | None = None

    def arrive(self, reply: wire.Reply | None) -> None:
        """Hand over the reply, or None where none will come."""
        self.reply = reply
        self._arrived.release()

    @property
    def is_there(self) -> bool:
        """Whether `wait` returns at once."""
        return not self._arrived.locked()

    def wait(self) -> wire.Reply:
        """Wait for the reply; `ConnectionLostError` where there will be none."""
        if not self._arrived.acquire(timeout=_SILENCE):
            self._connection.give_up(f"no reply within {_SILENCE:.0f} s")
            self._arrived.acquire()
        self._arrived.release()
        if self.reply is None:
            raise self._connection.lost()
        return self.reply


class Connection:
    """A session; it is logged in once this is made."""

    def __init__(self, location: Location) -> None:
        refuse_missing_config(location)
        self._location = location
        self._lock = threading.Lock()
        self._sending = threading.Lock()
        self._numbers = itertools.count(1)
        self._pending: dict[int, Pending] = {}
        self._broken = ""
        self.transfers = 0  #: how many objects are read or written by way of it; the pool counts
        self.last_used = time.monotonic()
        self._program = Program(location)
        self._input = self._program.input.fileno()
        self._output = io.BufferedReader(self._program.output, _BUFFER)
        try:
            self.extensions = self._begin()
        except BaseException:
            self._program.kill()
            self._program.end()
            self._program.close()
            raise
        self._reader = threading.Thread(target=self._receive, name=f"sftp {location.host}", daemon=True)
        self._reader.start()
        self.read_size = self.write_size = _UNTOLD
        self.handles = _UNTOLD_HANDLES
        if wire.LIMITS in self.extensions:
            self._ask_limits()

    @property
    def is_broken(self) -> bool:
        """Whether no request can be sent any more."""
        return bool(self._broken)

    def send(self, kind: int, *parts: bytes | bytearray | memoryview) -> Pending:
        """Send a request, whose bytes may be changed afterwards, and return what its reply will come to."""
        pending = Pending(self)
        with self._sending:
            with self._lock:
                if self._broken:
                    raise self.lost()
                number = next(self._numbers) & 0xFFFFFFFF
                self._pending[number] = pending
            try:
                self._write(wire.head(kind, number, sum(map(len, parts))), *parts)
            except OSError as error:
                self.give_up(f"ssh takes nothing more: {error.strerror}")
                raise self.lost() from error
            except BaseException:  # maybe in the middle of a packet
                self.give_up("interrupted")
                raise
        return pending

    def call(self, kind: int, *parts: bytes) -> wire.Reply:
        """Send a request and wait for its reply."""
        return self.send(kind, *parts).wait()

    def extended(self, name: bytes, *parts: bytes) -> Pending:
        """Send a request of an extension."""
        return self.send(wire.EXTENDED, wire.string(name), *parts)

    def give_up(self, why: str) -> None:
        """End it at once; who waits for replies is told."""
        with self._lock:
            self._broken = self._broken or why
        self._program.kill()

    def lost(self) -> ConnectionLostError:
        """The error that says why it ended."""
        return ConnectionLostError(errno.ECONNRESET, f"the connection to {self._location.text} broke: {self._broken}")

    def close(self) -> None:
        """End it once the server has done what was sent."""
        with self._lock:
            self._broken = self._broken or "closed"
        with contextlib.suppress(OSError):
            self._program.input.close()
        self._reader.join(2)
        if self._reader.is_alive():
            self._program.kill()
            self._reader.join(2)

    def _begin(self) -> frozenset[bytes]:
        """Greet the server, and return which extensions it has."""
        watch = threading.Timer(_BEGINS, self._program.kill)
        watch.daemon = True
        watch.start()
        first = body = b""
        try:
            with contextlib.suppress(OSError):  # it has ended: what it says tells why
                self._write(wire.hello())
            first = self._output.read(4)
            if len(first) == 4:
                body = self._output.read(wire.packet_size(first))
                if body[:1] == bytes([wire.HELLO]):
                    fields = wire.Fields(body, 1)
                    if (version := fields.uint()) != wire.VERSION:
                        raise HoldfastError(f"the server of {self._location.text} speaks SFTP {version}, expected 3")
                    return frozenset(name for name, _ in fields.pairs())
        except wire.ProtocolError:  # as the 0x57656c63 of "Welcome"
            body = self._output.read1(1000)
        finally:
            watch.cancel()
        timed_out = self._program.killed
        code = self._program.end(wait=0 if first else 2.0)
        if timed_out:
            raise UnreachableError(f"no SFTP from {self._location.text} within {_BEGINS:.0f} s")
        raise explain(self._location, self._program, code, first + body)

    def _ask_limits(self) -> None:
        reply = self.extended(wire.LIMITS).wait()
        if reply.kind != wire.EXTENDED_REPLY:
            return
        fields = reply.fields(wire.EXTENDED_REPLY, "")
        fields.uint64()
        most_read, most_written = fields.uint64(), fields.uint64()
        self.read_size = min(_MOST, most_read or _UNTOLD)
        self.write_size = min(_MOST, most_written or _UNTOLD)
        if most := fields.uint64():
            self.handles = max(1, min(_MOST_HANDLES, most // 4))  # several of our threads list at once
        else:
            self.handles = _MOST_HANDLES

    def _write(self, *parts: bytes | bytearray | memoryview) -> None:
        left: Sequence[bytes | bytearray | memoryview] = parts
        while True:
            count = os.writev(self._input, left)
            for at, part in enumerate(left):
                if count < len(part):
                    left = [memoryview(part)[count:], *left[at + 1 :]]
                    break
                count -= len(part)
            else:
                return

    def _receive(self) -> None:
        """Hand out replies until the session ends, and say then why it did."""
        why = ""
        try:
            while len(announced := self._output.read(4)) == 4:
                size = wire.packet_size(announced)
                body = self._output.read(min(size, wire.DATA_HEAD))
                if len(body) < 5:
                    break
                kind, number = body[0], int.from_bytes(body[1:5], "big")
                if (left := size - len(body)) or kind == wire.DATA:
                    rest = self._output.read(left)
                    if len(rest) < left:
                        break
                    body = rest if kind == wire.DATA else body + rest
                with self._lock:
                    pending = self._pending.pop(number, None)
                if pending is not None:
                    pending.arrive(wire.Reply(kind, body))
        except (OSError, ValueError, wire.ProtocolError) as error:
            why = str(error)
        self._finish(why)

    def _finish(self, why: str) -> None:
        if why:
            self._program.kill()
        code = self._program.end(wait=2.0)
        with self._lock:
            self._broken = self._broken or why or self._program.said() or f"ssh ended with exit code {code}"
            pending, self._pending = self._pending, {}
        self._program.close()
        for each in pending.values():
            each.arrive(None)
