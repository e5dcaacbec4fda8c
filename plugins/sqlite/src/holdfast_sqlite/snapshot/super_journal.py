"""Journals of a transaction over several files (https://www.sqlite.org/atomiccommit.html#_multi_file_commit).

Each ends with the path of a super-journal. While that file is there the transaction is not committed, and every
journal that names it is to be rolled back; deleting it was the commit, and what it left of journals means nothing.
SQLite looks at the path as the program knew it that wrote the journal: in a container, or where the folder has been
moved since, that is another one than here.
"""

from __future__ import annotations

import os

from holdfast_sqlite.child.channel import TaskError

_MAGIC = bytes.fromhex("d9d505f920a163d7")
_END = 16  # bytes behind the path: its length, its checksum, the magic number
_LONGEST = 4096


def super_journal(journal: str) -> str | None:
    """The path that ends a journal, or None where it names no other."""
    with open(journal, "rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(size - _END - _LONGEST, 0))
        tail = file.read()
    name, end = tail[:-_END], tail[-_END:]
    length = int.from_bytes(end[:4], "big")
    if len(end) < _END or end[8:] != _MAGIC or not 0 < length <= len(name):
        return None
    path = name[-length:]
    signed = sum(byte - 256 if byte > 127 else byte for byte in path)
    return os.fsdecode(path) if signed & 0xFFFFFFFF == int.from_bytes(end[4:8], "big") else None


def settle(path: str, journal: str) -> None:
    """Make SQLite judge the copied `journal` of the database at `path` as it would where the journal was written.

    `TaskError` where that cannot be told.
    """
    named = super_journal(journal) if os.path.exists(journal) else None
    if named is None or os.path.lexists(named):
        return
    folder, here = os.path.dirname(named), os.path.dirname(path)
    if os.path.lexists(os.path.join(here, os.path.basename(named))):
        _forget(journal, named)
    elif not os.path.isdir(folder):
        raise TaskError(
            "failed",
            f"its hot journal belongs to a transaction over several files, and names {named!r} in a folder that is not "
            "here, so that nobody can tell here whether that transaction was committed",
            hint="open the database once with its own program, or make the backup where that runs",
        )


def _forget(journal: str, named: str) -> None:
    """Cut off the path: a hot journal that names no other is rolled back."""
    os.truncate(journal, os.path.getsize(journal) - _END - len(os.fsencode(named)) - 4)
