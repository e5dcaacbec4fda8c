"""Names for pg_dump: in a file, where it reads one, and else among its arguments, as far as the system lets them."""

import os
from collections.abc import Sequence
from pathlib import Path

from holdfast.api import HoldfastError
from holdfast_postgres.client.programs import Programs
from holdfast_postgres.encodings import encode
from holdfast_postgres.selection.pg_dump_filters import Filter

FILES_SINCE = 17
_FEW = 20  # which stay in the arguments, where whoever looks at the processes sees them
_RESERVE = 64 << 10  # bytes of the environment and of the other arguments
_NO_LIMIT = 1 << 30
_ODD = frozenset("\r\\")


def too_many(filters: Sequence[Filter], encoding: str) -> bool:
    """Whether these are more than the system lets arguments be."""
    return _size(filters, encoding) > _room()


def filter_words(filters: Sequence[Filter], programs: Programs, folder: Path, encoding: str) -> list[bytes]:
    """The arguments that say so; with a file of them in `folder` where they are many and pg_dump reads such."""
    if len(filters) > _FEW and programs.major >= FILES_SINCE:
        # There a carriage return is lost, and a backslash has a meaning of its own.
        odd = [entry for entry in filters if not _ODD.isdisjoint(entry.pattern)]
        path = folder / "pg_dump.filter"
        _write(path, [entry for entry in filters if _ODD.isdisjoint(entry.pattern)], encoding)
        return [os.fsencode(f"--filter={path}"), *(encode(entry.word, encoding) for entry in odd)]
    if too_many(filters, encoding):
        raise HoldfastError(
            f"what is selected takes {len(filters)} arguments of pg_dump {programs.version}, "
            f"{_size(filters, encoding)} bytes, and the system allows {_room()}",
            hint=f"install postgresql-client-{FILES_SINCE} or newer, whose pg_dump reads them from a file; or select "
            "by whole schemas, or by names that begin or end alike",
        )
    return [encode(entry.word, encoding) for entry in filters]


def _write(path: Path, filters: Sequence[Filter], encoding: str) -> None:
    lines = [encode(f"{entry.action} {entry.kind} {entry.pattern}\n", encoding) for entry in filters]
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.writelines(lines)


def _size(filters: Sequence[Filter], encoding: str) -> int:
    """The bytes that they take among the arguments, each with its end and the pointer to it."""
    return sum(len(encode(entry.word, encoding)) + 9 for entry in filters)


def _room() -> int:
    """The bytes that are left for them: the limit counts the environment, too."""
    limit = os.sysconf("SC_ARG_MAX")
    if limit < 0:
        return _NO_LIMIT
    environment = sum(len(name) + len(value) + 10 for name, value in os.environb.items())
    return max(0, limit - environment - _RESERVE)
