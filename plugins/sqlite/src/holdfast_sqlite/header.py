"""The first 100 bytes of a database file (https://www.sqlite.org/fileformat.html#the_database_header).

Standard library only: child processes and restores need it alike.
"""

import os

SIZE = 100
MAGIC = b"SQLite format 3\0"
# The format versions to write and to read, which tell the journal mode.
WAL, ROLLBACK = b"\2\2", b"\1\1"
_VERSIONS = slice(18, 20)
_SCHEMA_FORMAT = 4  # the newest that there is
_FAR = 32  # a version or format that is this far away is none
_ENCODINGS = (0, 1, 2, 3)
_PAGE_SIZES = tuple(1 << power for power in range(9, 17))
_SMALLEST = 480  # bytes of a page that are not reserved
_FRACTIONS = b"\x40\x20\x20"  # of a page that a cell may take; there are no others


def read_header(path: str) -> bytes:
    """The header of a file that nobody else has open: closing a file drops the locks of the process on it."""
    with open(path, "rb") as file:
        return file.read(SIZE)


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


def has_checksums(header: bytes) -> bool:
    """Whether a VFS may keep a checksum at the end of each page (https://www.sqlite.org/cksumvfs.html)."""
    return header[20:21] == b"\x08"


def unsupported(header: bytes) -> str:
    """Why a file that SQLite has refused may be one that only another SQLite can read; "" if nothing says so.

    What has overwritten a header leaves hardly all of its other fields as they have to be.
    """
    if not _is_whole(header):
        return ""
    read_version, schema_format = header[_VERSIONS][1], int.from_bytes(header[44:48], "big")
    if WAL[1] < read_version < _FAR:
        return f"its file format has the version {read_version}, newer than this SQLite knows"
    if _SCHEMA_FORMAT < schema_format < _FAR:
        return f"its schema format has the number {schema_format}, newer than this SQLite knows"
    known = read_version <= WAL[1] and schema_format <= _SCHEMA_FORMAT
    # What is left is a library that was built for smaller pages.
    return f"its pages have {page_size(header)} bytes, more than this SQLite was built for" if known else ""


def _is_whole(header: bytes) -> bool:
    """Whether the fields of a header that have but a few values have one of them."""
    if len(header) < SIZE or header[: len(MAGIC)] != MAGIC:
        return False
    size = page_size(header)
    return (
        size in _PAGE_SIZES
        and size - header[20] >= _SMALLEST
        and header[21:24] == _FRACTIONS
        and int.from_bytes(header[56:60], "big") in _ENCODINGS
        and not any(header[72:92])  # reserved for the future
    )


def is_disguised(header: bytes) -> bool:
    """Whether a header is one of a database as far as byte 24 and none of any behind that, as encryption leaves it.

    SQLCipher (`cipher_plaintext_header_size`) and SQLite3MultipleCiphers do so for iOS, which looks at its begin.
    """
    size = page_size(header)
    return (
        header[: len(MAGIC)] == MAGIC
        and size in _PAGE_SIZES
        and versions(header) in (WAL, ROLLBACK)
        and header[21:24] == _FRACTIONS
        and int.from_bytes(header[44:48], "big") > _FAR
        and int.from_bytes(header[56:60], "big") not in _ENCODINGS
        and all(any(header[at : at + 4]) for at in range(72, 92, 4))  # reserved, and always zero
    )


def page_count(header: bytes, file_size: int) -> int:
    """The number of pages as SQLite takes it: from the header where that is up to date, else from the file."""
    count = int.from_bytes(header[28:32], "big")
    if count and header[24:28] == header[92:96]:
        return count
    size = max(page_size(header), 1)
    return (file_size + size - 1) // size
