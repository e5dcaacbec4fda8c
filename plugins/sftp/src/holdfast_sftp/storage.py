"""A folder of a server as a storage: create-only writes, reads and listings with many requests on their way, leases."""

import contextlib
import errno
import logging
import os
import stat as modes
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TypeVar

from holdfast.api import CredentialsError, HoldfastError, NotFoundError, Stat, os_error_text, quote_name
from holdfast_sftp import wire
from holdfast_sftp.connection import Connection, ConnectionLostError
from holdfast_sftp.fetching import fetch_steps
from holdfast_sftp.files import (
    Entry,
    close,
    explain_failure,
    is_folder,
    list_folders,
    look_at,
    open_object,
    read_pieces,
)
from holdfast_sftp.leases import FileLeases
from holdfast_sftp.location import Location
from holdfast_sftp.pool import Pool
from holdfast_sftp.tree import LEASES, Tree, exists
from holdfast_sftp.upload import Upload

_AT_ONCE = 32  # folders that are listed with each other

_T = TypeVar("_T")

log = logging.getLogger("holdfast.storage")


class SFTPStorage:
    """Objects as files below a folder, of mode 0600 in folders of mode 0700."""

    def __init__(self, location: Location) -> None:
        self.location = location.text
        self._location = location
        self._pool = Pool(location)
        self._tree = Tree(location)
        self._leases = FileLeases(self._pool, self._tree, self._translated)
        self._lock = threading.Lock()
        self._unsynced: dict[bytes, str] = {}
        weakref.finalize(self, self._pool.close)

    @contextmanager
    def writer(self, path: str) -> Iterator[Upload]:
        """Send an object as it comes, and let it be seen at a clean exit."""
        upload = Upload(self._pool, self._tree, path, self._translated)
        try:
            yield upload
            upload.finish(self._leases.check)
        except BaseException:
            with contextlib.suppress(HoldfastError, OSError):  # then it is listed, and goes with the next prune
                upload.abort()
            raise
        with self._lock:
            self._unsynced[self._tree.path(path)] = path

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """Read a part in two turns."""

        def read(connection: Connection) -> bytes:
            handle, size = open_object(connection, name, path)
            end = size if length is None else min(size, offset + length)
            pieces = list(read_pieces(connection, handle, offset, end, path))
            close(connection, handle)
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)

        name = self._tree.path(path)
        return self._call(path, read)

    def stream(self, path: str, offset: int = 0) -> Iterator[bytes]:
        """Read the rest, some megabytes ahead."""
        name = self._tree.path(path)
        with self._translated(path):
            connection, handle, size = self._open(name, path)
            try:
                yield from read_pieces(connection, handle, offset, size, path)
            finally:
                with contextlib.suppress(ConnectionLostError):
                    close(connection, handle)
                self._pool.give_back(connection)

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """Walk the tree without following links; leases are no objects."""
        return self.walk(prefix, lambda _: True)

    def walk(self, prefix: str, enter: Callable[[str], bool]) -> Iterator[Stat]:
        """Walk those folders of the tree that `enter` wants, many at once.

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
                        yield _stat(name, entry.attributes)
                    elif name != LEASES and enter(name):
                        pending.append(name)

    def names(self, folder: str) -> Iterator[str]:
        """List the folders in a folder, without what lies in them."""
        (content,) = self._look_into([folder], first=True)
        for entry in () if isinstance(content, Stat) else content:
            name = os.fsdecode(entry.name)
            if is_folder(entry.attributes) and (folder or name != LEASES):
                yield name

    def fetch_steps(self, folder: str) -> Sequence[str]:
        """By scp, with the same settings of ssh."""
        return fetch_steps(self._location, folder)

    def stat(self, path: str) -> Stat:
        """Ask for the size of a file."""
        name = self._tree.path(path)
        return _stat(path, self._call(path, lambda connection: look_at(connection, name, path)))

    def delete(self, path: str) -> None:
        """Remove a file, a link or an empty folder, then the folders that are left empty."""
        self.delete_many([path])

    def delete_many(self, paths: Sequence[str]) -> None:
        """Remove objects with many requests on their way."""
        wanted = [(self._tree.path(path.rstrip("/")), path) for path in paths]
        self._leases.check()
        with self._lock:
            for name, _ in wanted:
                self._unsynced.pop(name, None)
        if wanted:
            for error in self._call(wanted[0][1], lambda connection: self._tree.remove_many(connection, wanted)):
                with self._translated(str(error.filename)):
                    raise error

    def rename(self, old: str, new: str) -> None:
        """Rename a folder in one step."""
        source, target = self._tree.path(old), self._tree.path(new)
        self.barrier()  # what waits for it would not be there under its old name
        self._leases.check()

        def rename(connection: Connection) -> None:
            if exists(connection, source, old) is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), old)
            connection.call(wire.RMDIR, wire.string(target))  # an empty one holds nothing
            if exists(connection, target, new) is not None:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)
            self._tree.make_parent(connection, target, new)
            connection.call(wire.RENAME, wire.string(source), wire.string(target)).check(new)

        with self._translated(new):
            rename(self._pool.connection())  # once: of a reply that is lost nobody knows whose work it was

    def barrier(self) -> None:
        """Have the names on the disk too; what is in the files is there since they were written."""
        with self._lock:
            unsynced, self._unsynced = self._unsynced, {}
        if not unsynced:
            return
        try:
            self._call("", lambda connection: self._tree.sync_names(connection, list(unsynced.items())))
        except BaseException:
            with self._lock:
                self._unsynced = unsynced | self._unsynced
            raise

    def lease(self, name: str, ttl: float = 60.0) -> AbstractContextManager[None]:
        """Hold a name by a file that is renewed."""
        return self._leases.hold(name, ttl, shared=False)

    def shared_lease(self, name: str, ttl: float = 60.0) -> AbstractContextManager[None]:
        """Hold a name beside others."""
        return self._leases.hold(name, ttl, shared=True)

    def _call(self, path: str, operation: Callable[[Connection], _T]) -> _T:
        with self._translated(path):
            try:
                return self._pool.call(operation)
            except FileNotFoundError:
                if "/" not in path:  # as what tells that this is a store
                    self._pool.call(partial(_refuse_file, name=self._tree.root))
                raise

    @contextmanager
    def _translated(self, path: str) -> Iterator[None]:
        """Say what a refusal of the server means."""
        try:
            yield
        except PermissionError as error:
            raise CredentialsError(
                f"the server refuses {self._location.text}{': ' + quote_name(path) if path else ''}: permission denied",
                hint="look whom the folder belongs to on the server, and whether sshd lets the account write",
            ) from error
        except wire.ServerError as error:
            explain = partial(explain_failure, path=self._tree.root, error=error)
            raise self._pool.call(explain, patience=0.0) from error
        except wire.ProtocolError as error:
            raise HoldfastError(f"what the server of {self._location.text} sends is no SFTP: {error}") from error

    def _open(self, name: bytes, path: str) -> tuple[Connection, bytes, int]:
        """Open an object, once more if the connection has broken since it was used last."""
        for left in (1, 0):
            connection = self._pool.take()
            try:
                return connection, *open_object(connection, name, path)
            except BaseException as error:
                self._pool.give_back(connection)
                if not left or not isinstance(error, ConnectionLostError):
                    raise
        raise AssertionError

    def _look_into(self, paths: Sequence[str], *, first: bool) -> Sequence[Stat | Sequence[Entry]]:
        """What lies in folders; a `Stat` for what has to be told of the folder itself, as that the first is a link."""
        names = [self._tree.path(path) if path else self._tree.root for path in paths]

        def look(connection: Connection) -> tuple[wire.Reply | None, list[tuple[bytes, Sequence[Entry] | OSError]]]:
            looking = connection.send(wire.LSTAT, wire.string(names[0])) if first and paths[0] else None
            listed = list(_list_whole(connection, names))
            return (looking.wait() if looking else None), listed

        told, listed = self._call("", look)
        if told is not None and told.kind == wire.ATTRS:
            mode = told.fields(wire.ATTRS, paths[0]).attributes().mode or 0
            if modes.S_ISLNK(mode):
                return [Stat(path=paths[0], size=0, regular=False)]
        contents: list[Stat | Sequence[Entry]] = []
        for path, (name, entries) in zip(paths, listed, strict=True):
            if isinstance(entries, FileNotFoundError):
                if not path:
                    self._call("", partial(_refuse_file, name=name))
                contents.append([])
            elif isinstance(entries, OSError):
                if not path:
                    with self._translated(""):
                        raise entries
                reason = os_error_text(entries)
                contents.append(Stat(path=f"{path}/", size=0, regular=False, problem=reason))
            elif path and not entries:
                contents.append(Stat(path=f"{path}/", size=0, regular=False))
            else:
                contents.append(entries)
        return contents


def _list_whole(connection: Connection, names: Sequence[bytes]) -> Iterator[tuple[bytes, Sequence[Entry] | OSError]]:
    """List folders; of a server that does not tell what an entry is, each is looked at."""
    for name, entries in list_folders(connection, names):
        if isinstance(entries, OSError) or all(entry.attributes.mode is not None for entry in entries):
            yield name, entries
            continue
        known = ((entry, exists(connection, name + b"/" + entry.name, "")) for entry in entries)
        yield name, [Entry(name=entry.name, attributes=told) for entry, told in known if told is not None]


def _refuse_file(connection: Connection, name: bytes) -> None:
    attributes = exists(connection, name, "")
    if attributes is not None and not is_folder(attributes) and not modes.S_ISLNK(attributes.mode or 0):
        raise NotFoundError(f"{quote_name(os.fsdecode(name))} on the server is a file, expected a folder")


def _stat(path: str, attributes: wire.Attributes) -> Stat:
    regular = attributes.mode is None or modes.S_ISREG(attributes.mode)
    return Stat(path=path, size=attributes.size or 0, regular=regular)
