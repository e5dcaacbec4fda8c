"""Rows of the wire come apart as the protocol says, wherever the bytes are cut."""

import io
import itertools
from types import SimpleNamespace
from typing import Any

import pymysql
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.api import IntegrityError
from holdfast_mysql.rows import decode_rows
from holdfast_mysql.rows.parsers import FieldParser, ParameterParser
from holdfast_mysql.rows.row_sum import RowSum
from holdfast_mysql.rows.wire import FULL, Column, RowCopy, RowHeader, RowReader

VALUES = st.one_of(
    st.none(),
    st.binary(max_size=12),
    st.sampled_from([0, 250, 251, 252, 65535, 65536]).map(lambda size: b"\xfb" * size),
)


def value(data: bytes | None) -> bytes:
    if data is None:
        return b"\xfb"
    size = len(data)
    if size < 251:
        return bytes([size]) + data
    if size < 1 << 16:
        return b"\xfc" + size.to_bytes(2, "little") + data
    if size < 1 << 24:
        return b"\xfd" + size.to_bytes(3, "little") + data
    return b"\xfe" + size.to_bytes(8, "little") + data


def packets(row: bytes) -> bytes:
    packets = b""
    while True:
        part, row = row[:FULL], row[FULL:]
        packets += len(part).to_bytes(3, "little") + b"\0" + part
        if len(part) < FULL:
            return packets


def stream(rows: list[tuple[bytes | None, ...]], columns: int) -> bytes:
    unit = RowHeader(table="t", columns=tuple(Column(name=f"c{n}", kind="bytes") for n in range(columns)))
    return unit.line() + b"".join(packets(b"".join(map(value, row))) for row in rows)


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@given(st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=20), st.sampled_from([1, 2, 3, 5, 100, 70000, 10**7]))
@settings(max_examples=60, deadline=None)
def test_every_value_comes_back(rows: list[tuple[bytes | None, ...]], size: int) -> None:
    data = stream(rows, 3)
    if len(data) > 10_000:
        size = max(size, 1000)  # a byte at a time of a large stream takes long and shows no more
    fields = FieldParser(3, None)
    values: list[bytes | None] = []
    for _ in RowReader(cut(data, size)).feed(fields):
        values += fields.take()
    assert values == [field for row in rows for field in row]
    parameters = ParameterParser(3, nullable=True)
    taken = []
    for _ in RowReader(cut(data, size)).feed(parameters):
        taken += parameters.take()
    assert taken == [
        (b"".join(value(field) for field in row if field is not None), tuple(n for n in range(3) if row[n] is None))
        for row in rows
    ]
    source = io.BytesIO(data)
    source.readline()
    assert [tuple(decode_rows.values(row, 3)) for row in decode_rows.rows(source)] == rows


@pytest.mark.parametrize("size", [FULL - 9 - 1, FULL - 4 - 1, FULL - 4, 2 * FULL - 9 - 1, 2 * FULL + 100])
def test_rows_that_span_packets_come_back(size: int) -> None:
    """Also those that fill their last packet exactly, which an empty one then ends."""
    rows: list[tuple[bytes | None, ...]] = [(b"a", b"\xfe" * size), (None, b"b"), (b"\xff" * 5, b"")]
    data = stream(rows, 2)
    fields = FieldParser(2, None)
    values: list[bytes | None] = []
    for _ in RowReader(cut(data, 1 << 20)).feed(fields):
        values += fields.take()
    assert values == [field for row in rows for field in row]


END = b"\x05\0\0\x09\xfe\0\0\x02\0"
_MESSAGE = b"\xff\x25\x05#70100Query was interrupted"
BROKEN = len(_MESSAGE).to_bytes(3, "little") + b"\x09" + _MESSAGE


def copied(data: bytes, sizes: list[int], header: bytes = b"") -> tuple[RowCopy, bytes]:
    """What is copied of packets that come in pieces of these sizes, again and again; a wait for more is an error."""
    source, wanted = io.BytesIO(data), itertools.cycle(sizes)
    session: Any = SimpleNamespace(connection=None)
    copy = RowCopy(session, "", header=header)
    head = source.read(min(next(wanted), 1 << 19))
    return copy, b"".join(copy._copy(head, lambda view: source.readinto(view[: next(wanted)])))


def numbered(data: bytes) -> bytes:
    """Packets with their numbers, as a server sends them."""
    sent, place = bytearray(data), 0
    for number in itertools.count(5):
        if place >= len(data):
            return bytes(sent)
        sent[place + 3] = number % 256
        place += 4 + int.from_bytes(data[place : place + 3], "little")
    raise AssertionError


ROWS = st.lists(
    st.lists(
        st.one_of(st.none(), st.binary(max_size=4), st.sampled_from([9, 251, 65530, 70000]).map(lambda n: b"\xfe" * n)),
        min_size=1,
        max_size=3,
    ),
    max_size=12,
)


@given(ROWS, st.lists(st.integers(1, 9), min_size=1, max_size=5), st.sampled_from([1, 500, 300_000]))
@settings(max_examples=60, deadline=None)
def test_rows_are_copied_wherever_the_bytes_are_cut(
    rows: list[list[bytes | None]], sizes: list[int], factor: int
) -> None:
    data = b"".join(packets(b"".join(map(value, row))) for row in rows)
    if len(data) > 20_000:
        factor = max(factor, 500)
    pieces = [size * factor for size in sizes]
    copy, taken = copied(numbered(data) + END, pieces, b"{}\n")
    assert taken == b"{}\n" + data
    assert copy.rows == len(rows)
    assert copy.largest == max((size for size in map(row_size, rows) if size >= 1 << 16), default=0)
    with pytest.raises(pymysql.OperationalError, match="interrupted"):
        copied(numbered(data) + BROKEN, pieces)
    with pytest.raises(EOFError):
        copied(numbered(data), pieces)


