"""The contract of a codec, as tests."""

import contextlib
import functools
import itertools
import random
import shlex
import subprocess
import threading
import tracemalloc
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from holdfast.api import Chunk, Codec, IntegrityError, Kind, SupportsFrameSearch, SupportsShellDecode, UsageError
from holdfast.plugins.options import option_fields
from holdfast.testing.contract import Configured, assert_same, registry_of, states
from holdfast.testing.process_state import unchanged
from holdfast.testing.threads import run_threads

MIB = 1 << 20
_PIECE = 4 * MIB  # bytes; no piece of a decoder may be much larger
_MOST_BYTES, _MOST_PIECES = 32 * MIB, 1_000_000  # of one test: what yields more goes on without end
_VALUES = ("-1", "0", "1", "5", "100000", "nonsense", "")  # of an option, whatever it is
_SMALL = (bytes(range(256)) * 8, b"the end" * 30)


@functools.cache
def _blocks() -> tuple[bytes, ...]:
    rng = random.Random(7)
    return (b"a" * MIB, rng.randbytes(MIB), bytes(rng.choices(b"abcd", k=MIB)), b"x", rng.randbytes(1000))


def _cut(stored: bytes, offsets: Iterable[int]) -> list[bytes]:
    borders = [0, *sorted(offsets), len(stored)]
    return [stored[start:end] for start, end in itertools.pairwise(borders)]


def decode(codec: Codec, stored: Iterable[Chunk]) -> bytes:
    """Decompress pieces to the end."""
    decoder = codec.decoder()
    plain, count = bytearray(), 0
    for data in stored:
        for piece in decoder.decode(data):
            assert isinstance(piece, bytes), f"a decoder yields bytes, not {type(piece).__name__}"
            plain += piece
            count += 1
            assert len(plain) <= _MOST_BYTES, "the decoder yields more than went in"
            assert count <= _MOST_PIECES, "the decoder yields pieces without end"
    decoder.finish()
    return bytes(plain)


