"""Rows come back as they went in, whatever a driver's values are, and are read no longer than their dump is open."""

import math
import threading
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import IntEnum
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.api import HoldfastError, RowReader, decode_rows, encode_rows

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(st.characters()) | st.binary()
    | st.decimals(allow_nan=False) | st.dates() | st.times() | st.datetimes() | st.timedeltas() | st.uuids(),
    lambda values: st.lists(values, max_size=3) | st.dictionaries(st.text() | st.integers(), values, max_size=3),
    max_leaves=5,
)  # fmt: skip


@given(st.lists(st.lists(VALUES, max_size=4), max_size=4))
def test_rows_come_back_with_the_types_that_they_had(rows: list[list[Any]]) -> None:
    decoded = list(decode_rows(encode_rows(rows)))
    assert decoded == rows
    assert [list(map(type, row)) for row in decoded] == [list(map(type, row)) for row in rows]


def test_what_a_version_has_written_stays_readable() -> None:
    written = (
        b'[null, true, 18446744073709551616, 1.5, "\\u00e4\\ud800", ["a", {"bytes": "AP8="}]]\n'
        b'[{"decimal": "1.00"}, {"date": "2026-11-30"}, {"time": "10:00:00.000001"}, {"timedelta": [-1, 2, 3]}]\n'
        b'[{"datetime": "2026-11-30T10:00:00+00:00"}, {"uuid": "00000000-0000-0000-0000-000000000001"}]\n'
        b'[{"map": [["bytes", "AP8="], [1, {"map": []}]]}]\n'
    )
    rows: list[list[Any]] = [
        [None, True, 1 << 64, 1.5, "ä\ud800", ["a", b"\x00\xff"]],
        [Decimal("1.00"), date(2026, 11, 30), time(10, 0, 0, 1), timedelta(-1, 2, 3)],
        [datetime(2026, 11, 30, 10, tzinfo=UTC), UUID(int=1)],
        [{"bytes": "AP8=", 1: {}}],
    ]
    assert list(decode_rows([written])) == rows
    assert b"".join(encode_rows(rows)) == written


def test_values_that_are_alike_are_written_as_what_they_inherit_from() -> None:
    color = IntEnum("color", ["RED"])
    rows: list[Any] = [(memoryview(b"x"), bytearray(b"y"), (1, 2), MappingProxyType({"a": 1}), color(1))]
    assert list(decode_rows(encode_rows(rows))) == [[b"x", b"y", [1, 2], {"a": 1}, 1]]
    (row,) = decode_rows(encode_rows([[math.nan, math.inf]]))
    assert math.isnan(row[0])
    assert row[1] == math.inf


def test_a_value_of_another_type_is_refused() -> None:
    with pytest.raises(TypeError, match=r"a value of type builtins\.object cannot be written as text"):
        list(encode_rows([[object()]]))


class Cursor:
    def __init__(self) -> None:
        self.left = 2500

    def fetchmany(self, size: int) -> list[tuple[int]]:
        taken, self.left = min(size, self.left), max(0, self.left - size)
        return [(1,)] * taken


def test_all_rows_of_a_cursor_are_read() -> None:
    assert sum(1 for _ in RowReader().rows(Cursor)) == 2500


def test_nothing_is_read_once_the_reader_is_closed() -> None:
    reader = RowReader()
    rows = reader.rows(Cursor)
    next(rows)
    thread = threading.Thread(target=reader.close)
    thread.start()
    thread.join()
    with pytest.raises(HoldfastError, match="the dump was left while it was read"):
        list(rows)
    with pytest.raises(HoldfastError):
        next(reader.rows(Cursor))
