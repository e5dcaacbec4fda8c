"""Cuts what is written to an object into parts, for storages whose service takes it so."""

from collections.abc import Callable

_Data = bytes | bytearray | memoryview


class PartWriter:
    """A `Writer` that hands on what it takes in parts of `part_size` bytes, each in a call of `put(number, part)`.

    `finish` hands on what is left, which is shorter, where there is any; a writer is not used after it. Where `count`
    is 0 before that, no part was full: the whole object is in `rest`, which services take in a single call.

    Example::

        @contextmanager
        def writer(self, path):
            upload = self.client.begin(path)
            parts = PartWriter(8 << 20, lambda number, part: self.client.put_part(upload, number, part))
            try:
                yield parts
                parts.finish()
                self.leases.check()
                self.client.complete(upload, parts.count, if_none_match="*")
            except BaseException:
                self.client.abort(upload)
                raise
    """

    def __init__(self, part_size: int, put: Callable[[int, bytes], object]) -> None:
        self.size = 0  #: bytes that were written
        self.count = 0  #: parts that were handed on
        self.rest = bytearray()  #: what was not handed on yet, less than a part
        self._part_size = part_size
        self._put = put

    def write(self, data: _Data) -> None:
        """Take bytes, and hand on what is full."""
        self.rest += data
        self.size += memoryview(data).nbytes
        while len(self.rest) >= self._part_size:
            self._hand_on(self._part_size)

    def finish(self) -> None:
        """Hand on what is left."""
        if self.rest:
            self._hand_on(len(self.rest))

    def _hand_on(self, size: int) -> None:
        part = bytes(memoryview(self.rest)[:size])
        del self.rest[:size]
        number, self.count = self.count, self.count + 1
        self._put(number, part)
