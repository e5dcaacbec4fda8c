"""The pipeline: any chunks give the same bytes back, memory is bounded, and one failing part ends the whole."""

import contextlib
import hashlib
import io
import itertools
import threading
import time
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.alive import our_threads

from holdfast.api import Chunk
from holdfast.endings import Stopped
from holdfast.errors import HoldfastError, IntegrityError
from holdfast.plugins.builtin import NoCodec
from holdfast.plugins.waiting import Called, calls_under_way
from holdfast.streaming.ahead import ahead
from holdfast.streaming.blocks import BLOCK, SMALL, blocks
from holdfast.streaming.decode import plain_chunks
from holdfast.streaming.encode import Flow, Stored
from holdfast.streaming.workers import PATIENCE, Stop, Workers, run_tasks

SHA256 = {"sha256": hashlib.sha256}


class Sink:
    """A writer that keeps what it is given."""

    def __init__(self) -> None:
        self.frames: list[bytes] = []

    def write(self, data: Any) -> None:
        self.frames.append(bytes(data))


class Boom(Exception):  # noqa: N818 (what a foreign part raises is called anything)
    pass


def store(chunks: Any, *, codec: Any = None, writer: Any = None, stop: Stop | None = None, **fields: Any) -> Stored:
    workers = Workers(2)
    try:
        flow = Flow(codec=codec or NoCodec(), hashers=SHA256, workers=workers, stop=stop or Stop(), window=4, **fields)
        return flow.store(chunks, writer or Sink())
    finally:
        workers.close()


# --- blocks ---


