"""The folder of a store on its server: what is made, removed and given its name in it, as the server can."""

import errno
import logging
import os
import secrets

from holdfast.api import UnsafeError, UsageError, quote_name, temporary_path
from holdfast_sftp import wire
from holdfast_sftp.connection import Connection, Pending
from holdfast_sftp.files import close, look_at, make_folder, open_file, opening
from holdfast_sftp.location import Location

log = logging.getLogger("holdfast.storage")

LEASES = ".leases"
_UNKNOWN = frozenset({5, 8})  # statuses of what a server or its file system has not: bad message, unsupported
_BATCH = 128  # removals on their way at once
_FILES = 64  # that are open at once


class Tree:
    """Paths of objects on a server; its methods may be called again with another connection where one broke."""

    def __init__(self, location: Location) -> None:
        self.root = location.root
        self._location = location
        self._links, self._linked = True, False
        self._renames = False  # that they are create-only is tried once
        self._syncs = True

    def path(self, path: str) -> bytes:
        """Where an object lies on the server."""
        parts = path.split("/")
        if "\0" in path or {"", ".", ".."} & set(parts):
            raise UsageError(f"{quote_name(path)} is outside of the store")
        return self.root + b"/" + os.fsencode(path)

    def make_parent(self, connection: Connection, path: bytes, text: str) -> None:
        """Make the folder of an object, and that of the store; those above it only in the home of the account."""
        within = b"" if self._location.at_home else self.root
        make_folder(connection, path.rpartition(b"/")[0], text, within=within)

    def remove(self, connection: Connection, path: bytes, text: str) -> None:
        """Remove a file, a link or an empty folder, and what it leaves empty; what is missing is no error."""
        for error in self.remove_many(connection, [(path, text)]):
            raise error

    def remove_many(self, connection: Connection, paths: list[tuple[bytes, str]]) -> list[OSError]:
        """Remove many in few turns; returns what could not be removed."""
        errors: list[OSError] = []
        emptied: list[Pending] = []
        folders = sorted({folder for path, _ in paths for folder in self._above(path)}, key=_depth, reverse=True)
        for at in range(0, len(paths), _BATCH):
            batch = paths[at : at + _BATCH]
            replies = [connection.send(wire.REMOVE, wire.string(path)) for path, _ in batch]
            if at + _BATCH >= len(paths):
                emptied += self._remove_empty(connection, folders)  # innermost first
            for (path, text), pending in zip(batch, replies, strict=True):
                error = pending.wait().refusal(text)
                if not isinstance(error, OSError) or isinstance(error, FileNotFoundError):
                    continue
                # OpenSSH calls it a failure to unlink a folder.
                if connection.call(wire.RMDIR, wire.string(path)).refusal(text) is not None:
                    errors.append(error)
                else:
                    emptied += self._remove_empty(connection, sorted(self._above(path), key=_depth, reverse=True))
        for pending in emptied:
            pending.wait()  # what is not empty stays
        return errors

    def _remove_empty(self, connection: Connection, folders: list[bytes]) -> list[Pending]:
        return [connection.send(wire.RMDIR, wire.string(folder)) for folder in folders]

    def begin_sync(self, connection: Connection, handle: bytes) -> Pending | None:
        """Ask to have a file on the server's disk, where the server can."""
        if self._syncs and wire.FSYNC in connection.extensions:
            return connection.extended(wire.FSYNC, wire.string(handle))
        return None

    def end_sync(self, pending: Pending | None) -> None:
        """Wait until it is there."""
        if not self._syncs:
            return
        if pending is not None:
            reply = pending.wait()
            error = reply.refusal("")
            if error is None:
                return
            if not isinstance(error, PermissionError) and reply.status not in _UNKNOWN:
                raise error
        self._syncs = False
        log.warning(
            "the server of %s does not sync files to its disk: a loss of power there may cost the last backup",
            self._location.text,
        )

    def sync_names(self, connection: Connection, paths: list[tuple[bytes, str]]) -> None:
        """Have the names of files on the disk: Linux writes those of a file that is synced once more."""
        for at in range(0, len(paths), _FILES):
            opened = [(opening(connection, path, wire.FOR_READING), text) for path, text in paths[at : at + _FILES]]
            syncing = []
            for pending, text in opened if self._syncs else ():
                try:
                    handle = pending.wait().fields(wire.HANDLE, text).text()
                except (FileNotFoundError, PermissionError):  # removed since, or write-only
                    continue
                syncing.append(self.begin_sync(connection, handle))
                close(connection, handle)
            for each in syncing:
                self.end_sync(each)

    def publish(self, connection: Connection, temporary: bytes, path: bytes, text: str) -> None:
        """Give a whole file its name, unless that is taken, which is a `FileExistsError`."""
        if self._links and wire.HARDLINK in connection.extensions:
            linking = connection.extended(wire.HARDLINK, wire.string(temporary), wire.string(path))
            # At once, unless it could be that the server makes no links: then it is needed once more.
            removing = connection.send(wire.REMOVE, wire.string(temporary)) if self._linked else None
            error = linking.wait().refusal(text)
            if error is None:
                self._linked = True
                removing = removing or connection.send(wire.REMOVE, wire.string(temporary))
                removing.wait()  # if it stays it is listed, and goes with a prune
                return
            self._refuse_taken(connection, path, text, error)
            log.info("the server of %s makes no hard links: %s", self._location.text, error)
            self._links = False
        self._probe_renames(connection)
        error = self._rename(connection, temporary, path, text)
        if error is not None:
            self._refuse_taken(connection, path, text, error)
            raise error

    def _above(self, path: bytes) -> list[bytes]:
        folders = []
        while len(path := path.rpartition(b"/")[0]) > len(self.root):
            folders.append(path)
        return folders

    def _rename(self, connection: Connection, old: bytes, new: bytes, text: str) -> OSError | EOFError | None:
        return connection.call(wire.RENAME, wire.string(old), wire.string(new)).refusal(text)

    def _refuse_taken(self, connection: Connection, path: bytes, text: str, error: OSError | EOFError) -> None:
        if not isinstance(error, FileNotFoundError) and exists(connection, path, text) is not None:
            raise FileExistsError(errno.EEXIST, "it exists already", text) from error

    def _probe_renames(self, connection: Connection) -> None:
        """Find out whether the server refuses to rename over what is there: some do it without a word."""
        if self._renames:
            return
        names = [self.path(f"{LEASES}/{temporary_path('')}{secrets.token_hex(2)}") for _ in range(2)]
        try:
            for name in names:
                if not exists(connection, self.root + b"/" + LEASES.encode(), ""):
                    self.make_parent(connection, name, LEASES)
                close(connection, open_file(connection, name, wire.FOR_WRITING | wire.CREATE, LEASES)).wait()
            overwritten = self._rename(connection, names[0], names[1], LEASES) is None
        finally:
            for name in names:
                connection.call(wire.REMOVE, wire.string(name))
        if overwritten:
            raise UnsafeError(
                f"the server of {self._location.text} overwrites what is there when a file is renamed, and makes no "
                "hard links: a backup could be overwritten",
                hint="Holdfast needs a server that does as OpenSSH's: hardlink@openssh.com, or a RENAME that refuses",
            )
        self._renames = True


def exists(connection: Connection, path: bytes, text: str) -> wire.Attributes | None:
    """What is told of a file; None where there is none."""
    try:
        return look_at(connection, path, text)
    except FileNotFoundError:
        return None


def _depth(folder: bytes) -> int:
    return folder.count(b"/")
