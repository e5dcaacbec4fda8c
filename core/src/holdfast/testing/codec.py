"""The contract of a codec, as tests."""

import random
import threading
from collections.abc import Iterable

import pytest

from holdfast.api import Chunk, Codec, IntegrityError
from holdfast.registry import Registry

MIB = 1 << 20
_PIECE = 4 * MIB  # bytes; no piece of a decoder may be much larger


def _blocks() -> list[bytes]:
    rng = random.Random(7)
    return [b"a" * MIB, rng.randbytes(MIB), bytes(rng.choices(b"abcd", k=MIB)), b"x", rng.randbytes(1000)]


def decode(codec: Codec, stored: Iterable[Chunk]) -> bytes:
    """Decompress pieces to the end."""
    decoder = codec.decoder()
    plain = bytearray()
    for data in stored:
        for piece in decoder.decode(data):
            plain += piece
    decoder.finish()
    return bytes(plain)


class CodecSuite:
    """Set `spec` to what `--codec` takes; the plugin must be installed, or override the fixture `codec`."""

    spec: str

    @pytest.fixture
    def codec(self) -> Codec:
        """The codec under test."""
        return Registry().codec(self.spec)

    def test_the_suffix_begins_with_a_dot_or_is_empty(self, codec: Codec) -> None:
        """File names are made with it."""
        assert codec.suffix == "" or (codec.suffix.startswith(".") and codec.suffix[1:].isalnum())

    def test_frames_put_one_after_another_decode_to_the_blocks(self, codec: Codec) -> None:
        """The core writes frames of many threads into one file."""
        blocks = _blocks()
        assert decode(codec, [b"".join(bytes(codec.encode(block)) for block in blocks)]) == b"".join(blocks)

    def test_each_frame_stands_alone(self, codec: Codec) -> None:
        """A frame must not need those before it."""
        for block in _blocks():
            codec.encode(b"something before it")
            assert decode(codec, [codec.encode(block)]) == block

    def test_an_empty_block_is_a_frame_that_decodes_to_nothing(self, codec: Codec) -> None:
        """An empty stream is one empty frame."""
        assert decode(codec, [codec.encode(b"")]) == b""

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
    def test_every_kind_of_chunk_is_taken(self, codec: Codec, kind: type) -> None:
        """Engines yield what they have."""
        assert decode(codec, [kind(bytes(codec.encode(kind(b"some text " * 100))))]) == b"some text " * 100

    @pytest.mark.parametrize("cut", [1, 7, 1000, 65536])
    def test_stored_bytes_may_be_cut_anywhere(self, codec: Codec, cut: int) -> None:
        """A storage hands them over in pieces of its own choice."""
        blocks = [block[: 20 * cut] for block in _blocks()]
        stored = b"".join(bytes(codec.encode(block)) for block in blocks)
        pieces = [stored[at : at + cut] for at in range(0, len(stored), cut)]
        assert decode(codec, pieces) == b"".join(blocks)

    def test_pieces_stay_small_however_much_a_frame_expands(self, codec: Codec) -> None:
        """A bomb must not fill memory before anybody can count its bytes."""
        if not codec.suffix:
            return  # plain bytes do not expand
        stored = bytes(codec.encode(bytes(64 * MIB)))
        sizes = [len(piece) for piece in codec.decoder().decode(stored)]
        assert sum(sizes) == 64 * MIB
        assert max(sizes) <= _PIECE

    def test_a_truncated_frame_is_an_integrity_error(self, codec: Codec) -> None:
        """Short files must not pass for whole ones."""
        if not codec.suffix:
            return  # plain bytes end anywhere; their size is compared by the core
        stored = bytes(codec.encode(_blocks()[2]))
        for length in {1, len(stored) // 2, len(stored) - 1}:
            with pytest.raises(IntegrityError):
                decode(codec, [stored[:length]])

    def test_foreign_bytes_are_an_integrity_error(self, codec: Codec) -> None:
        """Whatever lies in a store must not end in an exception of the library."""
        if not codec.suffix:
            return
        for garbage in (b"not of this format at all, certainly not", bytes(100), random.Random(3).randbytes(5000)):
            with pytest.raises(IntegrityError):
                decode(codec, [garbage])

    def test_encode_is_thread_safe(self, codec: Codec) -> None:
        """A pool of workers calls it."""
        blocks = [bytes([number]) * 50_000 + random.Random(number).randbytes(50_000) for number in range(8)]
        frames: dict[int, bytes] = {}

        def work(number: int) -> None:
            for _ in range(10):
                frames[number] = bytes(codec.encode(blocks[number]))

        threads = [threading.Thread(target=work, args=(number,)) for number in range(len(blocks))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert [decode(codec, [frames[number]]) for number in range(len(blocks))] == blocks
