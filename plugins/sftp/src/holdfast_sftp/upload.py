"""Writing a file: under a temporary name, gone on with where a connection breaks, and never over another."""

import contextlib
import errno
import logging
import time
import zlib
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from holdfast.api import HoldfastError, quote_name, temporary_path
from holdfast_sftp import wire
from holdfast_sftp.connection import Connection, ConnectionLostError, Pending
from holdfast_sftp.files import close, open_file, opening, read_pieces, window
from holdfast_sftp.server import Server
from holdfast_sftp.tree import exists

log = logging.getLogger("holdfast.storage")

_T = TypeVar("_T")
_SHORT_PATIENCE = 5.0  # seconds, for tidying up
_TRIES = 20  # to make a folder that others remove at the same time, being empty


@dataclass(kw_only=True)
class _Piece:
    """Bytes that the server has not acknowledged yet."""

    offset: int
    data: bytes
    crc: int  # of all bytes up to the end of these
    pending: Pending | None = None

    def send(self, connection: Connection, handle: bytes) -> None:
        """Send them."""
        parts = (wire.string(handle), wire.uint64(self.offset), wire.uint(len(self.data)))
        self.pending = connection.send(wire.WRITE, *parts, self.data)


class Upload:
    """One object on its way; `write` returns once what it took is copied, and few enough pieces are on their way."""

    def __init__(self, server: Server, path: str) -> None:
        self._server = server
        self._pool = server.pool
        self._tree = server.tree
        self._text = path
        self._path = server.tree.path(path)
        self._temporary = server.tree.path(temporary_path(path))
        self._connection: Connection | None = None
        self._handle = b""
        self._buffer = bytearray()
        self._size = 0  # of a piece
        self._offset = self._crc = 0
        self._waiting: deque[_Piece] = deque()
        self._taken = (0, 0)  # how many bytes the server has acknowledged, and their CRC
        self._doubtful = (0, 0)  # the same when a connection broke: whether it kept them is then looked at
        self._made = False

    def write(self, data: bytes | bytearray | memoryview) -> None:
        """Take bytes, and send what fills a request."""
        view = memoryview(data).cast("B")
        if not self._size:
            self._size = self._persist(lambda connection: connection.write_size)
        while view:
            room = self._size - len(self._buffer)
            self._buffer += view[:room]
            view = view[room:]
            if len(self._buffer) == self._size:
                self._send()

    def finish(self, allowed: Callable[[], object]) -> None:
        """Let the object be seen, unless there is one; `allowed` is asked right before."""
        if self._buffer:
            self._send()
        self._persist(self._settle)
        if self._doubtful[0]:
            self._persist(self._compare)
        allowed()
        self._publish()
        self.leave()

    def abort(self) -> None:
        """Remove what was sent."""
        try:
            if self._made:
                # What was read in vain must not hold up the tidying.
                self._pool.call(
                    lambda connection: self._tree.remove(connection, self._temporary, self._text),
                    patience=_SHORT_PATIENCE,
                )
        finally:
            self.leave()

    def leave(self) -> None:
        """Let others use the connection."""
        if self._connection is not None:
            if self._handle and not self._connection.is_broken:
                with contextlib.suppress(ConnectionLostError):
                    close(self._connection, self._handle)
            self._pool.give_back(self._connection)
        self._connection, self._handle = None, b""

    def _send(self) -> None:
        data = bytes(self._buffer)
        del self._buffer[:]
        self._crc = zlib.crc32(data, self._crc)
        self._waiting.append(_Piece(offset=self._offset, data=data, crc=self._crc))
        self._offset += len(data)
        self._persist(lambda connection: self._push(connection, window(self._size)))

    def _persist(self, step: Callable[[Connection], _T]) -> _T:
        """Do a step, and again by another connection where one breaks."""
        with self._server.translated(self._text):
            return self._try(step)

    def _try(self, step: Callable[[Connection], _T]) -> _T:
        tries, failed = 0, 0.0
        while True:
            try:
                if self._connection is None:
                    self._connection = self._pool.take()
                return step(self._connection)
            except ConnectionLostError as error:
                failed = failed or time.monotonic()
                self.leave()
                for piece in self._waiting:
                    piece.pending = None
                self._doubtful = self._taken
                self._pool.pause(error, tries, failed)
                tries += 1

    def _push(self, connection: Connection, most: int) -> None:
        """Send what is not sent, and wait until at most so many pieces are on their way."""
        self._send_waiting(connection)
        self._await(most)

    def _send_waiting(self, connection: Connection) -> None:
        if not self._handle:
            self._open(connection)
        for piece in self._waiting:
            if piece.pending is None:
                piece.send(connection, self._handle)

    def _await(self, most: int) -> None:
        while self._waiting and (len(self._waiting) > most or self._is_there()):
            piece = self._waiting[0]
            if piece.pending is not None:  # as all are by now
                piece.pending.wait().check(self._text)
            self._taken = (piece.offset + len(piece.data), piece.crc)
            self._waiting.popleft()

    def _is_there(self) -> bool:
        first = self._waiting[0].pending
        return first is not None and first.is_there

    def _open(self, connection: Connection) -> None:
        """Open the temporary file, or open it again; its name is nobody else's, so that it may have been made."""
        if self._taken[0]:
            try:
                self._handle = open_file(connection, self._temporary, wire.FOR_WRITING, self._text)
            except FileNotFoundError as error:
                raise HoldfastError(f"what was written of {quote_name(self._text)} is gone from the server") from error
            return
        looking = None if self._made else connection.send(wire.LSTAT, wire.string(self._path))
        if looking is not None and "/" not in self._text:  # as the mark of the store: nothing is made in vain
            self._refuse_taken(looking)
        self._made = True
        for _ in range(_TRIES):
            reply = opening(connection, self._temporary, wire.FOR_WRITING | wire.CREATE).wait()
            if isinstance(reply.refusal(self._text), FileNotFoundError):
                self._tree.make_parent(connection, self._temporary, self._text)
                continue
            self._handle = reply.fields(wire.HANDLE, self._text).text()
            break
        else:
            reply.check(self._text)
        if looking is not None:
            self._refuse_taken(looking)

    def _refuse_taken(self, looking: Pending) -> None:
        """Say before all of it is sent that the name is taken."""
        if looking.wait().kind == wire.ATTRS:
            raise FileExistsError(errno.EEXIST, "it exists already", self._text)

    def _settle(self, connection: Connection) -> None:
        """Have all of it acknowledged, on the disk, and closed, in one turn."""
        self._send_waiting(connection)
        syncing = self._tree.begin_sync(connection, self._handle)
        closing = close(connection, self._handle)
        self._handle = b""  # which the server may give to another file from now on
        self._await(0)
        self._tree.end_sync(syncing)
        closing.wait().check(self._text)

    def _compare(self, connection: Connection) -> None:
        """Read what was acknowledged before a connection broke: a server that was started anew may have lost it."""
        size, crc = self._doubtful
        if _crc_of(connection, self._temporary, size, self._text) != crc:
            raise HoldfastError(
                f"the server has lost what it had acknowledged of {quote_name(self._text)}, after a connection broke",
                hint="run it again; look whether the server was started anew meanwhile",
            )

    def _is_ours(self, connection: Connection) -> bool:
        """Whether what lies under the name is what was written; False where nothing lies there."""
        taken = exists(connection, self._path, self._text)
        if taken is None:
            return False
        if taken.size != self._offset or _crc_of(connection, self._path, self._offset, self._text) != self._crc:
            raise FileExistsError(errno.EEXIST, "it exists already", self._text)
        connection.call(wire.REMOVE, wire.string(self._temporary))  # if it is still there
        return True

    def _publish(self) -> None:
        unsure = False

        def give_name(connection: Connection) -> None:
            nonlocal unsure
            again, unsure = unsure, True
            if again and self._is_ours(connection):
                return
            try:
                self._tree.publish(connection, self._temporary, self._path, self._text)
            except (FileExistsError, FileNotFoundError) as error:
                # Of the session that broke the server may have done the last request only now.
                if again and self._is_ours(connection):
                    return
                if isinstance(error, FileExistsError):
                    raise
                raise HoldfastError(f"what was written of {quote_name(self._text)} is gone from the server") from error

        self._persist(give_name)
        self._made = False


def _crc_of(connection: Connection, path: bytes, size: int, text: str) -> int | None:
    """The CRC of the beginning of a file, None where it is shorter."""
    handle = open_file(connection, path, wire.FOR_READING, text)
    crc = count = 0
    for data in read_pieces(connection, handle, 0, size, text):
        crc, count = zlib.crc32(data, crc), count + len(data)
    close(connection, handle)
    return crc if count == size else None
