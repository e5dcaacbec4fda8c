"""A folder as storage: objects are files, visible only when whole, private to their owner."""

import contextlib
import errno
import fcntl
import os
import secrets
import stat
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Self

from holdfast.api import Chunk, Stat
from holdfast.errors import LockedError, UsageError, quote_name
from holdfast.store.names import CLAIM, MANIFEST, MARKER, PARTIAL
from holdfast.url import DatabaseURL

LEASES = ".leases"
# Seconds for which a lease that is held is tried again: whoever looks for dead leases (`_remove_dead`) holds each of
# them, also one just made, for some microseconds. A holder at work keeps it for far longer.
_PATIENCE = 0.05
_WRITEBACK = 8 << 20  # bytes written between two nudges of the kernel
# These are small and are believed as soon as they have their name: after a loss of power an empty one would be a
# damaged backup, a name that nobody can use, or a store that nobody can open. All else waits for the barrier.
_SYNCED_FIRST = frozenset({MANIFEST, MARKER, CLAIM})


class FileWriter:
    """A file being written; `os.write` may take less than it is given."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._written = self._nudged = 0

    def write(self, data: Chunk) -> None:
        """Write all of the bytes."""
        view = memoryview(data)
        while view:
            count = os.write(self._descriptor, view)
            self._written += count
            view = view[count:]
        if self._written - self._nudged >= _WRITEBACK and hasattr(os, "posix_fadvise"):
            # Starts the write-back now instead of at the barrier, and keeps a large backup from pushing
            # everything else out of the page cache: Linux drops only pages that are already clean.
            os.posix_fadvise(self._descriptor, self._nudged, self._written - self._nudged, os.POSIX_FADV_DONTNEED)
            self._nudged = self._written

    def close(self) -> None:
        """Close the file; a thread that hung in a write cannot go on into another file of the same number."""
        descriptor, self._descriptor = self._descriptor, -1
        os.close(descriptor)


class FolderStorage:
    """Objects as files below `root`. Files are made with mode 0600, folders with 0700."""

    def __init__(self, root: str) -> None:
        self.root = os.path.abspath(root)
        self._unsynced: set[str] = set()
        self._lock = threading.Lock()
        self._syncing = threading.Lock()

    @classmethod
    def at(cls, url: str) -> Self:
        """Open the folder at a path or `file:///path` URL."""
        if "://" in url:
            parsed = DatabaseURL.parse(url)
            if parsed.hosts or parsed.query or not parsed.path:
                raise UsageError(f"not a folder: {quote_name(url)}, expected file:///absolute/path")
            return cls(parsed.path)
        if not url or "\0" in url:
            raise UsageError("the store's path is empty or holds a NUL byte")
        return cls(os.path.expanduser(url))

    @property
    def location(self) -> str:
        """The absolute path."""
        return self.root

    @contextmanager
    def writer(self, path: str) -> Iterator[FileWriter]:
        """Write to a temporary name beside the final one and link it there at a clean exit."""
        final = self._path(path)
        folder = os.path.dirname(final)
        partial = os.path.join(folder, f"{PARTIAL}{secrets.token_hex(6)}")
        descriptor = self._create(partial)
        writer = FileWriter(descriptor)
        try:
            try:
                yield writer
                if os.path.basename(final) in _SYNCED_FIRST:
                    os.fsync(descriptor)
            finally:
                writer.close()
            _publish(partial, final)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(partial)
            self._prune(folder)
            raise
        with self._lock:
            self._unsynced.update((final, folder))

    def read(self, path: str, offset: int = 0, length: int | None = None) -> bytes:
        """Read a part of a regular file; links are not followed."""
        descriptor = os.open(self._path(path), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        try:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise IsADirectoryError(errno.EISDIR, "not a regular file", path)
            left = max(0, found.st_size - offset) if length is None else length
            pieces = []
            while left > 0 and (piece := os.pread(descriptor, left, offset)):
                pieces.append(piece)
                offset += len(piece)
                left -= len(piece)
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        finally:
            os.close(descriptor)

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """Walk the tree without following links; leases are no objects.

        A folder that is empty, because whoever was emptying it was killed, is listed with a slash at its end:
        what nobody sees nobody cleans up.
        """
        base = self._path(prefix) if prefix else self.root
        if prefix and os.path.islink(base):
            yield Stat(path=prefix, size=0, regular=False)
            return
        pending = [(base, prefix)]  # not recursive: a hostile tree is deeper than Python calls go
        while pending:
            folder, path = pending.pop()
            try:
                entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
            except FileNotFoundError:
                continue
            if not entries and path:
                yield Stat(path=f"{path}/", size=0, regular=False)
            for entry in entries:
                name = f"{path}/{entry.name}" if path else entry.name
                if entry.is_dir(follow_symlinks=False):
                    if name != LEASES:
                        pending.append((entry.path, name))
                    continue
                with contextlib.suppress(FileNotFoundError):  # deleted since
                    found = entry.stat(follow_symlinks=False)
                    yield Stat(path=name, size=found.st_size, regular=stat.S_ISREG(found.st_mode))

    def stat(self, path: str) -> Stat:
        """Tell about a file, a link itself where it is one."""
        found = os.lstat(self._path(path))
        return Stat(path=path, size=found.st_size, regular=stat.S_ISREG(found.st_mode))

    def delete(self, path: str) -> None:
        """Remove a file, a link or an empty folder, then the folders that are left empty; the barrier syncs that."""
        target = self._path(path)
        folder = os.path.dirname(target)
        try:
            os.unlink(target)
        except IsADirectoryError:
            folder = target
        except (FileNotFoundError, NotADirectoryError):
            pass
        with self._lock:
            self._unsynced.discard(target)
        stays = self._prune(folder)
        with self._lock:  # one sync for all that goes from it, instead of one each
            self._unsynced.add(stays)

    def barrier(self) -> None:
        """Fsync every file written, then every folder in which a name was made or removed, innermost first."""
        with self._syncing:  # another run's barrier may have taken our files over: wait until it is done
            with self._lock:
                paths, self._unsynced = self._unsynced, set()
            try:
                for path in sorted(paths, key=lambda path: (os.path.isdir(path), -len(path))):
                    self._sync(path)
            except BaseException:
                with self._lock:
                    self._unsynced |= paths
                raise

    @contextmanager
    def lease(self, name: str, ttl: float = 60.0) -> Iterator[None]:  # noqa: ARG002 (flock ends with its holder)
        """Hold an flock; it ends with the process, however that ends."""
        folder = os.path.join(self.root, LEASES)
        self._make(folder)
        _check_own(folder)
        path = os.path.join(folder, name.replace("/", "_"))
        deadline = time.monotonic() + _PATIENCE
        while True:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _same_file(descriptor, path):
                    break
            except BlockingIOError as error:
                os.close(descriptor)
                if time.monotonic() > deadline:
                    raise LockedError(f"another process is at work on {quote_name(name)}") from error
                time.sleep(_PATIENCE / 10)
                continue
            except BaseException:
                os.close(descriptor)
                raise
            os.close(descriptor)  # the holder before us removed the file: try again with a new one
        try:
            yield
        finally:
            try:
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(path)
            finally:
                os.close(descriptor)
            _remove_dead(folder)

    def _path(self, path: str) -> str:
        """The file of an object, refusing what is outside of the root, also by way of a linked folder."""
        full = os.path.normpath(os.path.join(self.root, path))
        if not full.startswith(self.root.rstrip("/") + "/") or "\0" in path:
            raise UsageError(f"{quote_name(path)} is outside of the store")
        folder = os.path.dirname(full)
        inside = os.path.relpath(folder, self.root)
        if os.path.realpath(folder) != os.path.normpath(os.path.join(os.path.realpath(self.root), inside)):
            raise NotADirectoryError(errno.ELOOP, "a folder of its path is a link", path)
        return full

    def _prune(self, folder: str) -> str:
        """Remove a folder and those above it as far as they are empty; return the first that stays."""
        while len(folder) > len(self.root):
            try:
                os.rmdir(folder)
            except FileNotFoundError:
                pass
            except OSError as error:
                if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
                    break
                raise
            with self._lock:
                self._unsynced.discard(folder)
            folder = os.path.dirname(folder)
        return folder

    def _create(self, path: str) -> int:
        """Create a file and its folder, which another process may be removing at this moment, being empty."""
        for attempt in range(100):
            self._make(os.path.dirname(path))
            try:
                return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            except FileNotFoundError:
                if attempt == 99:
                    raise
        raise AssertionError

    def _make(self, folder: str) -> None:
        """Make a folder and those above it, each to be synced into its parent."""
        if os.path.isdir(folder):
            return
        parent = os.path.dirname(folder)
        if parent != folder:
            self._make(parent)
        with contextlib.suppress(FileExistsError, FileNotFoundError):  # made, or its parent removed, by another
            os.mkdir(folder, 0o700)
            with self._lock:
                self._unsynced.add(parent)

    def _sync(self, path: str) -> None:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return  # deleted since: nothing of it has to last
        try:
            os.fsync(descriptor)
        except OSError as error:
            if error.errno != errno.EINVAL:  # folders of some network file systems
                raise
        finally:
            os.close(descriptor)


def _publish(partial: str, final: str) -> None:
    """Give a finished file its name, unless that is taken."""
    try:
        os.link(partial, final)
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK):
            raise
        # No hard links here (FAT, some network mounts): reserve the name, then rename over the reservation.
        os.close(os.open(final, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        try:
            os.replace(partial, final)
        except BaseException:
            os.unlink(final)  # the name alone would be an empty object
            raise
    else:
        os.unlink(partial)


def _check_own(folder: str) -> None:
    """Refuse a folder of leases that is a link: what lies where it leads to is not ours to lock or remove."""
    if not stat.S_ISDIR(os.lstat(folder).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "not a folder", folder)


def _remove_dead(leases: str) -> None:
    """Remove the files of leases whose holders were killed; a lease is an empty file."""
    for name in os.listdir(leases):
        with contextlib.suppress(OSError):  # held, gone, or not ours to remove
            path = os.path.join(leases, name)
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                found = os.fstat(descriptor)
                if stat.S_ISREG(found.st_mode) and not found.st_size and _same_file(descriptor, path):
                    os.unlink(path)
            finally:
                os.close(descriptor)


def _same_file(descriptor: int, path: str) -> bool:
    try:
        found = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(found, os.fstat(descriptor))
