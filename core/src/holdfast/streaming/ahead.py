"""Reading ahead: what an iterator yields is made in a thread of its own, while another one takes it."""

import contextlib
import queue
import sys
import threading
from collections.abc import Generator
from typing import Generic, TypeVar

from holdfast.endings import Stopped
from holdfast.plugins.waiting import CalledBack
from holdfast.streaming.workers import PATIENCE, TICK, Stop, join

_Item = TypeVar("_Item")


class _End:
    """What follows the last piece."""


class _Ahead(Generic[_Item]):
    """One iterator in a thread of its own; at most `depth` pieces wait to be taken."""

    def __init__(self, pieces: Generator[_Item, None, None], *, stop: Stop, depth: int, name: str) -> None:
        self._pieces = pieces
        self._stop = stop
        self._waiting: queue.Queue[_Item | _End | BaseException] = queue.Queue(depth)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with contextlib.suppress(Stopped):
            try:
                with contextlib.closing(self._pieces):
                    for piece in self._pieces:
                        self._put(piece)
                self._put(_End())
            except Stopped:
                raise
            except BaseException as error:  # noqa: BLE001 (raised where the pieces are taken)
                self._put(error)

    def _put(self, item: _Item | _End | BaseException) -> None:
        while not self._closed.is_set():
            try:
                self._waiting.put(item, timeout=TICK)
                return
            except queue.Full:
                self._stop.check()
        raise Stopped

    def take(self) -> _Item | _End:
        """The next piece; raises what the iterator raised, and then the thread is ended."""
        with CalledBack():  # a plugin that asks for it waits for this one, until its thread has ended
            try:
                return self._take()
            except BaseException:
                self._end()
                raise

    def _take(self) -> _Item | _End:
        while True:
            try:
                item = self._waiting.get(timeout=TICK)
            except queue.Empty:
                self._stop.check()
                continue
            if isinstance(item, BaseException):
                raise item
            return item

    def close(self) -> None:
        """End the thread."""
        with CalledBack():
            self._end()

    def _end(self) -> None:
        if not self._closed.is_set():
            self._closed.set()
            join([self._thread], PATIENCE, ending=sys.exception())


def ahead(
    pieces: Generator[_Item, None, None], *, stop: Stop, depth: int, name: str = "holdfast-ahead"
) -> Generator[_Item, None, None]:
    """Yield what an iterator yields, up to `depth` pieces of which are made while nobody takes them yet."""
    thread = _Ahead(pieces, stop=stop, depth=depth, name=name)
    try:
        while not isinstance(piece := thread.take(), _End):
            yield piece
    finally:
        thread.close()
