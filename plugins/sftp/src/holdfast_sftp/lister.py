"""Listing the folders of a store, many at once."""

import os
import stat as modes
from collections.abc import Callable, Iterator, Sequence
from functools import partial

from holdfast.api import Stat, os_error_text
from holdfast_sftp import wire
from holdfast_sftp.connection import Connection
from holdfast_sftp.files import Entry, is_folder, list_folders
from holdfast_sftp.server import Server, refuse_file
from holdfast_sftp.tree import LEASES, exists

_AT_ONCE = 128  # folders that are listed with each other, as far as the server has so many open


class Lister:
    """Walks the tree of a store without following links; leases are no objects."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def walk(self, prefix: str, enter: Callable[[str], bool]) -> Iterator[Stat]:
        """Walk those folders that `enter` wants.

        A folder that is empty is listed with a slash at its end, so that somebody removes it; so is one that cannot
        be read, with its problem.
        """
        pending = [prefix]
        while pending:
            batch, pending = pending[-_AT_ONCE:], pending[:-_AT_ONCE]
            for path, content in zip(batch, self._look_into(batch, first=batch == [prefix]), strict=True):
                if isinstance(content, Stat):
                    yield content
                    continue
                for entry in content:
                    name = os.fsdecode(entry.name)
                    name = f"{path}/{name}" if path else name
                    if not is_folder(entry.attributes):
                        yield stat_of(name, entry.attributes)
                    elif name != LEASES and enter(name):
                        pending.append(name)

    def names(self, folder: str) -> Iterator[str]:
        """The folders in a folder, without what lies in them."""
        (content,) = self._look_into([folder], first=True)
        for entry in () if isinstance(content, Stat) else content:
            name = os.fsdecode(entry.name)
            if is_folder(entry.attributes) and (folder or name != LEASES):
                yield name

    def _look_into(self, paths: Sequence[str], *, first: bool) -> Sequence[Stat | Sequence[Entry]]:
        """What lies in folders; a `Stat` for what has to be told of the folder itself, as that the first is a link."""
        names = [self._server.tree.path(path) if path else self._server.tree.root for path in paths]

        def look(connection: Connection) -> tuple[wire.Reply | None, list[tuple[bytes, Sequence[Entry] | OSError]]]:
            looking = connection.send(wire.LSTAT, wire.string(names[0])) if first and paths[0] else None
            listed = list(_list_whole(connection, names))
            return (looking.wait() if looking else None), listed

        told, listed = self._server.call("", look)
        if told is not None and told.kind == wire.ATTRS:
            mode = told.fields(wire.ATTRS, paths[0]).attributes().mode or 0
            if modes.S_ISLNK(mode):
                return [Stat(path=paths[0], size=0, regular=False)]
        contents: list[Stat | Sequence[Entry]] = []
        for path, (name, entries) in zip(paths, listed, strict=True):
            if isinstance(entries, FileNotFoundError):
                if not path:
                    self._server.call("", partial(refuse_file, name=name))
                contents.append([])
            elif isinstance(entries, OSError):
                if not path:
                    with self._server.translated(""):
                        raise entries
                reason = os_error_text(entries)
                contents.append(Stat(path=f"{path}/", size=0, regular=False, problem=reason))
            elif path and not entries:
                contents.append(Stat(path=f"{path}/", size=0, regular=False))
            else:
                contents.append(entries)
        return contents


def stat_of(path: str, attributes: wire.Attributes) -> Stat:
    """What is told of an object."""
    regular = attributes.mode is None or modes.S_ISREG(attributes.mode)
    return Stat(path=path, size=attributes.size or 0, regular=regular)


def _list_whole(connection: Connection, names: Sequence[bytes]) -> Iterator[tuple[bytes, Sequence[Entry] | OSError]]:
    """List folders; of a server that does not tell what an entry is, each is looked at."""
    for name, entries in list_folders(connection, names):
        if isinstance(entries, OSError) or all(entry.attributes.mode is not None for entry in entries):
            yield name, entries
            continue
        known = ((entry, exists(connection, name + b"/" + entry.name, "")) for entry in entries)
        yield name, [Entry(name=entry.name, attributes=told) for entry, told in known if told is not None]
