"""A folder of a server as a storage: create-only writes, reads and listings with many requests on their way, leases."""

import contextlib
import errno
import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from holdfast.api import Guarantee, HoldfastError, Stat
from holdfast_sftp import wire
from holdfast_sftp.connection import Connection, ConnectionLostError
from holdfast_sftp.fetching import fetch_steps
from holdfast_sftp.files import close, look_at, open_object, read_pieces
from holdfast_sftp.guarantees import guarantees
from holdfast_sftp.leases import FileLeases
from holdfast_sftp.lister import Lister, stat_of
from holdfast_sftp.location import Location
from holdfast_sftp.server import Server
from holdfast_sftp.tree import exists
from holdfast_sftp.upload import Upload


class SFTPStorage:
    """Objects as files below a folder, of mode 0600 in folders of mode 0700."""

    def __init__(self, location: Location) -> None:
        self.location = location.text
        self._server = Server(location)
        self._tree = self._server.tree
        self._lister = Lister(self._server)
        self._leases = FileLeases(self._server)
        self._lock = threading.Lock()
        self._unsynced: dict[bytes, str] = {}
        weakref.finalize(self, self._server.pool.close)

    @contextmanager
    def writer(self, path: str) -> Iterator[Upload]:
        """Send an object as it comes, and let it be seen at a clean exit."""
        upload = Upload(self._server, path)
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
        return self._server.call(path, read)

    def stream(self, path: str, offset: int = 0) -> Iterator[bytes]:
        """Read the rest, some megabytes ahead."""
        name = self._tree.path(path)
        with self._server.translated(path):
            connection, handle, size = self._open(name, path)
            try:
                yield from read_pieces(connection, handle, offset, size, path)
            finally:
                with contextlib.suppress(ConnectionLostError):
                    close(connection, handle)
                self._server.pool.give_back(connection)

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """Walk the tree without following links; leases are no objects."""
        return self.walk(prefix, lambda _: True)

    def walk(self, prefix: str, enter: Callable[[str], bool]) -> Iterator[Stat]:
        """Walk those folders of the tree that `enter` wants, many at once."""
        return self._lister.walk(prefix, enter)

    def names(self, folder: str) -> Iterator[str]:
        """List the folders in a folder, without what lies in them."""
        return self._lister.names(folder)

    def fetch_steps(self, folder: str) -> Sequence[str]:
        """By scp, with the same settings of ssh."""
        return fetch_steps(self._server.location, folder)

    def guarantees(self) -> Iterator[Guarantee]:
        """Ask what the server says of itself."""
        return guarantees(self._server)

    def stat(self, path: str) -> Stat:
        """Ask for the size of a file."""
        name = self._tree.path(path)
        return stat_of(path, self._server.call(path, lambda connection: look_at(connection, name, path)))

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
            for error in self._server.call(wanted[0][1], lambda connection: self._tree.remove_many(connection, wanted)):
                with self._server.translated(str(error.filename)):
                    raise error

    def rename(self, old: str, new: str) -> None:
        """Rename a folder in one step."""
        source, target = self._tree.path(old), self._tree.path(new)
        self.barrier()  # what waits for it would not be there under its old name
        self._leases.check()

        def prepare(connection: Connection) -> None:
            if exists(connection, source, old) is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), old)
            connection.call(wire.RMDIR, wire.string(target))  # an empty one holds nothing
            if exists(connection, target, new) is not None:
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), new)
            self._tree.make_parent(connection, target, new)

        self._server.call(new, prepare)
        with self._server.translated(new):  # once: of a reply that is lost nobody knows whose work it was
            connection = self._server.pool.connection()
            connection.call(wire.RENAME, wire.string(source), wire.string(target)).check(new)

    def barrier(self) -> None:
        """Have the names on the disk too; what is in the files is there since they were written."""
        with self._lock:
            unsynced, self._unsynced = self._unsynced, {}
        if not unsynced:
            return
        try:
            self._server.call("", lambda connection: self._tree.sync_names(connection, list(unsynced.items())))
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

    def _open(self, name: bytes, path: str) -> tuple[Connection, bytes, int]:
        """Open an object, once more if the connection has broken since it was used last."""
        for left in (1, 0):
            connection = self._server.pool.take()
            try:
                return connection, *open_object(connection, name, path)
            except BaseException as error:
                self._server.pool.give_back(connection)
                if not left or not isinstance(error, ConnectionLostError):
                    raise
        raise AssertionError