class _Frames(Configured):
    """What encoding and decoding of sound frames promises."""

    spec: str  #: what `--codec` takes, such as `lz4:1`; each of `configurations`, if there are any, is another

    @pytest.fixture
    def codec(self) -> Codec:
        """The codec under test."""
        return registry_of(self.plugins).codec(self.configuration or self.spec)

    @pytest.fixture
    def reader(self, codec: Codec) -> Codec:
        """The codec with its default options, which decodes backups; the same where it is not installed."""
        name = (self.configuration or getattr(self, "spec", "")).partition(":")[0]
        registry = registry_of(self.plugins)
        return registry.codec(name) if registry.claims(Kind.CODEC, name) else codec

    @states("codec 1")
    def test_the_suffix_begins_with_a_dot_or_is_empty(self, codec: Codec) -> None:
        """File names are made with it, and it stays the same."""
        assert codec.suffix == "" or (codec.suffix.startswith(".") and codec.suffix[1:].isalnum())
        assert codec.suffix.isascii()
        assert codec.suffix == codec.suffix

    @states("codec 2")
    def test_a_frame_is_bytes_that_decode_to_the_block(self, codec: Codec) -> None:
        """Whatever the block holds: text, noise, zeros, at its ends too, of any size."""
        blocks = [*_blocks(), bytes(5), b"\n\r\n", b"a\0", b"\xff" * 300, bytes(range(256)), b"b" * (MIB + 1)]
        for block in blocks:
            frame = codec.encode(block)
            assert isinstance(frame, bytes | bytearray | memoryview)
            assert_same(decode(codec, [frame]), block)

    @states("codec 3")
    def test_each_frame_stands_alone(self, codec: Codec) -> None:
        """A frame must not need those before it."""
        for block in _blocks():
            codec.encode(b"something before it")
            assert_same(decode(codec, [codec.encode(block)]), block)

    @states("codec 3")
    def test_a_frame_stays_as_it_is_while_others_are_made(self, codec: Codec) -> None:
        """Frames wait until those before them are written."""
        blocks = [bytes([number]) * 1000 for number in range(8)]
        frames = [codec.encode(block) for block in blocks]
        assert [decode(codec, [frame]) for frame in frames] == blocks

    @states("codec 4")
    def test_frames_put_one_after_another_decode_to_the_blocks(self, codec: Codec) -> None:
        """The core writes frames of many threads into one file."""
        blocks = _blocks()
        assert_same(decode(codec, [b"".join(bytes(codec.encode(block)) for block in blocks)]), b"".join(blocks))

    @states("codec 19")
    def test_each_frame_begins_with_what_it_is_found_by(self, codec: Codec) -> None:
        """Where a codec says how: also that of nothing, as it says itself before and after."""
        if not isinstance(codec, SupportsFrameSearch):
            return
        magic = codec.frame_magic
        assert isinstance(magic, bytes)
        assert magic
        for block in (*_blocks(), b""):
            assert bytes(codec.encode(block))[: len(magic)] == magic == codec.frame_magic

    @states("codec 5")
    def test_an_empty_block_is_a_frame_that_decodes_to_nothing(self, codec: Codec) -> None:
        """An empty stream is one empty frame."""
        empty = bytes(codec.encode(b""))
        assert decode(codec, [empty]) == b""
        assert decode(codec, [empty + bytes(codec.encode(b"text")) + empty]) == b"text"
        assert empty or not codec.suffix, "an empty file is none of the format"

    @states("codec 5")
    def test_no_bytes_at_all_decode_to_nothing(self, codec: Codec) -> None:
        """A decoder that was given nothing has nothing to complain of."""
        assert decode(codec, []) == decode(codec, [b""]) == b""

    @states("codec 6", "codec 8")
    @pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: memoryview(data + b"x")[:-1]])
    def test_every_kind_of_chunk_is_taken_and_left_as_it_is(self, codec: Codec, kind: Callable[[bytes], Chunk]) -> None:
        """Engines yield what they have, and blocks and frames are digested besides."""
        block = kind(b"some text " * 100)
        frame = kind(bytes(codec.encode(block)))
        before = bytes(frame)
        assert bytes(block) == b"some text " * 100
        assert decode(codec, [frame]) == b"some text " * 100
        assert bytes(frame) == before

    @states("codec 7")
    def test_encode_is_thread_safe(self, codec: Codec) -> None:
        """A pool of workers calls it."""
        blocks = [bytes([number]) * 50_000 + random.Random(number).randbytes(50_000) for number in range(8)]
        frames: dict[int, bytes] = {}
        started = threading.Barrier(len(blocks))

        def work(number: int) -> None:
            started.wait()
            for _ in range(10):
                frames[number] = bytes(codec.encode(blocks[number]))

        run_threads(work, range(len(blocks)))
        for number, block in enumerate(blocks):
            assert_same(decode(codec, [frames[number]]), block)

    @states("codec 8")
    @pytest.mark.parametrize("cut", [1, 7, 1000, 65536])
    def test_stored_bytes_may_be_cut_anywhere(self, codec: Codec, cut: int) -> None:
        """A storage hands them over in pieces of its own choice."""
        blocks = [block[: 20 * cut] for block in _blocks()]
        stored = b"".join(bytes(codec.encode(block)) for block in blocks)
        pieces = [stored[at : at + cut] for at in range(0, len(stored), cut)]
        assert_same(decode(codec, pieces), b"".join(blocks))

    @states("codec 4", "codec 8")
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
            assert_same(decode(codec, pieces), b"".join(blocks))

    @states("codec 9")
    def test_pieces_stay_small_however_much_a_frame_expands(self, codec: Codec) -> None:
        """A bomb must not fill memory before anybody can count its bytes."""
        if not codec.suffix:
            return  # plain bytes do not expand
        size = 2 * _MOST_BYTES
        stored = bytes(codec.encode(bytes(size)))
        decoder = codec.decoder()
        tracemalloc.start()
        try:
            sizes = [len(piece) for piece in decoder.decode(stored)]
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert sum(sizes) == size
        assert max(sizes) <= _PIECE
        assert peak <= 4 * _PIECE

    @states("codec 10")
    def test_decoders_do_not_disturb_each_other(self, codec: Codec) -> None:
        """Several blobs are read at once, and some are left before their end."""
        left = codec.decoder()
        texts = [b"first " * 3000, b"the second " * 3000]
        frames = [bytes(codec.encode(text)) for text in texts]
        list(left.decode(frames[0][:-3]))
        decoders = [codec.decoder() for _ in texts]
        plain = [bytearray() for _ in texts]
        for at in range(0, max(map(len, frames)), 16):
            for number, decoder in enumerate(decoders):
                for piece in decoder.decode(frames[number][at : at + 16]):
                    plain[number] += piece
        for decoder in decoders:
            decoder.finish()
        for actual, text in zip(plain, texts, strict=True):
            assert_same(actual, text)

    @states("codec 10")
    def test_decoders_in_several_threads_do_not_disturb_each_other(self, codec: Codec) -> None:
        """Several blobs are checked at once."""
        blocks = [bytes([number]) * 30_000 for number in range(4)]
        stored = [bytes(codec.encode(block)) * 20 for block in blocks]
        started = threading.Barrier(len(blocks))

        def work(number: int) -> None:
            started.wait()
            assert_same(decode(codec, [stored[number]]), blocks[number] * 20)

        run_threads(work, range(len(blocks)))

    @states("codec 11")
    def test_the_codec_with_default_options_decodes_it(self, codec: Codec, reader: Codec) -> None:
        """Whoever restores does not know the options of the backup."""
        blocks = _blocks()
        assert_same(decode(reader, [b"".join(bytes(codec.encode(block)) for block in blocks)]), b"".join(blocks))

    @states("codec 12")
    def test_the_command_for_doing_it_by_hand_decodes_the_file(self, codec: Codec, tmp_path: Path) -> None:
        """RESTORE.md shows it to whoever has no Holdfast left."""
        if not isinstance(codec, SupportsShellDecode):
            return
        blocks = [*_blocks(), b""]
        path = tmp_path / f"a blob's{codec.suffix}"
        stored = b"".join(bytes(codec.encode(block)) for block in blocks)
        path.write_bytes(stored)
        done = subprocess.run([*shlex.split(codec.command), str(path)], capture_output=True, check=True)
        assert_same(done.stdout, b"".join(blocks))
        assert [each.name for each in tmp_path.iterdir()] == [path.name], "the command leaves or removes files"
        assert_same(path.read_bytes(), stored)


