"""Sealing by runs of chunks, and reading parts of what was sealed, whatever the cipher does with a chunk."""

import random

import pytest

from holdfast.api import Chunk, IntegrityError
from holdfast.streaming.seal import BackupKey, SealedObject, SealingSink, opened
from holdfast.streaming.workers import Stop, Workers

CHUNK, TAG, HEAD = 1000, 5, 7


class Transparent:
    """Marks each chunk with its number and whether it is the last; hides nothing."""

    suffix = ".marked"
    chunk_size, overhead, head_size = CHUNK, TAG, 64
    head = b"marked\n"

    def new_key(self) -> bytes:
        return b"key"

    def sealer(self, key: bytes) -> "Transparent":
        return self

    def opener(self, key: bytes, head: bytes) -> "_Opener":
        if not head.startswith(self.head):
            raise IntegrityError("no head")
        return _Opener()

    def seal(self, data: Chunk, position: int, last: bool) -> bytes:
        plain = bytes(data)
        starts = range(0, len(plain), CHUNK) or range(1)
        return b"".join(
            plain[start : start + CHUNK] + _mark(position + number, last and start == starts[-1])
            for number, start in enumerate(starts)
        )

    def recipient(self, text: str) -> str:
        return text

    def identities(self, text: str) -> tuple[str, ...]:
        return (text,)

    def wrap(self, key: bytes, recipient: str) -> bytes:
        return key

    def unwrap(self, sealed: bytes, identity: str) -> bytes | None:
        return sealed


class _Opener:
    head_size = HEAD

    def open(self, data: Chunk, position: int, last: bool) -> bytes:
        whole, plain = bytes(data), b""
        starts = range(0, len(whole), CHUNK + TAG) or range(1)
        for number, start in enumerate(starts):
            chunk = whole[start : start + CHUNK + TAG]
            if chunk[-TAG:] != _mark(position + number, last and start == starts[-1]):
                raise IntegrityError("a chunk is not in its place")
            plain += chunk[:-TAG]
        return plain


def _mark(number: int, last: bool) -> bytes:
    return number.to_bytes(TAG - 1, "big") + bytes([last])


KEY = BackupKey(cipher=Transparent(), secret=b"key")


class Kept:
    def __init__(self) -> None:
        self.data = bytearray()
        self.finished = 0

    def write(self, frame: Chunk) -> None:
        self.data += frame

    def finish(self) -> None:
        self.finished += 1


def sealed(plain: bytes, rng: random.Random, workers: Workers | None) -> bytes:
    kept = Kept()
    sink = SealingSink(KEY, kept, stop=Stop(), workers=workers, depth=3)
    at = 0
    while at < len(plain):
        size = rng.choice([1, 10, CHUNK, 300_000])
        sink.write(plain[at : at + size])
        at += size
    sink.finish()
    assert kept.finished == 1
    return bytes(kept.data)


@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1, 262_000, 262_001, 900_123])
@pytest.mark.parametrize("threads", [0, 3])
def test_frames_cut_anywhere_come_back_whole_and_in_parts(size: int, threads: int) -> None:
    rng = random.Random(size)
    plain = rng.randbytes(size)
    workers = Workers(threads) if threads else None
    try:
        data = sealed(plain, rng, workers)
    finally:
        if workers is not None:
            workers.close()
    assert data == Transparent.head + Transparent().seal(plain, 0, True)
    cuts = sorted(rng.randint(0, len(data)) for _ in range(5))
    pieces = [data[start:end] for start, end in zip([0, *cuts], [*cuts, len(data)], strict=True)]
    assert b"".join(opened(pieces, KEY)) == plain
    reader = SealedObject(KEY, lambda offset, length: data[offset : offset + length], len(data))
    assert reader.size == size
    for _ in range(20):
        offset, length = rng.randint(0, size), rng.choice([0, 1, CHUNK, 5000, size])
        assert reader.read(offset, length) == plain[offset : offset + length]


def test_of_a_part_only_the_chunks_that_hold_it_are_fetched_and_the_last() -> None:
    plain = random.Random(1).randbytes(2_000_000)
    data = sealed(plain, random.Random(2), None)
    fetched: list[int] = []

    def read(offset: int, length: int) -> bytes:
        fetched.append(length)
        return data[offset : offset + length]

    assert SealedObject(KEY, read, len(data)).read(1_000_500, 100_000) == plain[1_000_500:1_100_500]
    assert sum(fetched) <= 64 + 102 * (CHUNK + TAG)


@pytest.mark.parametrize("cut", [1, TAG, CHUNK, CHUNK + TAG, 5 * (CHUNK + TAG)])
def test_what_is_cut_off_is_found_by_its_last_chunk_before_any_part_is_read(cut: int) -> None:
    data = sealed(random.Random(3).randbytes(10 * CHUNK), random.Random(4), None)[:-cut]
    with pytest.raises(IntegrityError):
        SealedObject(KEY, lambda offset, length: data[offset : offset + length], len(data))
    with pytest.raises(IntegrityError):
        list(opened([data], KEY))
