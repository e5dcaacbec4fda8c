"""The zstd codec: independent frames that the format's own tool reads, and a decoder that no input can trick."""

import subprocess
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.api import IntegrityError, Kind, UsageError
from holdfast.registry import Registry
from holdfast_zstd.codec import ZstdCodec

TOOL = ["zstd", "-dc"]
BLOCK = 1 << 20
BLOCKS = st.lists(st.binary(max_size=200) | st.integers(0, 40_000).map(bytes), max_size=6)


def decoded(stored: bytes, cuts: list[int] | None = None) -> bytes:
    """Decode stored bytes that arrive in pieces, cut at these places."""
    decoder = ZstdCodec().decoder()
    places = sorted({cut % (len(stored) + 1) for cut in cuts or ()})
    plain = bytearray()
    for start, end in zip([0, *places], [*places, len(stored)], strict=True):
        for piece in decoder.decode(stored[start:end]):
            plain += piece
    decoder.finish()
    return bytes(plain)


def tool(stored: bytes, folder: Path) -> bytes:
    path = folder / f"blob{ZstdCodec.suffix}"
    path.write_bytes(stored)
    return subprocess.run([*TOOL, str(path)], capture_output=True, check=True).stdout


@settings(deadline=None)
@given(BLOCKS, st.lists(st.integers(0, 100_000), max_size=5))
def test_any_blocks_in_any_pieces_come_back(blocks: list[bytes], cuts: list[int]) -> None:
    codec = ZstdCodec()
    stored = b"".join(codec.encode(block) for block in blocks)
    assert decoded(stored, cuts) == b"".join(blocks)


@settings(deadline=None, max_examples=20)
@given(st.binary(max_size=60), st.binary(max_size=60))
def test_stored_bytes_may_come_one_by_one(one: bytes, two: bytes) -> None:
    codec = ZstdCodec()
    stored = codec.encode(one) + codec.encode(two)
    assert decoded(stored, list(range(len(stored)))) == one + two


def test_each_frame_stands_alone_and_all_of_them_are_one_file_of_the_format(tmp_path: Path) -> None:
    codec = ZstdCodec()
    blocks = [b"first" * 1000, b"", bytes(BLOCK), bytes(range(256)) * 40]
    frames = [bytes(codec.encode(block)) for block in blocks]
    assert [tool(frame, tmp_path) for frame in frames] == blocks
    assert tool(b"".join(frames), tmp_path) == b"".join(blocks)
    assert [decoded(frame) for frame in reversed(frames)] == blocks[::-1]


def test_the_command_for_restoring_by_hand_is_that_of_the_tool() -> None:
    assert ZstdCodec.command.split() == TOOL


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, lambda data: memoryview(data + b"x")[:-1]])
def test_a_block_may_be_any_kind_of_bytes(kind: Any) -> None:
    assert decoded(ZstdCodec().encode(kind(b"hello" * 100))) == b"hello" * 100


def test_threads_may_encode_at_once() -> None:
    codec = ZstdCodec()
    blocks = [bytes([number]) * 300_000 for number in range(24)]
    with ThreadPoolExecutor(4) as pool:
        assert [decoded(frame) for frame in pool.map(codec.encode, blocks)] == blocks


FRAMES = bytes(ZstdCodec().encode(bytes(range(256)) * 8)) + bytes(ZstdCodec().encode(b"the end" * 30))


def test_a_file_that_is_cut_off_within_a_frame_is_an_integrity_error() -> None:
    first = len(ZstdCodec().encode(bytes(range(256)) * 8))
    for length in {*range(1, len(FRAMES))} - {first}:
        with pytest.raises(IntegrityError, match=r"not valid zstd|cut off"):
            decoded(FRAMES[:length])


@settings(deadline=None, max_examples=300)
@given(st.integers(0, len(FRAMES) - 1), st.integers(1, 255))
def test_a_damaged_byte_never_gives_other_plain_bytes_or_another_error(at: int, flip: int) -> None:
    damaged = bytearray(FRAMES)
    damaged[at] ^= flip
    try:
        plain = decoded(bytes(damaged))
    except IntegrityError:
        return
    assert plain == decoded(FRAMES)  # a byte of the header that says nothing of the content


@settings(deadline=None)
@given(st.binary(min_size=1, max_size=200))
def test_bytes_that_are_no_frame_are_an_integrity_error(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        decoded(data)


def test_what_follows_the_last_frame_is_not_ignored() -> None:
    with pytest.raises(IntegrityError):
        decoded(FRAMES + b"garbage!" * 4)


def test_no_bytes_at_all_are_no_plain_bytes() -> None:
    assert decoded(b"") == b""


def test_a_bomb_is_handed_out_in_pieces_that_fit_into_memory() -> None:
    stored = bytes(ZstdCodec().encode(bytes(64 * BLOCK)))  # far more than any frame of ours
    decoder = ZstdCodec().decoder()
    tracemalloc.start()
    try:
        sizes = [len(piece) for piece in decoder.decode(stored)]
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert sum(sizes) == 64 * BLOCK
    assert max(sizes) <= 4 * BLOCK
    assert peak < 16 * BLOCK


@pytest.mark.parametrize("name", ["zstd", "zstd:1", "zstd:level=3", "ZstdCodec".replace("Codec", "").upper()])
def test_the_registry_makes_the_codec(name: str) -> None:
    codec = Registry(environ={}).codec(name)
    assert decoded(codec.encode(b"hello")) == b"hello"


@pytest.mark.parametrize("spec", ["zstd:0", "zstd:23", "zstd:-1", "zstd:fast", "zstd:speed=1", "zstd:1.5"])
def test_a_level_that_is_none_is_a_usage_error(spec: str) -> None:
    with pytest.raises(UsageError):
        Registry(environ={}).codec(spec)


def test_the_component_is_found_by_the_suffix_of_its_files() -> None:
    registry = Registry(environ={})
    assert registry.find(Kind.CODEC, ZstdCodec.suffix[1:]).component.name == "zstd"


def test_frames_carry_their_size_and_a_checksum() -> None:
    parameters = zstandard.get_frame_parameters(bytes(ZstdCodec().encode(bytes(1000))))
    assert (parameters.content_size, parameters.has_checksum) == (1000, True)


@pytest.mark.parametrize("level", [1, 3, 19])
def test_what_the_tool_wrote_is_read(level: int) -> None:
    plain = bytes(range(256)) * 4000
    stored = subprocess.run(["zstd", f"-{level}", "-c"], input=plain, capture_output=True, check=True).stdout
    assert decoded(stored, [7, 100]) == plain


def test_skippable_frames_are_skipped() -> None:
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
    assert decoded(skippable + FRAMES + skippable, [3, 9]) == decoded(FRAMES)


def test_a_frame_that_asks_for_a_window_beyond_reason_is_refused() -> None:
    # Magic, a descriptor without a size, a window of 2^41 bytes; one raw block that is the last.
    frame = b"\x28\xb5\x2f\xfd\x00\xf8" + (1 | 5 << 3).to_bytes(3, "little") + b"hello"
    with pytest.raises(IntegrityError):
        decoded(frame)
