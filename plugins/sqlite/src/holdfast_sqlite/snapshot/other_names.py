"""The other names of a database file, as far as they can be found: hard links, and mounts of the file by itself."""

from __future__ import annotations

import os
from collections.abc import Iterator

from holdfast_sqlite.mounts import Mount, mount_of, mounts, namespaces

_MOST_ENTRIES = 2000  # of a folder; names may be anywhere, and no backup walks a whole file system for them
_JOURNAL_MAGIC = b"\xd9\xd5\x05\xf9\x20\xa1\x63\xd7"


class OtherNames:
    """Names besides `path`; `unknown` says, as warnings, which there are that were not found.

    A name in another mount namespace begins with the `/proc/…/root` of a process there. `everywhere` looks for those
    too, which takes some milliseconds.
    """

    def __init__(self, path: str, status: os.stat_result, *, everywhere: bool) -> None:
        self.unknown: list[str] = []
        links = _links(path, status) if status.st_nlink > 1 else []
        if (missing := status.st_nlink - 1 - len(links)) > 0:
            self.unknown.append(
                f"the file has {status.st_nlink} names (hard links), and {missing} could not be found: what a program "
                "that was killed has left in a log beside such a name is not in the backup"
            )
        table = mounts()
        mount = mount_of(path, table)
        if mount is not None and mount.point == path:
            self.unknown.append(
                "the file is mounted by itself: what a program that was killed has left in a log beside its other "
                "name, outside of this mount, is not in the backup"
            )
        self.names = links + (_mounted(path, mount) if everywhere and mount is not None else [])


def _links(path: str, status: os.stat_result) -> list[str]:
    """Hard links in the same folder, and of the same name in the folders beside it."""
    folder, name = os.path.split(path)
    above = os.path.dirname(folder)
    near = [(folder, entry) for entry in _entries(folder)]
    near += [(os.path.join(above, entry), name) for entry in _entries(above)]
    known = {_place(folder, name)}  # a folder may be there twice, as a link or mount
    links = []
    for parent, entry in near:
        other = os.path.join(parent, entry)
        if _is(other, status) and (place := _place(parent, entry)) not in known:
            known.add(place)
            links.append(other)
    return links


def _place(folder: str, name: str) -> tuple[int, int, str]:
    status = os.stat(folder)
    return status.st_dev, status.st_ino, name


def _entries(folder: str) -> list[str]:
    names = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                names.append(entry.name)
                if len(names) == _MOST_ENTRIES:
                    break
    except OSError:
        pass  # not for us to list: what is in there counts as not found
    return names


def _is(path: str, status: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.lstat(path), status)
    except OSError:
        return False


def _mounted(path: str, mount: Mount) -> list[str]:
    """Where the file is mounted by itself, in this mount namespace and in those of other processes."""
    inner = mount.inner(path)
    return [
        root + other.point
        for root, table in namespaces()
        for other in table
        if (other.device, other.root) == (mount.device, inner) and root + other.point != path
    ]


def other_logs(name: str, path: str) -> Iterator[str]:
    """What lies beside another name, and not beside `path`, that its next user would merge or roll back."""
    for suffix in ("-wal", "-journal"):
        try:
            status = os.stat(name + suffix)
            same = os.path.exists(path + suffix) and os.path.samestat(os.stat(path + suffix), status)
            if status.st_size and not same and (suffix == "-wal" or is_hot(name + suffix)):
                yield f"the {'log' if suffix == '-wal' else 'journal'} of {status.st_size} bytes"
        except OSError:
            continue


def is_hot(journal: str) -> bool:
    """Whether a journal begins as one does that is to be rolled back; others are kept for the next transaction."""
    try:
        with open(journal, "rb") as file:
            return file.read(len(_JOURNAL_MAGIC)) == _JOURNAL_MAGIC
    except FileNotFoundError:
        return False