def row_size(row: list[bytes | None]) -> int:
    return sum(len(value(field)) for field in row)


@pytest.mark.parametrize("size", [FULL - 4, FULL - 3, FULL + 1, 2 * FULL - 9, 2 * FULL - 4])
@pytest.mark.parametrize("piece", [100_001, 1 << 20, FULL + 4 + 5])
def test_what_continues_a_row_is_never_its_end(size: int, piece: int) -> None:
    """Although it begins as the packet that ends rows, and is as short."""
    row = value(b"\xfe" * size)
    data = packets(row) + packets(value(b"z"))
    copy, taken = copied(numbered(data) + END, [piece])
    assert taken == data
    assert (copy.rows, copy.largest) == (2, len(row))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"{}\n",
        b"no json\n",
        b"x" * (1 << 20),
        b'{"version": 1, "table": "t", "columns": 5, "versioned": 0}\n',
        b"[]\n",
    ],
)
def test_what_has_no_header_is_no_stream_of_rows(data: bytes) -> None:
    with pytest.raises(IntegrityError):
        RowReader(cut(data, 1000))


def test_a_newer_version_is_refused_by_its_number() -> None:
    data = stream([], 1).replace(b'"version": 1', b'"version": 2')
    with pytest.raises(IntegrityError, match="version 2"):
        RowReader([data])


@pytest.mark.parametrize("left", [1, 3, 4, 7])
def test_rows_that_end_in_the_middle_are_damage(left: int) -> None:
    data = stream([(b"abc",), (b"defgh",)], 1)
    with pytest.raises(IntegrityError, match="in the middle"):
        list(RowReader([data[:-left]]).feed(FieldParser(1, None)))


@pytest.mark.parametrize("at", [-5, -3])
@pytest.mark.parametrize("size", [0, 9, 0xFB, 0xFC, 0xFD, 0xFE, 0xFF])
@pytest.mark.parametrize("parser", [FieldParser(3, None), ParameterParser(3, nullable=True)])
def test_a_row_whose_values_have_other_sizes_is_damage(
    at: int, size: int, parser: FieldParser[None] | ParameterParser
) -> None:
    """A bit that flipped in a backup that is not compressed, and is restored all the same."""
    data = bytearray(stream([(None, b"b", b"cc")], 3))
    data[at] = size
    with pytest.raises(IntegrityError, match="does not consist of the values of its columns"):
        list(RowReader([bytes(data)]).feed(parser))


def test_literals_say_what_the_value_was() -> None:
    cases = {
        (None, "bytes"): b"NULL",
        (b"-1.50", "number"): b"-1.50",
        (b"3", "index"): b"3",
        (b"it's \\ \0\n\r\x1a", "utf8"): b"'it\\'s \\\\ \\0\\n\\r\\Z'",
        (b"plain", "latin"): b"'plain'",
        (b"caf\xe9", "latin"): b"0x636166e9",
        (b"", "bytes"): b"''",
        (b"a", "bytes"): b"0x61",
        (b"a,b", "label"): b"'a,b'",
    }
    for (data, kind), expected in cases.items():
        assert decode_rows.literal(data, kind) == expected
    assert decode_rows.literal(b"'" * (2 << 20), "bytes") == b"_binary'" + b"\\'" * (2 << 20) + b"'"


@given(st.permutations([b"a", b"a", b"", b"abc", b"\xfb" * 300]), st.sampled_from([1, 3, 7, 10**6]))
@settings(max_examples=40, deadline=None)
def test_a_sum_of_rows_depends_on_what_they_are_and_on_nothing_else(rows: list[bytes], size: int) -> None:
    """Neither on their order nor on where the bytes are cut; on each row as often as it is there."""

    def total(rows: list[bytes]) -> str:
        digest = RowSum()
        for piece in cut(b"".join(packets(value(row)) for row in rows), size):
            digest.update(piece)
        return digest.hexdigest()

    assert total(rows) == total(sorted(rows))
    assert len({total(rows), total(rows[1:]), total([*rows, rows[0]]), total([*rows[1:], b"other"])}) == 4
    assert len(total(rows)) == 32


@pytest.mark.parametrize("size", [FULL - 4, FULL, FULL + 1])
def test_a_sum_takes_a_row_that_spans_packets_for_one(size: int) -> None:
    whole, parted = RowSum(), RowSum()
    row = packets(b"x" * size)
    whole.update(row)
    for piece in cut(row, 100_000):
        parted.update(piece)
    assert whole.hexdigest() == parted.hexdigest()
    parted.update(packets(b"y"))
    assert whole.hexdigest() != parted.hexdigest()


@pytest.mark.parametrize(
    ("raw", "written"),
    [(b"-0", b"-0e0"), (b"-0.000", b"-0.000e0"), (b"-0.5", b"-0.5"), (b"0", b"0"), (b"-10", b"-10"), (b"-07", b"-07")],
)
def test_a_zero_keeps_its_sign_in_a_script(raw: bytes, written: bytes) -> None:
    """MySQL sends -0 for a DOUBLE of that value, but reads it in SQL as a whole number, which has no sign."""
    assert decode_rows.literal(raw, "number") == written
