"""What is the gzip codec's own: its levels, its two libraries, and the checksum in each frame."""

import gzip
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.sweeps import tries

from holdfast.api import IntegrityError, Kind, PluginError, UsageError
from holdfast.plugins.registry import Registry
from holdfast.testing.codec import decode
from holdfast_gzip.codec import GzipCodec

PLAIN = bytes(range(256)) * 8
FRAME = bytes(GzipCodec().encode(PLAIN))


@settings(deadline=None, max_examples=tries(100, long=1_000))
@given(st.integers(0, len(FRAME) - 1), st.integers(1, 255))
def test_a_damaged_byte_never_gives_other_plain_bytes(at: int, flip: int) -> None:
    damaged = bytearray(FRAME)
    damaged[at] ^= flip
    try:
        plain = decode(GzipCodec(), [damaged])
    except IntegrityError:
        return
    assert plain == PLAIN  # a byte of the header that says nothing of the content


@pytest.mark.parametrize(("stored", "told"), [(b"no frame at all", "not valid gzip"), (FRAME[:-1], "cut off")])
def test_the_error_says_what_is_wrong(stored: bytes, told: str) -> None:
    with pytest.raises(IntegrityError, match=told):
        decode(GzipCodec(), [stored])


@pytest.mark.parametrize("name", ["gzip", "gzip:1", "gzip:level=3", "GZIP"])
def test_the_registry_makes_the_codec(name: str) -> None:
    codec = Registry(environ={}).codec(name)
    assert decode(codec, [codec.encode(b"hello")]) == b"hello"


@pytest.mark.parametrize("spec", ["gzip:0", "gzip:23", "gzip:-1", "gzip:fast", "gzip:speed=1", "gzip:1.5"])
def test_a_level_that_is_none_is_a_usage_error(spec: str) -> None:
    with pytest.raises(UsageError):
        Registry(environ={}).codec(spec)


def test_the_component_is_found_by_the_suffix_of_its_files() -> None:
    assert Registry(environ={}).find(Kind.CODEC, "gz").component.name == "gzip"


@pytest.mark.parametrize("library", ["zlib", "isal", "auto"])
@pytest.mark.parametrize("level", [1, 3])
def test_both_libraries_write_what_the_standard_library_reads(library: str, level: int) -> None:
    codec = GzipCodec(level=level, library=library)
    assert gzip.decompress(bytes(codec.encode(PLAIN)) + bytes(codec.encode(b""))) == PLAIN


def test_levels_that_isal_has_not_are_refused_for_it() -> None:
    registry = Registry(environ={})
    with pytest.raises(UsageError, match="level is 6, expected 1 to 3"):
        registry.codec("gzip:6,library=isal")
    codec = registry.codec("gzip:9")
    assert decode(codec, [codec.encode(b"x")]) == b"x"


def test_a_missing_isal_is_an_error_only_where_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "isal", None)
    codec = GzipCodec(level=1)
    assert decode(codec, [codec.encode(b"x")]) == b"x"
    with pytest.raises(PluginError, match="the library isal is not installed") as caught:
        GzipCodec(level=1, library="isal")
    assert caught.value.hint == "pip install 'holdfast-gzip[isal]'"
