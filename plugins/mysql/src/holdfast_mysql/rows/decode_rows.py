#!/usr/bin/env python3
"""Turn the rows of a Holdfast backup of MySQL or MariaDB into SQL, with nothing but Python's standard library.

    zstd -dc data/TABLE.rows.zst | python3 decode_rows.py | mariadb --binary-mode --max-allowed-packet=1G TARGET_DB

The input is one line of JSON that names the table and its columns, then the rows as the server sent them: packets
of a header of four bytes (length in the first three, little-endian) and that many bytes. A packet of 0xffffff bytes
is continued by the next. In a row each value stands behind its length: one byte below 251, or 252, 253, 254 and then
two, three, eight bytes, little-endian; 251 alone is NULL.
"""

import json
import re
import sys
from collections.abc import Iterator
from typing import Any, BinaryIO

FULL = 0xFFFFFF
BATCH = 1 << 19  # bytes of a statement, unless one row has more: servers may take no more than 1 MiB
SETTINGS = (
    "SET NAMES utf8mb4, sql_mode='NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES', time_zone='+00:00', "
    "foreign_key_checks=0, unique_checks=0"
    " /*M!100201 , check_constraint_checks=0 */ /*M!101100 , system_versioning_insert_history=1 */;\n"
)
ESCAPES = {b"\\": b"\\\\", b"'": b"\\'", b"\0": b"\\0", b"\n": b"\\n", b"\r": b"\\r", b"\x1a": b"\\Z"}
PLAIN = re.compile(rb"[ -~]*")
NOTHING = re.compile(rb"-0(\.0*)?")
# When a row of a history ends that is there: at the last moment that the server knows.
NEVER = b"COALESCE(/*M!110500 '2106-02-07 06:28:15.999999', */ '2038-01-19 03:14:07.999999')"


def rows(source: BinaryIO) -> Iterator[bytes]:
    """Yield each row as one piece of bytes."""
    while header := source.read(4):
        row = b""
        while True:
            size = int.from_bytes(header[:3], "little")
            packet = source.read(size)
            if len(header) < 4 or len(packet) < size:
                sys.exit("error: the rows end in the middle of one")
            row += packet
            if size < FULL:
                break
            header = source.read(4)
        yield row


def values(row: bytes, count: int) -> list[bytes | None]:
    """Take a row apart: bytes, or None for NULL."""
    place = 0
    fields: list[bytes | None] = []
    for _ in range(count):
        size = row[place]
        place += 1
        if size == 251:
            fields.append(None)
            continue
        if size > 251:
            width = {252: 2, 253: 3, 254: 8}[size]
            size = int.from_bytes(row[place : place + width], "little")
            place += width
        fields.append(row[place : place + size])
        place += size
    return fields


def kinds_of(header: dict[str, Any]) -> list[str]:
    """The kind of each column; that of the ends of a history is what they are in rows that are there."""
    ends = header.get("ends") or ["", ""]
    return [ends[1] if column[0] == ends[0] else column[1] for column in header["columns"]]


def literal(value: bytes | None, kind: str) -> bytes:
    """Write a value as SQL; character sets other than UTF-8 stay as they are, in hexadecimal."""
    if kind[:1] == "2":
        return NEVER if value == kind.encode() else b"'" + escape(value or b"") + b"'"
    if value is None:
        return b"NULL"
    if kind in ("number", "index"):
        # To SQL -0 is a whole number, which has no sign then.
        return value + b"e0" if value[:2] == b"-0" and NOTHING.fullmatch(value) else value
    if kind in ("ascii", "json", "utf8") or (kind in ("latin", "label") and PLAIN.fullmatch(value)):
        return b"'" + escape(value) + b"'"
    if len(value) > BATCH:
        return b"_binary'" + escape(value) + b"'"  # half as long as hexadecimal
    return b"0x" + value.hex().encode() if value else b"''"


def escape(value: bytes) -> bytes:
    """Escape what a string of SQL cannot hold."""
    for plain, escaped in ESCAPES.items():
        if plain in value:
            value = value.replace(plain, escaped)
    return value


def name(text: str) -> bytes:
    """Write a name as an identifier."""
    return b"`" + text.replace("`", "``").encode() + b"`"


def insert(header: dict[str, Any], batch: list[bytes]) -> bytes:
    """Write one INSERT of several rows."""
    columns = b",".join(name(column[0]) for column in header["columns"])
    return b"INSERT INTO " + name(header["table"]) + b" (" + columns + b") VALUES\n" + b",\n".join(batch)


def main() -> None:
    """Decode standard input to standard output."""
    source, out = sys.stdin.buffer, sys.stdout.buffer
    header = json.loads(source.readline())
    if header["version"] != 1:
        sys.exit(f"error: rows of version {header['version']}, this script knows 1")
    kinds = kinds_of(header)
    out.write(SETTINGS.encode())
    batch: list[bytes] = []
    size = 0
    for row in rows(source):
        line = b"(" + b",".join(map(literal, values(row, len(kinds)), kinds)) + b")"
        if batch and size + len(line) > BATCH:
            out.write(insert(header, batch) + b";\n")
            batch, size = [], 0
        batch.append(line)
        size += len(line) + 2
    if batch:
        out.write(insert(header, batch) + b";\n")


if __name__ == "__main__":
    main()