class CodecSuite(_Frames):
    """Set `spec` to what `--codec` takes; the plugin must be installed, or override the fixture `codec`."""

    @states("codec 13")
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

    @states("codec 14")
    def test_what_follows_the_last_frame_is_not_ignored(self, codec: Codec) -> None:
        """What somebody put behind a file must not pass for a part of it."""
        if not codec.suffix:
            return
        for garbage in (b"garbage!" * 4, b"x", b"\xff" * 5):
            with pytest.raises(IntegrityError):
                decode(codec, [bytes(codec.encode(_SMALL[0])) + garbage])
            with pytest.raises(IntegrityError):
                decode(codec, [codec.encode(_SMALL[0]), garbage])

    @states("codec 15")
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

    @states("codec 16")
    def test_damage_ends_in_no_other_error(self, codec: Codec) -> None:
        """Where a format has no checksum of its own, that of the backup finds the damage."""
        stored = b"".join(bytes(codec.encode(block)) for block in _SMALL)
        rng = random.Random(5)
        for at in range(len(stored)):
            damaged = bytearray(stored)
            damaged[at] ^= rng.randint(1, 255)
            with contextlib.suppress(IntegrityError):
                decode(codec, [damaged])

    @states("codec 18")
    def test_it_leaves_the_program_as_it_is(self, codec: Codec, capfd: pytest.CaptureFixture[str]) -> None:
        """Its settings are not the codec's own, and standard output is data."""
        with unchanged(capfd):
            assert decode(codec, [codec.encode(block) for block in _SMALL]) == b"".join(_SMALL)

    @states("codec 17")
    def test_an_option_that_cannot_be_used_is_refused_when_the_codec_is_opened(self) -> None:
        """And not by its first block, in the middle of a backup; whatever is taken works."""
        registry = registry_of(self.plugins)
        spec = self.configuration or getattr(self, "spec", "")
        if not spec:
            pytest.skip("nobody knows which options there are: set `spec` to what `--codec` takes, besides the fixture")
        name = str(spec).partition(":")[0]
        component = registry.find(Kind.CODEC, name).component
        for option, value in itertools.product(option_fields(component), _VALUES):
            try:
                codec = registry.codec(f"{name}:{option}={value}")
            except UsageError:
                continue
            for block in _SMALL:
                assert_same(decode(codec, [codec.encode(block)]), block)
