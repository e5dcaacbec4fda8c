"""The lists by which pg_restore is told which entries of an archive to take."""

import os
from collections.abc import Iterable
from itertools import count
from pathlib import Path

from holdfast_postgres.formats.archive import Entry
from holdfast_postgres.selection.archive_entries import list_file

_numbers = count()


def write_list(scratch: Path, entries: Iterable[Entry]) -> Path:
    """Write one into the scratch folder of a restore, for nobody else to read."""
    path = scratch / f"entries-{next(_numbers)}.list"
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(list_file(entries))
    return path
