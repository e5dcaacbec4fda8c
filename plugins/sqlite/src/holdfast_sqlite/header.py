"""The first 100 bytes of a database file (https://www.sqlite.org/fileformat.html#the_database_header).

Standard library only: child processes and restores need it alike.
"""

import os

SIZE = 100
MAGIC = b"SQLite format 3\0"
# The format versions to write and to read, which tell the journal mode.
WAL, ROLLBACK = b"\2\2", b"\1\1"
_VERSIONS = slice(18, 20)


def versions(header: bytes) -> bytes:
    """The two bytes that are `WAL`, `ROLLBACK`, or what no SQLite has defined yet."""
    return header[_VERSIONS]


def write_versions(descriptor: int, mode: bytes) -> None:
    """Put the mark of a journal mode on a file that nobody else has open."""
    os.pwrite(descriptor, mode, _VERSIONS.start)


def change_counter(header: bytes) -> int:
    """How often the database was changed in rollback mode; in WAL mode only once a log is first used."""
    return int.from_bytes(header[24:28], "big")


def page_size(header: bytes) -> int:
    """Bytes of a page."""
    size = int.from_bytes(header[16:18], "big")
    return 65536 if size == 1 else size


def page_count(header: bytes, file_size: int) -> int:
    """The number of pages as SQLite takes it: from the header where that is up to date, else from the file."""
    count = int.from_bytes(header[28:32], "big")
    if count and header[24:28] == header[92:96]:
        return count
    size = max(page_size(header), 1)
    return (file_size + size - 1) // size
