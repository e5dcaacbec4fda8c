"""Connections to databases in SQL_ASCII, whose names and definitions are bytes of any kind: see `encodings`."""

from typing import Any, Self

import psycopg
from psycopg import Connection
from psycopg.adapt import Buffer, Loader
from psycopg.rows import TupleRow
from psycopg.types.string import StrDumperUnknown

from holdfast_postgres.encodings import ANY_BYTES, decode, encode

_TEXT_TYPES = (0, 25, 19, 1043, 1042, 18, 705)  # unknown to psycopg, text, name, varchar, bpchar, "char", unknown


class _TextLoader(Loader):
    """Text of any bytes."""

    def load(self, data: Buffer) -> str:
        return decode(bytes(data), ANY_BYTES)


class _TextDumper(StrDumperUnknown):
    """Parameters of such text."""

    def dump(self, obj: str) -> bytes:
        return encode(obj, ANY_BYTES)


class _Cursor(psycopg.Cursor[Any]):
    """Statements with such text: psycopg would allow ASCII alone."""

    def execute(self, query: Any, params: Any = None, **options: Any) -> Self:
        return super().execute(_bytes(query), params, **options)

    def copy(self, statement: Any, params: Any = None, **options: Any) -> Any:
        return super().copy(_bytes(statement), params, **options)


def _bytes(query: Any) -> Any:
    return encode(query, ANY_BYTES) if isinstance(query, str) else query


def take_any_bytes(connection: "Connection[TupleRow]") -> None:
    """Let a connection send and receive names that are no UTF-8: the server would refuse to send them as that."""
    connection.execute("SET client_encoding TO SQL_ASCII")
    for oid in _TEXT_TYPES:
        connection.adapters.register_loader(oid, _TextLoader)
    connection.adapters.register_dumper(str, _TextDumper)
    connection.cursor_factory = _Cursor
