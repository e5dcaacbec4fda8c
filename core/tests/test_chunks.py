"""Chunks of a fitting size, and lines that are cut anywhere."""

import itertools
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.api import file_chunks, gather_chunks, split_lines

MIB = 1 << 20


@pytest.mark.parametrize("size", [0, 1, MIB, 2 * MIB + 1])
def test_a_file_comes_in_chunks_of_a_mebibyte(size: int, tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * size)
    chunks = list(file_chunks(path))
    assert b"".join(chunks) == path.read_bytes()
    assert all(len(chunk) == MIB for chunk in chunks[:-1])
    assert all(chunks)


def test_small_pieces_become_large_chunks_and_none_becomes_none() -> None:
    chunks = list(gather_chunks(itertools.repeat(b"a row\n", 400_000)))
    assert [len(chunk) // MIB for chunk in chunks] == [1, 1, 0]
    assert b"".join(chunks) == b"a row\n" * 400_000
    assert list(gather_chunks([])) == []


@given(st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b""))), st.integers(1, 9))
def test_lines_are_the_same_however_they_are_cut(lines: list[bytes], cut: int) -> None:
    text = b"".join(line + b"\n" for line in lines)
    chunks = [memoryview(text)[at : at + cut] for at in range(0, len(text), cut)]
    assert list(split_lines(chunks)) == lines


def test_the_last_line_need_not_have_an_end() -> None:
    assert list(split_lines([b"one\ntw", bytearray(b"o")])) == [b"one", b"two"]