SIZES = st.integers(0, 20) | st.sampled_from([BLOCK // 4 - 1, BLOCK // 4, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK + 3])

KINDS = st.sampled_from([bytes, bytearray, memoryview, lambda data: memoryview(data + b"x")[:-1]])


@given(st.lists(st.tuples(SIZES, KINDS), max_size=6), st.binary(min_size=1, max_size=7))
def test_chunks_of_any_size_and_kind_become_blocks_of_at_most_1_mib(
    chunks: list[tuple[int, Callable[[bytes], Any]]], pattern: bytes
) -> None:
    plain = [(pattern * (size // len(pattern) + 1))[:size] for size, _ in chunks]
    cut = list(blocks(kind(data) for data, (_, kind) in zip(plain, chunks, strict=True)))
    assert b"".join(cut) == b"".join(plain)
    assert all(0 < len(block) <= BLOCK for block in cut)
    assert all(len(block) >= SMALL for block in cut[:-1])
    small = [block for block in cut if len(block) < BLOCK // 4]
    assert len(small) <= 1 + sum(size >= BLOCK // 4 for size, _ in chunks)


def test_a_chunk_that_is_no_bytes_is_an_error_that_says_so() -> None:
    with pytest.raises(HoldfastError, match="the engine yielded str where bytes are expected"):
        list(blocks(["text"]))  # type: ignore[list-item]


def test_a_memoryview_of_wider_items_is_taken_as_its_bytes() -> None:
    assert b"".join(blocks([memoryview(b"abcdefgh").cast("I")])) == b"abcdefgh"


# --- store ---


def test_both_sides_of_the_codec_are_counted_and_digested() -> None:
    class Doubling(NoCodec):
        def encode(self, block: Any) -> bytes:
            return bytes(block) * 2

    sink = Sink()
    counted: list[int] = []
    stored = store([b"ab", b"c"], codec=Doubling(), writer=sink, count=counted.append)
    assert sink.frames == [b"abcabc"]
    assert (stored.size, stored.stored_size) == (3, 6)
    assert stored.digests["sha256"] == hashlib.sha256(b"abc").hexdigest()
    assert stored.stored_digests["sha256"] == hashlib.sha256(b"abcabc").hexdigest()
    assert counted == [3]


def test_frames_are_written_in_order_however_long_each_takes() -> None:
    turn = threading.Barrier(2, timeout=10)

    class Uneven(NoCodec):
        def encode(self, block: Any) -> bytes:
            turn.wait()  # two at a time, and the pair in either order
            return bytes(block[:4])

    sink = Sink()
    store((number.to_bytes(4, "big") + bytes(BLOCK - 4) for number in range(20)), codec=Uneven(), writer=sink)
    assert [int.from_bytes(frame, "big") for frame in sink.frames] == list(range(20))


def test_an_empty_stream_is_one_empty_frame() -> None:
    class Framed(NoCodec):
        def encode(self, block: Any) -> bytes:
            return b"<" + bytes(block) + b">"

    sink = Sink()
    assert store([], codec=Framed(), writer=sink).size == 0
    assert sink.frames == [b"<>"]


def test_the_number_of_blocks_under_way_is_bounded() -> None:
    made = written = most = 0
    full = threading.Event()

    def chunks() -> Iterator[bytes]:
        nonlocal made, most
        for _ in range(60):
            made += 1
            most = max(most, made - written)
            if made == 5:
                full.set()
            yield bytes(BLOCK)

    class Counting(Sink):
        def write(self, data: Any) -> None:
            nonlocal written
            assert full.wait(10)  # the first is not written before the window is full
            written += 1

    store(chunks(), writer=Counting())
    assert most == 5  # the window, and the one that is being read


def test_a_failed_write_ends_the_run_while_the_source_gives_nothing() -> None:
    stop = Stop()

    def chunks() -> Iterator[bytes]:
        yield bytes(BLOCK)
        while True:  # a source that waits for a lock, say, and looks at the switch
            stop.check()

    class Full(Sink):
        def write(self, data: Any) -> None:
            raise Boom("disk full")

    def store_all() -> None:
        store(chunks(), writer=Full(), stop=stop)

    with pytest.raises(Boom, match="disk full"):
        run_tasks([store_all], jobs=1, stop=stop, tick=lambda: None, release=lambda: None)
    assert our_threads() == set()


def test_a_failed_write_is_raised_where_the_stream_is_read() -> None:
    class Full(Sink):
        def write(self, data: Any) -> None:
            raise Boom("disk full")

    with pytest.raises(Boom, match="disk full"):
        store((bytes(BLOCK) for _ in range(20)), writer=Full())
    with pytest.raises(Boom, match="disk full"):
        store([b"all of it"], writer=Full())
    assert our_threads() == set()


@pytest.mark.parametrize("value", [None, "text", 7])
def test_a_codec_that_returns_no_bytes_is_blamed(value: Any) -> None:
    class Odd(NoCodec):
        def encode(self, block: Any) -> Any:
            return value

    with pytest.raises(HoldfastError, match=f"the codec returned {type(value).__name__} where bytes are expected"):
        store([b"x"], codec=Odd())


def failing_codec(error: BaseException, after: int) -> NoCodec:
    calls = itertools.count()

    class Failing(NoCodec):
        def encode(self, block: Any) -> Any:
            if next(calls) >= after:
                raise error
            return block

    return Failing()


@pytest.mark.parametrize("after", [0, 1, 7])
@pytest.mark.parametrize("error", [Boom("codec"), TimeoutError("of the codec's own"), MemoryError()])
def test_an_error_of_the_codec_is_raised_as_it_is(error: BaseException, after: int) -> None:
    with pytest.raises(type(error)) as caught:
        store((bytes(BLOCK) for _ in range(20)), codec=failing_codec(error, after))
    assert caught.value is error


class EndsLate(Future[Chunk]):
    """Ends just after a wait for it has timed out, and before anybody looks whether it has ended."""

    def __init__(self, end: Callable[["EndsLate"], None]) -> None:
        super().__init__()
        self._end = end

    def result(self, timeout: float | None = None) -> Chunk:
        if not self.done():
            self._end(self)
            raise TimeoutError
        return super().result(timeout)


def test_a_frame_that_is_ready_just_after_a_wait_for_it_is_taken() -> None:
    assert Stop().result(EndsLate(lambda future: future.set_result(b"frame"))) == b"frame"


def test_a_timeout_of_the_codec_itself_is_an_error() -> None:
    with pytest.raises(TimeoutError, match="of the codec"):
        Stop().result(EndsLate(lambda future: future.set_exception(TimeoutError("of the codec"))))


# --- decoding ---


@given(st.lists(st.binary(max_size=40), max_size=8))
def test_what_was_encoded_comes_back(pieces: list[bytes]) -> None:
    assert b"".join(plain_chunks(pieces, NoCodec(), stop=Stop())) == b"".join(pieces)


@pytest.mark.parametrize("taken", [0, 1, 5])
def test_a_reader_that_gives_up_leaves_no_thread(taken: int) -> None:
    chunks = plain_chunks(itertools.repeat(b"x"), NoCodec(), stop=Stop())
    for _ in range(taken):
        next(chunks)
    chunks.close()
    assert our_threads() == set()


def test_a_failure_elsewhere_ends_a_decompression_whose_output_nobody_takes() -> None:
    stop = Stop()
    chunks = plain_chunks(itertools.repeat(b"x"), NoCodec(), stop=stop)
    next(chunks)
    stop.set(Boom())
    for thread in our_threads():
        thread.join(5)
    assert our_threads() == set()
    chunks.close()


def test_a_failure_elsewhere_ends_the_wait_for_a_decompression_that_hangs() -> None:
    stop, forever = Stop(), threading.Event()

    def frames() -> Iterator[bytes]:
        yield b"x"
        stop.set(Boom())
        forever.wait(30)

    chunks = plain_chunks(frames(), NoCodec(), stop=stop)
    with pytest.raises(Stopped):
        list(chunks)
    forever.set()


def test_at_most_a_few_pieces_wait_to_be_taken() -> None:
    made: list[bytes] = []

    def frames() -> Iterator[bytes]:
        while True:
            made.append(b"x")
            yield b"x"

    chunks = plain_chunks(frames(), NoCodec(), stop=Stop(), depth=3)
    for _ in range(10):
        next(chunks)
    (thread,) = our_threads()
    deadline = time.monotonic() + 5
    while len(made) < 14 and time.monotonic() < deadline:
        time.sleep(0.01)
    thread.join(0.3)  # it would run away in this time
    assert len(made) == 14  # ten taken, three waiting, one in hand
    chunks.close()


class Failing(NoCodec):
    def __init__(self, where: str) -> None:
        self.where = where

    def decode(self, data: Any) -> Iterator[bytes]:
        if self.where == "decode":
            raise Boom("decode")
        yield bytes(data)

    def finish(self) -> None:
        if self.where == "finish":
            raise Boom("finish")


@pytest.mark.parametrize("where", ["decode", "finish"])
def test_an_error_of_the_decoder_is_raised_where_the_pieces_are_taken(where: str) -> None:
    codec = Failing(where)
    codec.decoder = lambda: codec  # type: ignore[method-assign]
    with pytest.raises(Boom, match=where):
        list(plain_chunks([b"abc"], codec, stop=Stop()))


def test_an_error_of_the_storage_is_raised_where_the_pieces_are_taken() -> None:
    def frames() -> Iterator[bytes]:
        yield b"abc"
        raise OSError("unplugged")

    with pytest.raises(OSError, match="unplugged"):
        list(plain_chunks(frames(), NoCodec(), stop=Stop()))


def test_more_than_the_recorded_size_is_not_decompressed() -> None:
    read = io.BytesIO(bytes(1000))
    with pytest.raises(IntegrityError, match="holds more than the 5 bytes"):
        list(plain_chunks(iter(lambda: read.read(3), b""), NoCodec(), stop=Stop(), size=5))
    assert read.tell() == 6


def test_a_small_stream_needs_no_thread_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of thousands of small ones each would start one, and wait for others."""
    workers, sink = Workers(1), Sink()
    try:
        flow = Flow(codec=NoCodec(), hashers=SHA256, workers=workers, stop=Stop(), window=4, sample=True)
        monkeypatch.setattr(threading.Thread, "start", lambda _: pytest.fail("a thread was started"))
        for block in (b"", b"x" * (SMALL - 1)):
            stored = flow.store([block[:9], block[9:]], sink)
            assert (stored.size, stored.stored_size) == (len(block), len(block))
            assert stored.digests == stored.stored_digests == {"sha256": hashlib.sha256(block).hexdigest()}
            assert sink.frames[-1] == block
    finally:
        monkeypatch.undo()
        workers.close()


def test_a_stopped_run_stores_no_small_stream() -> None:
    stop, sink = Stop(), Sink()
    stop.set(Stopped())
    with pytest.raises(Stopped):
        store([b"x"], writer=sink, stop=stop)
    assert sink.frames == []


def test_a_plugin_that_asks_for_pieces_is_not_waited_for_until_their_thread_has_ended() -> None:
    blame: Any = None  # whose calls these are is not asked for
    stop, goes_on, hangs = Stop(), threading.Event(), threading.Event()
    waited_for: list[str] = []

    def pieces() -> Generator[bytes, None, None]:
        with Called(blame, "decode()"):
            hangs.set()
            goes_on.wait(20)
        yield b""

    def load() -> None:
        with Called(blame, "load()"), contextlib.suppress(Stopped):
            next(ahead(pieces(), stop=stop, depth=1))

    thread = threading.Thread(target=load)
    thread.start()
    try:
        assert hangs.wait(20)
        while {call.what for call in calls_under_way()} != {"decode()"}:
            time.sleep(0.005)  # until it has asked for a piece
        until = time.monotonic() + PATIENCE  # for so long, and longer, the end of the hanging thread is waited for
        stop.set(KeyboardInterrupt())
        while True:
            under_way = [call.what for call in calls_under_way()]
            if time.monotonic() > until:
                break
            waited_for += under_way
            time.sleep(0.005)
    finally:
        goes_on.set()
        thread.join()
    assert {*waited_for} == {"decode()"}
