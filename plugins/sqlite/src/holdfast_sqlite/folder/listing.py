"""The databases in a folder, or that a pattern fits, for a backup of each.

A file is a database by its first bytes, whatever its name. One that is named like a database is never left out
without a word: it is listed, so that its own backup says what is wrong, or named as no database.
"""

import os
import re
import stat
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from urllib.parse import quote

from holdfast.api import (
    CredentialsError,
    Databases,
    DatabaseURL,
    UnreachableError,
    UsageError,
    os_error_text,
    quote_name,
)
from holdfast_sqlite.folder.pattern import Walk, expand, folder_files, has_wildcard, literal_folder, raw_parts
from holdfast_sqlite.location.path import database_path
from holdfast_sqlite.session import Child

_SHOWN = 10  # names in a message
_NAMED_LIKE_ONE = re.compile(r".*\.(db3?|sdb|s3db|sl3|sqlitedb|sqlite3?)", re.IGNORECASE | re.DOTALL)
_SIDE_FILES = ("-wal", "-shm", "-journal")
_SUPER_JOURNAL = re.compile(r"-mj[0-9A-F]{9}$")
# A restore that is being made beside its target, and files that were deleted while somebody has them open.
_PASSING = re.compile(r"\.holdfast-[0-9a-f]{12}-[0-9a-f]{12}.*|\.nfs[0-9a-f]+|\.fuse_hidden[0-9a-f]+", re.DOTALL)


def list_databases(url: str) -> Databases:
    """The URL of each database in the folder at `url`, or that its pattern fits; `UsageError` for a file."""
    path = database_path(url)
    parts = raw_parts(url)
    if has_wildcard(parts):
        folder = literal_folder(parts)
        _check_folder(folder)
        return _Listing(url, folder, expand(parts)).databases()
    _check_no_file(path)
    folder = path.rstrip("/") + "/"
    return _Listing(url, folder, folder_files(folder)).databases()


def _check_no_file(path: str) -> None:
    """A file is one database, and which others are attached to it now and then is not written in it."""
    if os.path.lexists(path) and not os.path.isdir(path) and not path.endswith("/"):
        raise UsageError(
            f"{quote_name(path)} is a file, and --all-databases takes a folder or a pattern",
            hint="leave the option out; databases that belong together can be named one after the other in one call",
        )
    _check_folder(path)


def _check_folder(folder: str) -> None:
    try:
        os.scandir(folder or ".").close()
    except PermissionError as error:
        raise CredentialsError(f"folder {quote_name(folder)} cannot be read: permission denied") from error
    except FileNotFoundError as error:
        raise UnreachableError(f"folder {quote_name(folder)} does not exist") from error
    except OSError as error:
        raise UnreachableError(f"folder {quote_name(folder)} cannot be listed: {os_error_text(error)}") from error


class _Listing:
    """What was found at one URL, sorted by what it is."""

    def __init__(self, url: str, folder: str, walk: Walk) -> None:
        self._url = url
        self._folder = folder
        self._walk = walk
        self._same: list[list[str]] = []  # names of one file
        self._listed: list[str] = []
        self._no_database: list[str] = []
        self._unknown: list[str] = []
        self._others = 0

    def databases(self) -> Databases:
        """Sort, and say what was left out."""
        files = self._files()
        for path, kind in zip(files, _kinds(files), strict=True):
            self._sort(path, kind)
        scheme = DatabaseURL.parse(self._url).scheme
        self._listed.sort()
        return Databases(
            [f"{scheme}:///{quote(path, safe='/', errors='surrogateescape')}" for path in self._listed],
            names=[path[len(self._folder) :] for path in self._listed],
            warnings=self._warnings(),
            notes=self._notes(),
        )

    def _sort(self, path: str, kind: str) -> None:
        named = _NAMED_LIKE_ONE.fullmatch(path) is not None
        # An empty file is a database without tables; what cannot be read says so when it is backed up.
        if kind == "database" or (named and kind in ("empty", "closed", "gone")):
            self._listed.append(path)
        elif kind == "closed":
            self._unknown.append(path)
        elif named:
            self._no_database.append(path)
        elif kind != "gone":
            self._others += 1

    def _files(self) -> list[str]:
        """The files that may be databases, each once, whatever links lead to it."""
        names = set(self._walk.files)
        inodes: dict[tuple[int, int], list[str]] = defaultdict(list)
        broken = []
        for path in self._walk.files:
            if _is_side_file(path, names) or _PASSING.fullmatch(os.path.basename(path)):
                continue
            try:
                status = os.stat(path)
            except OSError:
                if _NAMED_LIKE_ONE.fullmatch(path):
                    broken.append(path)  # a link to nowhere, or gone by now
                continue
            if stat.S_ISREG(status.st_mode):
                inodes[status.st_dev, status.st_ino].append(path)
        return [*map(self._choose, inodes.values()), *broken]

    def _choose(self, paths: list[str]) -> str:
        """One name of a file: that which SQLite's side files lie beside, else no link, else the first."""
        real = [path for path in paths if not os.path.islink(path)] or paths
        in_use = [path for path in real if any(os.path.lexists(path + suffix) for suffix in _SIDE_FILES)]
        chosen = min(in_use or real)
        if len(real) > 1 and _NAMED_LIKE_ONE.fullmatch(chosen):
            self._same.append([chosen, *sorted(set(real) - {chosen})])
        return chosen

    def _warnings(self) -> list[str]:
        same = [f"{_names(paths)} are one file, which is backed up as the first of them" for paths in self._same]
        unreadable = [
            f"nothing in {quote_name(folder)} is backed up, because it cannot be read: {os_error_text(error)}"
            for folder, error in self._walk.unreadable.items()
        ]
        files = [
            (self._no_database, "no SQLite database, or an encrypted one, which takes the program that has the key"),
            (self._unknown, "not readable, so that nobody knows whether that is a database"),
        ]
        omitted = [f"not backed up: {_names(paths)} ({why})" for paths, why in files if paths]
        return [*same, *unreadable, *omitted]

    def _notes(self) -> list[str]:
        place = quote_name(self._folder or ".")
        count = len(self._listed)
        others = f", and {self._others} other file{'s' if self._others > 1 else ''}" if self._others else ""
        stores = f"; stores of backups in it were left out: {_names(self._walk.stores)}" if self._walk.stores else ""
        return [f"{count} SQLite database{'' if count == 1 else 's'} in {place}{others}{stores}"]


def _is_side_file(path: str, names: Iterable[str]) -> bool:
    """Whether a file belongs to a database beside it: its log, index or journal, or a journal of several."""
    for suffix in _SIDE_FILES:
        if path.endswith(suffix) and path.removesuffix(suffix) in names:
            return True
    mark = _SUPER_JOURNAL.search(path)
    return mark is not None and path[: mark.start()] in names


def _kinds(paths: Sequence[str]) -> list[str]:
    """What each file is; a child looks, because closing a file here would drop the locks that this process has on it.

    See `holdfast_sqlite.child`.
    """
    if not paths:
        return []
    with (
        tempfile.TemporaryDirectory(prefix="holdfast-listing-") as scratch,
        Child("kinds", scratch=Path(scratch), paths=[*paths]) as child,
    ):
        kinds: list[str] = child.receive()["kinds"]
        return kinds


def _names(paths: Sequence[str]) -> str:
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(map(quote_name, paths[:_SHOWN])) + more
