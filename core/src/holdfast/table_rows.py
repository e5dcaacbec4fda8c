"""Rows of tables on their way through a dump: read in time, written as lines of text, and read back from them."""

import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from holdfast.chunks import gather_chunks, split_lines
from holdfast.errors import HoldfastError

_AT_ONCE = 1000  # rows; so many are asked for at a time
_PLAIN = (type(None), bool, int, float, str)


class RowReader:
    """Reads the cursors of a driver (PEP 249), so many rows at a time, until it is closed.

    A dump is left while another thread reads it: that must end, and a connection that is closed under a running call
    crashes some drivers. `close` lets no further call begin and waits for the one that runs; whatever interrupts that
    one comes before it. Cursors of one reader are asked in one thread at a time.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._closed = False

    def rows(self, execute: Callable[[], Any]) -> Iterator[Sequence[Any]]:
        """Yield the rows of the cursor that `execute` returns; `HoldfastError` once the reader is closed."""
        cursor = None
        while True:
            with self._lock:
                if self._closed:
                    raise HoldfastError("the dump was left while it was read")
                cursor = execute() if cursor is None else cursor
                rows = cursor.fetchmany(_AT_ONCE)
            if not rows:
                return
            yield from rows

    def close(self) -> None:
        """Read nothing any more."""
        with self._lock:
            self._closed = True


def encode_rows(rows: Iterable[Sequence[Any]]) -> Iterator[bytearray]:
    """Chunks of about 1 MiB with a line of JSON for each row, which `decode_rows` reads.

    A row is an array. None, `bool`, `int`, `float`, `str` and lists are what JSON has for them; a value of another type
    is an object with one key: `{"bytes": "AP8="}`, `decimal`, `date`, `time`, `datetime`, `timedelta`, `uuid`, and
    `map` with pairs for a mapping. Anything else is a `TypeError`. What a version of Holdfast has written, each later
    one reads.
    """
    import json

    return gather_chunks(json.dumps(list(map(_to_plain, row))).encode() + b"\n" for row in rows)


def decode_rows(chunks: Iterable[bytes | bytearray | memoryview]) -> Iterator[list[Any]]:
    """The rows that chunks of `encode_rows` hold, as lists of values of the types that they had."""
    import json

    for line in split_lines(chunks):
        yield list(map(_from_plain, json.loads(line)))


def _to_plain(value: Any) -> Any:
    if type(value) in _PLAIN:
        return value
    if isinstance(value, list | tuple):
        return list(map(_to_plain, value))
    for name, (kind, write, _) in _types().items():
        if isinstance(value, kind):
            return {name: write(value)}
    if isinstance(value, _PLAIN):  # a class that inherits from one of them
        return value
    raise TypeError(f"a value of type {type(value).__module__}.{type(value).__qualname__} cannot be written as text")


def _from_plain(value: Any) -> Any:
    if isinstance(value, list):
        return list(map(_from_plain, value))
    if isinstance(value, dict):
        ((name, text),) = value.items()
        return _types()[name][2](text)
    return value


@functools.cache
def _types() -> dict[str, tuple[Any, Callable[[Any], Any], Callable[[Any], Any]]]:
    """By the key that tells it: a type, how a value becomes what JSON has, and the reverse; the special ones first."""
    import base64
    from collections.abc import Mapping
    from datetime import date, datetime, time, timedelta
    from decimal import Decimal
    from uuid import UUID

    def pairs(value: Any) -> list[Any]:
        return [[_to_plain(part) for part in item] for item in value.items()]

    return {
        "bytes": ((bytes, bytearray, memoryview), lambda value: base64.b64encode(value).decode(), base64.b64decode),
        "decimal": (Decimal, str, Decimal),
        "datetime": (datetime, datetime.isoformat, datetime.fromisoformat),
        "date": (date, date.isoformat, date.fromisoformat),
        "time": (time, time.isoformat, time.fromisoformat),
        "timedelta": (
            timedelta,
            lambda value: [value.days, value.seconds, value.microseconds],
            lambda parts: timedelta(parts[0], parts[1], parts[2]),
        ),
        "uuid": (UUID, str, UUID),
        "map": (Mapping, pairs, lambda items: {_from_plain(key): _from_plain(value) for key, value in items}),
    }
