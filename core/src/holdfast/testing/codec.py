"""The contract of a codec, as tests."""

import contextlib
import itertools
import random
import shlex
import subprocess
import threading
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from holdfast.api import Chunk, Codec, IntegrityError, SupportsShellDecode
from holdfast.plugins.registry import Registry

MIB = 1 << 20
_PIECE = 4 * MIB  # bytes; no piece of a decoder may be much larger
_SMALL = (bytes(range(256)) * 8, b"the end" * 30)


def _blocks() -> list[bytes]:
    rng = random.Random(7)
    return [b"a" * MIB, rng.randbytes(MIB), bytes(rng.choices(b"abcd", k=MIB)), b"x", rng.randbytes(1000)]


def _cut(stored: bytes, offsets: Iterable[int]) -> list[bytes]:
    borders = [0, *sorted(offsets), len(stored)]
    return [stored[start:end] for start, end in itertools.pairwise(borders)]


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

    spec: str  #: what `--codec` takes, such as `lz4:1`

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

    def test_no_bytes_at_all_decode_to_nothing(self, codec: Codec) -> None:
        """A decoder that was given nothing has nothing to complain of."""
        assert decode(codec, []) == decode(codec, [b""]) == b""

    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: memoryview(data + b"x")[:-1]])
    def test_every_kind_of_chunk_is_taken(self, codec: Codec, kind: Callable[[bytes], Chunk]) -> None:
        """Engines yield what they have."""
        assert decode(codec, [kind(bytes(codec.encode(kind(b"some text " * 100))))]) == b"some text " * 100

    @pytest.mark.parametrize("cut", [1, 7, 1000, 65536])
    def test_stored_bytes_may_be_cut_anywhere(self, codec: Codec, cut: int) -> None:
        """A storage hands them over in pieces of its own choice."""
        blocks = [block[: 20 * cut] for block in _blocks()]
        stored = b"".join(bytes(codec.encode(block)) for block in blocks)
        pieces = [stored[at : at + cut] for at in range(0, len(stored), cut)]
        assert decode(codec, pieces) == b"".join(blocks)

    def test_any_blocks_come_back_from_any_pieces(self, codec: Codec) -> None:
        """Short blocks, empty ones and short pieces meet in ways that nobody thinks of."""
        rng = random.Random(11)
        for _ in range(100):
            blocks = [
                rng.randbytes(rng.choice([0, 1, 200])) + bytes(rng.choice([0, 40_000]))
                for _ in range(rng.randint(0, 6))
            ]
            stored = b"".join(bytes(codec.encode(block)) for block in blocks)
            pieces = _cut(stored, (rng.randint(0, len(stored)) for _ in range(rng.randint(0, 5))))
            assert decode(codec, pieces) == b"".join(blocks)

    def test_the_command_for_doing_it_by_hand_decodes_the_file(self, codec: Codec, tmp_path: Path) -> None:
        """RESTORE.md shows it to whoever has no Holdfast left."""
        if not isinstance(codec, SupportsShellDecode):
            return
        blocks = [*_blocks(), b""]
        path = tmp_path / f"blob{codec.suffix}"
        path.write_bytes(b"".join(bytes(codec.encode(block)) for block in blocks))
        done = subprocess.run([*shlex.split(codec.command), str(path)], capture_output=True, check=True)
        assert done.stdout == b"".join(blocks)

    def test_pieces_stay_small_however_much_a_frame_expands(self, codec: Codec) -> None:
        """A bomb must not fill memory before anybody can count its bytes."""
        if not codec.suffix:
            return  # plain bytes do not expand
        stored = bytes(codec.encode(bytes(64 * MIB)))
        decoder = codec.decoder()
        tracemalloc.start()
        try:
            sizes = [len(piece) for piece in decoder.decode(stored)]
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert sum(sizes) == 64 * MIB
        assert max(sizes) <= _PIECE
        assert peak <= 4 * _PIECE

    def test_a_truncated_frame_is_an_integrity_error(self, codec: Codec) -> None:
        """Short files must not pass for whole ones."""
        if not codec.suffix:
            return  # plain bytes end anywhere; their size is compared by the core
        stored = bytes(codec.encode(_blocks()[2]))
        first, second = (bytes(codec.encode(block)) for block in _SMALL)
        cuts = [stored[:length] for length in (1, len(stored) // 2, len(stored) - 1)]
        cuts += [(first + second)[:length] for length in range(1, len(first + second)) if length != len(first)]
        for cut in cuts:
            with pytest.raises(IntegrityError):
                decode(codec, [cut])

    def test_what_follows_the_last_frame_is_not_ignored(self, codec: Codec) -> None:
        """What somebody put behind a file must not pass for a part of it."""
        if not codec.suffix:
            return
        with pytest.raises(IntegrityError):
            decode(codec, [bytes(codec.encode(_SMALL[0])) + b"garbage!" * 4])

    def test_damage_ends_in_no_other_error(self, codec: Codec) -> None:
        """Where a format has no checksum of its own, that of the backup finds the damage."""
        stored = b"".join(bytes(codec.encode(block)) for block in _SMALL)
        rng = random.Random(5)
        for at in range(len(stored)):
            damaged = bytearray(stored)
            damaged[at] ^= rng.randint(1, 255)
            with contextlib.suppress(IntegrityError):
                decode(codec, [damaged])

    def test_foreign_bytes_are_an_integrity_error(self, codec: Codec) -> None:
        """Whatever lies in a store must not end in an exception of the library."""
        if not codec.suffix:
            return
        for garbage in (
            b"not of this format at all, certainly not",
            b"x",
            bytes(100),
            random.Random(3).randbytes(5000),
        ):
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
