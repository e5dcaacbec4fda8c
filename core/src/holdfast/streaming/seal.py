"""Sealing and opening: the frames of a blob as runs of chunks, which workers seal at once, and read from anywhere.

A blob is sealed outside of its codec: what is compressed is encrypted, never the other way round.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from functools import partial
from itertools import chain
from typing import Protocol

import msgspec

from holdfast.api import Chunk, Cipher, Opener
from holdfast.errors import IntegrityError, PluginError
from holdfast.streaming.workers import Stop, Workers

_RUN = 1 << 18  # bytes that one worker seals at a time; of 1 MiB, which no cache holds, a third more CPU


class BackupKey(msgspec.Struct, frozen=True, kw_only=True):
    """The key of one backup, and the cipher that seals and opens its blobs with it."""

    cipher: Cipher
    secret: bytes

    def __repr__(self) -> str:
        """Show nothing of the secret."""
        return "BackupKey(…)"

    def seal(self, data: bytes) -> bytes:
        """Seal a small file."""
        sealer = self.cipher.sealer(self.secret)
        return sealer.head + bytes(sealer.seal(data, 0, True))

    def open(self, data: bytes) -> bytes:
        """Open a small file."""
        opener = self.cipher.opener(self.secret, data[: self.cipher.head_size])
        return opener.open(data[opener.head_size :], 0, True)


class Sink(Protocol):
    """Where the frames of a blob go, in order."""

    def write(self, frame: Chunk, /) -> None:
        """Take the next frame."""
        ...

    def finish(self) -> None:
        """Take note that no more come."""
        ...


class SealingSink:
    """Seals frames on their way to another sink; up to `depth` runs of chunks are under way in the pool of workers.

    Without workers each run is sealed where it is written.
    """

    def __init__(self, key: BackupKey, sink: Sink, *, stop: Stop, workers: Workers | None, depth: int) -> None:
        self._sealer = key.cipher.sealer(key.secret)
        self._chunk = key.cipher.chunk_size
        self._run = max(1, _RUN // self._chunk)
        self._sink = sink
        self._stop = stop
        self._workers = workers
        self._depth = depth
        self._pieces: list[memoryview] = []  # put together by the worker: copying them here costs as much as sealing
        self._waiting = 0
        self._position = 0
        self._pending: deque[Future[Chunk]] = deque()
        sink.write(self._sealer.head)

    def write(self, frame: Chunk) -> None:
        """Take the next frame; what is full is sealed, but for what may be the last of all."""
        view = memoryview(frame).cast("B")
        size = self._run * self._chunk
        while self._waiting + len(view) > size:
            room = size - self._waiting
            self._pieces.append(view[:room])
            view = view[room:]
            self._seal(last=False)
        if view:
            self._pieces.append(view)
            self._waiting += len(view)

    def finish(self) -> None:
        """Seal what is left, as the end of the blob."""
        self._seal(last=True)
        while self._pending:
            self._sink.write(self._stop.result(self._pending.popleft()))
        self._sink.finish()

    def _seal(self, *, last: bool) -> None:
        position, self._position = self._position, self._position + self._run
        pieces, self._pieces, self._waiting = self._pieces, [], 0
        if self._workers is None:
            self._sink.write(self._sealed(pieces, position, last, b""))
            return
        while len(self._pending) >= self._depth:
            self._sink.write(self._stop.result(self._pending.popleft()))
        self._pending.append(self._workers.submit(partial(self._sealed, pieces, position, last), b""))

    def _sealed(self, pieces: list[memoryview], position: int, last: bool, _block: Chunk) -> Chunk:
        run: Chunk = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        return self._sealer.seal(run, position, last)


def opened(stored: Iterable[bytes], key: BackupKey) -> Iterator[bytes]:
    """The frames of a sealed blob, from its stored bytes; `IntegrityError` where they are not what was sealed."""
    cipher = key.cipher
    chunks = max(1, _RUN // cipher.chunk_size)
    run = (cipher.chunk_size + cipher.overhead) * chunks
    buffer, position = bytearray(), 0
    opener: Opener | None = None
    for piece in chain(stored, (None,)):
        buffer += piece or b""
        if opener is None and (piece is None or len(buffer) >= cipher.head_size):
            opener = _begin(key, buffer)
        while opener is not None and len(buffer) > run:  # with a byte behind it a chunk is not the last
            yield opener.open(bytes(memoryview(buffer)[:run]), position, False)
            del buffer[:run]
            position += chunks
    if opener is not None:
        yield opener.open(bytes(buffer), position, True)


def _begin(key: BackupKey, buffer: bytearray) -> Opener:
    opener = key.cipher.opener(key.secret, bytes(memoryview(buffer)[: key.cipher.head_size]))
    del buffer[: opener.head_size]
    return opener


class SealedObject:
    """A sealed blob of which parts are read: `read` gives its stored bytes at an offset, and it has `size` of them.

    Only the chunks that hold what is wanted are read and opened, and the last one, which proves how many there are.
    """

    def __init__(self, key: BackupKey, read: Callable[[int, int], bytes], size: int) -> None:
        cipher = key.cipher
        self._read = read
        self._chunk, self._step = cipher.chunk_size, cipher.chunk_size + cipher.overhead
        self._overhead = cipher.overhead
        self._opener = cipher.opener(key.secret, read(0, min(size, cipher.head_size)))
        self._body = size - self._opener.head_size
        self._last = max(0, (self._body - 1) // self._step)
        self._end = self._open(self._last, self._last)

    @property
    def size(self) -> int:
        """The number of bytes that were sealed."""
        return self._last * self._chunk + len(self._end)

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from an offset on, fewer where the blob ends."""
        length = min(length, self.size - offset)
        if length <= 0:
            return b""
        first, last = offset // self._chunk, (offset + length - 1) // self._chunk
        data = self._open(first, min(last, self._last - 1)) if first < self._last else b""
        if last == self._last:
            data += self._end
        start = offset - first * self._chunk
        return data[start : start + length]

    def _open(self, first: int, last: int) -> bytes:
        begin, end = first * self._step, min((last + 1) * self._step, self._body)
        data = self._read(self._opener.head_size + begin, max(0, end - begin))
        if len(data) != max(0, end - begin):
            raise IntegrityError("it is cut off")
        return self._opener.open(data, first, last == self._last)


def check_cipher(cipher: Cipher, who: str) -> None:
    """Refuse sizes with which no chunk could be located, before anything is written."""
    if cipher.chunk_size < 1 or cipher.overhead < 0 or cipher.head_size < 0:
        raise PluginError(f"{who} breaks its contract: chunk_size, overhead and head_size are no sizes")
