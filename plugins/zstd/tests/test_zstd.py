"""What is the zstd codec's own: its levels, what a frame says of itself, and frames of others."""

import subprocess

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sweeps import tries

from holdfast.api import IntegrityError, Kind, UsageError
from holdfast.plugins.registry import Registry
from holdfast.testing.codec import decode
from holdfast_zstd.codec import ZstdCodec

PLAIN = bytes(range(256)) * 8
FRAME = bytes(ZstdCodec().encode(PLAIN))


@settings(deadline=None, max_examples=tries(100, long=1_000))
@given(st.integers(0, len(FRAME) - 1), st.integers(1, 255))
def test_a_damaged_byte_never_gives_other_plain_bytes(at: int, flip: int) -> None:
    damaged = bytearray(FRAME)
    damaged[at] ^= flip
    try:
        plain = decode(ZstdCodec(), [damaged])
    except IntegrityError:
        return
    assert plain == PLAIN  # a byte of the header that says nothing of the content


@pytest.mark.parametrize(("stored", "told"), [(b"no frame at all", "not valid zstd"), (FRAME[:-1], "cut off")])
def test_the_error_says_what_is_wrong(stored: bytes, told: str) -> None:
    with pytest.raises(IntegrityError, match=told):
        decode(ZstdCodec(), [stored])


@pytest.mark.parametrize("name", ["zstd", "zstd:1", "zstd:level=3", "ZSTD"])
def test_the_registry_makes_the_codec(name: str) -> None:
    codec = Registry(environ={}).codec(name)
    assert decode(codec, [codec.encode(b"hello")]) == b"hello"


@pytest.mark.parametrize("spec", ["zstd:0", "zstd:23", "zstd:-1", "zstd:fast", "zstd:speed=1", "zstd:1.5"])
def test_a_level_that_is_none_is_a_usage_error(spec: str) -> None:
    with pytest.raises(UsageError):
        Registry(environ={}).codec(spec)


def test_the_component_is_found_by_the_suffix_of_its_files() -> None:
    assert Registry(environ={}).find(Kind.CODEC, "zst").component.name == "zstd"


def test_frames_carry_their_size_and_a_checksum() -> None:
    parameters = zstandard.get_frame_parameters(FRAME)
    assert (parameters.content_size, parameters.has_checksum) == (len(PLAIN), True)


@pytest.mark.parametrize("level", [1, 3, 19])
def test_what_the_tool_wrote_is_read(level: int) -> None:
    plain = bytes(range(256)) * 4000
    stored = subprocess.run(["zstd", f"-{level}", "-c"], input=plain, capture_output=True, check=True).stdout
    assert decode(ZstdCodec(), [stored[:7], stored[7:100], stored[100:]]) == plain


def test_skippable_frames_are_skipped() -> None:
    skippable = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"hello"
    stored = skippable + FRAME + skippable
    assert decode(ZstdCodec(), [stored[:3], stored[3:9], stored[9:]]) == PLAIN


def test_a_frame_that_asks_for_a_window_beyond_reason_is_refused() -> None:
    # Magic, a descriptor without a size, a window of 2^41 bytes; one raw block that is the last.
    frame = b"\x28\xb5\x2f\xfd\x00\xf8" + (1 | 5 << 3).to_bytes(3, "little") + b"hello"
    with pytest.raises(IntegrityError):
        decode(ZstdCodec(), [frame])
