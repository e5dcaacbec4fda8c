"""Encode: a stream cut into blocks, compressed in parallel, digested and written in order."""

import queue
import threading
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Future
from itertools import chain

import msgspec

from holdfast.api import Chunk, Codec, Hasher, HasherFactory, Writer
from holdfast.endings import Stopped
from holdfast.errors import PluginError
from holdfast.streaming.blocks import SMALL, blocks
from holdfast.streaming.samples import Sample, Sampler
from holdfast.streaming.seal import BackupKey, SealingSink, Sink
from holdfast.streaming.workers import PATIENCE, TICK, Stop, Workers, join


class Flow(msgspec.Struct, frozen=True, kw_only=True):
    """What all streams of a dump share: how to compress, what to digest, the pool and the switch.

    `window` is the number of blocks that one stream may have under way: memory is about 2 MiB for each.
    """

    codec: Codec
    hashers: Mapping[str, HasherFactory]
    workers: Workers
    stop: Stop
    window: int
    count: Callable[[int], object] = lambda _size: None
    sample: bool = False
    key: BackupKey | None = None

    def store(self, chunks: Iterable[Chunk], writer: Writer) -> "Stored":
        """Read a stream to its end: compress, digest and write it."""
        plain = {name: start() for name, start in self.hashers.items()}
        stored = {name: start() for name, start in self.hashers.items()}
        digesting = _DigestingSink(writer, stored)
        source = blocks(chunks)
        first = next(source, b"")  # an empty stream is one empty frame
        is_small = len(first) < SMALL
        sink = self._sink(digesting, None if is_small else self.workers)
        output = _Output(sink, stop=self.stop, window=self.window, sampler=Sampler() if self.sample else None)
        if is_small:
            size = self._store_block(first, plain, output)
        else:
            size = self._store_blocks(chain((first,), source), plain, output)
        return Stored(
            size=size,
            stored_size=digesting.size,
            digests=_hex(plain),
            stored_digests=_hex(stored),
            samples=output.samples,
        )

    def _sink(self, sink: Sink, workers: Workers | None) -> Sink:
        if self.key is None:
            return sink
        return SealingSink(self.key, sink, stop=self.stop, workers=workers, depth=self.window)

    def _store_block(self, block: Chunk, plain: Mapping[str, Hasher], output: "_Output") -> int:
        """Store a small stream without other threads: with thousands of them, these take longer than all the rest."""
        self.stop.check()
        frame = self.codec.encode(block)
        for hasher in plain.values():
            hasher.update(block)
        self.count(len(block))
        output.write_alone(block, frame)
        return len(block)

    def _store_blocks(self, source: Iterable[Chunk], plain: Mapping[str, Hasher], output: "_Output") -> int:
        """Store a stream of several, which the workers compress at once; returns its bytes."""
        size = 0
        output.start()
        try:
            for block in source:
                output.wait()
                output.put(block, self.workers.submit(self.codec.encode, block))
                for hasher in plain.values():
                    hasher.update(block)
                size += len(block)
                self.count(len(block))
            output.finish()
        finally:
            output.close()
        return size


class _DigestingSink:
    """Writes what is stored, and digests it."""

    def __init__(self, writer: Writer, hashers: Mapping[str, Hasher]) -> None:
        self.size = 0
        self._writer = writer
        self._hashers = hashers

    def write(self, frame: Chunk) -> None:
        for hasher in self._hashers.values():
            hasher.update(frame)
        self._writer.write(frame)
        self.size += len(frame)

    def finish(self) -> None:
        pass


class _Output:
    """Writes frames into a sink in order, in a thread of its own, not the one that reads and digests blocks.

    A twentieth faster than one thread for both, which the workers had to wait for. At most `window` frames are
    under way.
    """

    def __init__(self, sink: Sink, *, stop: Stop, window: int, sampler: Sampler | None) -> None:
        self._size = 0
        self.samples: tuple[Sample, ...] = ()
        self._sampler = sampler
        self._sink = sink
        self._stop = stop
        self._error: BaseException | None = None
        self._frames: queue.SimpleQueue[tuple[Chunk, Future[Chunk]] | None] = queue.SimpleQueue()
        self._room = threading.Semaphore(window)
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._run, name="holdfast-output", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def write_alone(self, block: Chunk, frame: Chunk) -> None:
        """Write the only frame, without the thread."""
        self._write(block, frame)
        self._sink.finish()
        if self._sampler is not None:
            self.samples = self._sampler.finish()

    def wait(self) -> None:
        """Wait for room for another frame; raises what went wrong with those before."""
        self._check()
        while not self._room.acquire(timeout=TICK):
            self._check()

    def put(self, block: Chunk, frame: "Future[Chunk]") -> None:
        """Hand over what will be the next frame, and the block that it is made of."""
        self._frames.put((block, frame))

    def finish(self) -> None:
        """Wait until everything is written."""
        self._frames.put(None)
        while self._thread.is_alive():
            self._thread.join(TICK)
            self._check()
        self._check()

    def close(self) -> None:
        """End the thread, whatever is still under way."""
        self._closed.set()
        self._frames.put(None)
        join([self._thread], PATIENCE)

    def _check(self) -> None:
        if self._error is not None:
            raise self._error
        self._stop.check()

    def _run(self) -> None:
        try:
            while (pair := self._frames.get()) is not None:
                self._write(pair[0], self._stop.result(pair[1]))
                del pair  # it holds its frame, and the next may be long in coming
                self._room.release()
            if self._closed.is_set():  # what ended early is not ended well by a last chunk
                return
            self._sink.finish()
            if self._sampler is not None:
                self.samples = self._sampler.finish()
        except Stopped:
            pass  # whoever set the switch tells why
        except BaseException as error:  # noqa: BLE001 (raised where frames are handed over)
            self._error = error
            self._stop.set(error)  # the source may be slow, and nobody else would look here meanwhile

    def _write(self, block: Chunk, frame: Chunk) -> None:
        if self._closed.is_set():
            raise Stopped
        if not isinstance(frame, bytes | bytearray | memoryview):
            raise PluginError(f"the codec returned {type(frame).__name__} where bytes are expected")
        self._sink.write(frame)
        if self._sampler is not None:
            self._sampler.add(self._size, block, frame)
        self._size += len(frame)


class Stored(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a stream: bytes before and after the codec, with the digests of both by algorithm."""

    size: int
    stored_size: int
    digests: Mapping[str, str]
    stored_digests: Mapping[str, str]
    samples: tuple[Sample, ...] = ()


def _hex(hashers: Mapping[str, Hasher]) -> dict[str, str]:
    return {name: hasher.hexdigest() for name, hasher in hashers.items()}
