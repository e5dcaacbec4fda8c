"""Rows of the wire taken apart into values: the inner loops of a restore."""

import struct
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from holdfast.api import IntegrityError
from holdfast_mysql.rows.wire import FULL, HEADER, WRONG_ROW

_WORD = struct.Struct("<I")
_NULL, _TWO, _THREE = 0xFB, 0xFC, 0xFD

N = TypeVar("N", bytes, None)

# The values of a row as they are, and which of them are NULL.
ParameterRow = tuple[bytes, tuple[int, ...]]


class FieldParser(Generic[N]):
    """Collects the values of rows in one flat list, with `null` in the place of each NULL."""

    def __init__(self, count: int, null: N) -> None:
        self.count = count
        self.nulls = 0
        self._null = null
        self._values: list[Any] = []

    def take(self) -> list[bytes | N]:
        """The values since the last call, `count` for each row; counts the NULLs anew."""
        values, self._values, self.nulls = self._values, [], 0
        return values

    def rows(self, data: bytes, place: int) -> int:
        """Take whole rows; about 0.1 µs a value. Of those before a row that is none all values stay."""
        before = len(self._values)
        try:
            return self._rows(data, place)
        except (IndexError, IntegrityError):
            del self._values[before:]
            self._count_nulls()
            while True:
                size = _WORD.unpack_from(data, place)[0] & FULL
                self.row(data[place + HEADER : place + HEADER + size])
                place += HEADER + size

    def _rows(self, data: bytes, place: int) -> int:
        unpack, append, columns = _WORD.unpack_from, self._values.append, range(self.count)
        end = len(data)
        while place + HEADER <= end:
            size = unpack(data, place)[0] & FULL
            after = place + HEADER + size
            if after > end or size == FULL:
                return place
            place += HEADER
            for _ in columns:
                size = data[place]
                place += 1
                if size < _NULL:
                    stop = place + size
                    append(data[place:stop])
                    place = stop
                elif size == _NULL:
                    append(self._null)
                    self.nulls += 1
                else:
                    place, stop = long_value(data, place, size)
                    append(data[place:stop])
                    place = stop
            if place != after:
                raise IntegrityError(WRONG_ROW)
        return place

    def row(self, values: bytes) -> None:
        """Take one row without its headers; of one that is none no value stays."""
        before = len(self._values)
        try:
            self._row(values)
        except (IndexError, IntegrityError):
            del self._values[before:]
            self._count_nulls()
            raise

    def _count_nulls(self) -> None:
        self.nulls = sum(value is self._null for value in self._values)

    def _row(self, values: bytes) -> None:
        place = 0
        for _ in range(self.count):
            size = values[place]
            place += 1
            if size == _NULL:
                self._values.append(self._null)
                self.nulls += 1
                continue
            stop = place + size
            if size > _NULL:
                place, stop = long_value(values, place, size)
            self._values.append(values[place:stop])
            place = stop
        if place != len(values):
            raise IntegrityError(WRONG_ROW)


def long_value(data: bytes, place: int, mark: int) -> tuple[int, int]:
    """Where a value of 251 bytes or more begins and ends; `place` is behind its mark."""
    width = 2 if mark == _TWO else 3 if mark == _THREE else 8
    begin = place + width
    return begin, begin + int.from_bytes(data[place:begin], "little")


class ParameterParser:
    """Collects rows as parameters of a prepared statement: values as they are, NULLs as a set of positions.

    A row of the text protocol is a block of parameters already, but for its NULLs, which have no bytes there. Where
    rows may be `damaged`, each is looked through: a wrong length would take its values out of the next row.
    """

    def __init__(self, count: int, *, nullable: bool, damaged: bool = False) -> None:
        self.count = count
        self._nullable = nullable
        self._damaged = damaged
        self._rows: list[ParameterRow] = []

    def take(self) -> list[ParameterRow]:
        """The rows since the last call."""
        rows, self._rows = self._rows, []
        return rows

    def rows(self, data: bytes, place: int) -> int:
        """Take whole rows."""
        end = len(data)
        add: Callable[[bytes], None] = self.row
        while place + HEADER <= end:
            size = _WORD.unpack_from(data, place)[0] & FULL
            after = place + HEADER + size
            if after > end or size == FULL:
                return place
            add(data[place + HEADER : after])
            place = after
        return place

    def row(self, values: bytes) -> None:
        """Take one row without its headers."""
        if not self._damaged and (not self._nullable or _NULL not in values):
            self._rows.append((values, ()))
            return
        place, nulls = 0, []
        for number in range(self.count):
            size = values[place]
            place += 1
            if size < _NULL:
                place += size
            elif size == _NULL:
                nulls.append((number, place - 1))
            else:
                _, place = long_value(values, place, size)
        if place != len(values):
            raise IntegrityError(WRONG_ROW)
        for _, at in reversed(nulls):
            values = values[:at] + values[at + 1 :]
        self._rows.append((values, tuple(number for number, _ in nulls)))
