"""Rows of the wire come apart as the protocol says, wherever the bytes are cut."""

import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from holdfast.api import IntegrityError
from holdfast_mysql import decode_rows
from holdfast_mysql.fields import Fields, Parameters
from holdfast_mysql.wire import FULL, Column, RowReader, Unit

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
    found = b""
    while True:
        part, row = row[:FULL], row[FULL:]
        found += len(part).to_bytes(3, "little") + b"\0" + part
        if len(part) < FULL:
            return found


def stream(rows: list[tuple[bytes | None, ...]], columns: int) -> bytes:
    unit = Unit(table="t", columns=tuple(Column(name=f"c{n}", kind="bytes") for n in range(columns)))
    return unit.header() + b"".join(packets(b"".join(map(value, row))) for row in rows)


def cut(data: bytes, size: int) -> list[bytes]:
    return [data[start : start + size] for start in range(0, len(data), size)]


@given(st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=20), st.sampled_from([1, 2, 3, 5, 100, 70000, 10**7]))
@settings(max_examples=60, deadline=None)
def test_every_value_comes_back(rows: list[tuple[bytes | None, ...]], size: int) -> None:
    data = stream(rows, 3)
    if len(data) > 10_000:
        size = max(size, 1000)  # a byte at a time of a large stream takes long and shows no more
    fields = Fields(3, None)
    found: list[bytes | None] = []
    for _ in RowReader(cut(data, size)).feed(fields):
        found += fields.take()
    assert found == [one for row in rows for one in row]
    parameters = Parameters(3, nullable=True)
    taken = []
    for _ in RowReader(cut(data, size)).feed(parameters):
        taken += parameters.take()
    assert taken == [
        (b"".join(value(one) for one in row if one is not None), tuple(n for n in range(3) if row[n] is None))
        for row in rows
    ]
    source = io.BytesIO(data)
    source.readline()
    assert [tuple(decode_rows.values(row, 3)) for row in decode_rows.rows(source)] == rows


@pytest.mark.parametrize("size", [FULL - 9 - 1, FULL - 4 - 1, FULL - 4, 2 * FULL - 9 - 1, 2 * FULL + 100])
def test_rows_that_span_packets_come_back(size: int) -> None:
    """Also those that fill their last packet exactly, which an empty one then ends."""
    rows = [(b"a", b"\xfe" * size), (None, b"b"), (b"\xff" * 5, b"")]
    data = stream(rows, 2)
    fields = Fields(2, None)
    found: list[bytes | None] = []
    for _ in RowReader(cut(data, 1 << 20)).feed(fields):
        found += fields.take()
    assert found == [one for row in rows for one in row]


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
        list(RowReader([data[:-left]]).feed(Fields(1, None)))


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
