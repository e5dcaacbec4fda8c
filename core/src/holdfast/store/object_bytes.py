"""The bytes of an object: in one request where the storage can, read ahead, and resumed where that breaks."""

import logging
import random
import time
from collections.abc import Generator
from contextlib import closing

from holdfast.api import Storage, SupportsStreaming
from holdfast.errors import UnreachableError, os_error_text, quote_name
from holdfast.streaming.ahead import ahead
from holdfast.streaming.blocks import BLOCK
from holdfast.streaming.workers import TICK, Stop

log = logging.getLogger("holdfast.store")

_TRIES = 5  # in a row that bring nothing; between two of them half a second, one, two and four
_DEPTH = 4  # pieces that are read ahead


def object_bytes(storage: Storage, path: str, *, size: int, stop: Stop) -> Generator[bytes, None, None]:
    """Yield the bytes of an object that should have `size`, and not more than a piece beyond that.

    What the storage raises is raised; of a storage that streams, only once reading on at that byte has failed as well.
    """
    if not isinstance(storage, SupportsStreaming):
        yield from _piece_by_piece(storage, path, size, stop)
        return
    with closing(ahead(_streamed(storage, path, size, stop), stop=stop, depth=_DEPTH)) as pieces:
        yield from pieces


def _piece_by_piece(storage: Storage, path: str, size: int, stop: Stop) -> Generator[bytes, None, None]:
    offset = 0
    while offset <= size:
        stop.check()
        piece = storage.read(path, offset, BLOCK)
        if not piece:
            return
        yield piece
        offset += len(piece)


def _streamed(storage: SupportsStreaming, path: str, size: int, stop: Stop) -> Generator[bytes, None, None]:
    offset = failures = 0
    while True:
        begun = offset
        try:
            with closing(storage.stream(path, offset)) as pieces:  # type: ignore[type-var] # a generator, or guarded
                for piece in pieces:
                    stop.check()
                    yield piece
                    offset += len(piece)
                    if offset > size:
                        return
        except (FileNotFoundError, PermissionError, IsADirectoryError):
            raise
        except (OSError, UnreachableError) as error:
            failures = 1 if offset > begun else failures + 1
            if failures >= _TRIES:
                raise
            text = os_error_text(error) if isinstance(error, OSError) else error.message
            log.info("reading %s again from byte %d: %s", quote_name(path), offset, text)
            _wait(0.5 * 2 ** (failures - 1) * random.uniform(0.5, 1), stop)  # noqa: S311 (no secret)
            continue
        # What has ended well may have been cut off all the same: of one that is short the next request brings nothing.
        if offset >= size or offset == begun:
            return


def _wait(seconds: float, stop: Stop) -> None:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        stop.check()
        time.sleep(TICK)
