"""A folder as storage: objects are files, visible only when whole, private to their owner."""

import contextlib
import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from operator import attrgetter
from typing import Self

from holdfast.api import Stat, temporary_path
from holdfast.errors import UsageError, cleaning_up, os_error_text, quote_name
from holdfast.filesystem import sync_descriptor, sync_path
from holdfast.store._leases import LEASES, hold_lease
from holdfast.store._partial import FileWriter, naming, publish, remove_empty, rename_folder, share
from holdfast.store.likely_path import check_likely
from holdfast.store.names import CLAIM, MANIFEST, MARKER
from holdfast.url import DatabaseURL

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
# These are small and are believed as soon as they have their name: after a loss of power an empty one would be a
# damaged backup, a name that nobody can use, or a store that nobody can open. All else waits for the barrier.
_SYNCED_FIRST = frozenset({MANIFEST, MARKER, CLAIM})


class FolderStorage:
    """Objects as files below `root`, with mode 0600 in folders with 0700; see `share` for others' rights."""

    def __init__(self, root: str) -> None:
        self.root = self.folder = os.path.abspath(root)
        self._unsynced: set[str] = set()
        self._above = ("", self.root)  # the folder of the last fingerprint, in the store and on the disk
        self._lock = threading.Lock()
        self._syncing = threading.Lock()

    @classmethod
    def at(cls, url: str) -> Self:
        """Open the folder at a path or `file:///path` URL."""
        if "://" in url:
            parsed = DatabaseURL.parse(url)
            if parsed.hosts or parsed.query or not parsed.path:
                raise UsageError(f"not a folder: {quote_name(url)}, expected file:///absolute/path")
            return cls(check_likely(parsed.path))
        if not url or "\0" in url:
            raise UsageError("the store's path is empty or holds a NUL byte")
        return cls(check_likely(os.path.expanduser(url)))

    @property
    def location(self) -> str:
        """The absolute path."""
        return self.root

    @contextmanager
    def writer(self, path: str) -> Iterator[FileWriter]:
        """Write to a temporary name in the same folder and link it there at a clean exit."""
        final = self._path(path)
        folder, partial = os.path.dirname(final), temporary_path(final)
        with naming(partial, final):
            descriptor = self._create(partial)
        writer = FileWriter(descriptor, final)
        try:
            try:
                yield writer
                if os.path.basename(final) in _SYNCED_FIRST:
                    sync_descriptor(descriptor, final)
            finally:
                writer.close()
            publish(partial, final)
        except BaseException as error:
            with cleaning_up(error, f"could not remove {quote_name(partial)}"):
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
            status = os.fstat(descriptor)
            if not stat.S_ISREG(status.st_mode):
                raise IsADirectoryError(errno.EISDIR, "not a regular file", path)
            rest = max(0, status.st_size - offset)  # also what sets the memory for it
            return _read_fully(descriptor, offset, rest if length is None else min(length, rest))
        finally:
            os.close(descriptor)

    def list(self, prefix: str = "") -> Iterator[Stat]:
        """Walk the tree without following links; leases are no objects."""
        return self.walk(prefix, lambda _: True)

    def walk(self, prefix: str, enter: Callable[[str], bool]) -> Iterator[Stat]:
        """Walk those folders of the tree that `enter` wants, without following links.

        A folder that is empty, because whoever was emptying it was killed, is listed with a slash at its end:
        what nobody sees nobody cleans up. So is one that cannot be read, with its problem.
        """
        return _walk(self._path(prefix) if prefix else self.root, prefix, enter)

    def names(self, folder: str) -> Iterator[str]:
        """The folders in a folder, without following links."""
        place = self._path(folder) if folder else self.root
        if os.path.islink(place):
            return
        with contextlib.suppress(FileNotFoundError, NotADirectoryError), os.scandir(place) as entries:
            folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
            yield from (name for name in folders if folder or name != LEASES)

    def fingerprint(self, folder: str) -> str:
        """The names and sizes of all files in a folder, and which file the manifest is: one look at each, no more."""
        above, _, name = folder.rpartition("/")
        with contextlib.suppress(OSError):
            if above != self._above[0]:  # the same for thousands
                self._above = above, self._path(above) if above else self.root
            return _fingerprint(self._above[1], name)
        return ""

    def stat(self, path: str) -> Stat:
        """Tell about a file, a link itself where it is one."""
        status = os.lstat(self._path(path))
        return Stat(path=path, size=status.st_size, regular=stat.S_ISREG(status.st_mode))

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

    def rename(self, old: str, new: str) -> None:
        """Rename a folder; the barrier makes that durable."""
        source, target = self._path(old), self._path(new)
        self.barrier()  # what waits for it would not be found under its old name
        rename_folder(source, target)
        with self._lock:
            self._unsynced |= {os.path.dirname(source), os.path.dirname(target)}

    def barrier(self) -> None:
        """Fsync every file written, then every folder in which a name was made or removed, innermost first."""
        with self._syncing:  # another run's barrier may have taken our files over: wait until it is done
            with self._lock:
                paths, self._unsynced = self._unsynced, set()
            try:
                for path in sorted(paths, key=lambda path: (os.path.isdir(path), -len(path))):
                    sync_path(path)
            except BaseException:
                with self._lock:
                    self._unsynced |= paths
                raise

    def lease(self, name: str, ttl: float = 60.0) -> AbstractContextManager[None]:  # noqa: ARG002 (see below)
        """Hold an flock; it ends with the process, however that ends."""
        return self._hold(name, shared=False)

    def shared_lease(self, name: str, ttl: float = 60.0) -> AbstractContextManager[None]:  # noqa: ARG002 (see below)
        """Hold an flock that others share."""
        return self._hold(name, shared=True)

    @contextmanager
    def _hold(self, name: str, *, shared: bool) -> Iterator[None]:
        folder = os.path.join(self.root, LEASES)
        self._make(folder)
        with hold_lease(folder, name, shared=shared):
            yield

    def _path(self, path: str) -> str:
        """The file of an object, refusing what is outside of the root, also by way of a linked folder."""
        full = os.path.normpath(os.path.join(self.root, path))
        if not full.startswith(self.root.rstrip("/") + "/") or "\0" in path:
            raise UsageError(f"{quote_name(path)} is outside of the store")
        place = self.root.rstrip("/")  # of thousands of files each would have the folders above it looked at too
        for name in os.path.dirname(full).removeprefix(place).split("/")[1:]:
            place += f"/{name}"
            if os.path.islink(place):
                raise NotADirectoryError(errno.ELOOP, "a folder of its path is a link", path)
        return full

    def _prune(self, folder: str) -> str:
        """Remove a folder and those above it as far as they are empty; return the first that stays."""
        while len(folder) > len(self.root) and remove_empty(folder):
            with self._lock:
                self._unsynced.discard(folder)
            folder = os.path.dirname(folder)
        return folder

    def _create(self, path: str) -> int:
        """Create a file and its folder, which another process may be removing at this moment, being empty."""
        for attempt in range(100):
            self._make(os.path.dirname(path))
            try:
                return share(os.open(path, _NEW, 0o600), path, self.root)
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
            share(folder, folder, self.root)
            with self._lock:
                self._unsynced.add(parent)


def _read_fully(descriptor: int, offset: int, length: int) -> bytes:
    """So many bytes, or all until the end of the file: a read may return fewer."""
    pieces = []
    while length > 0 and (piece := os.pread(descriptor, length, offset)):
        pieces.append(piece)
        offset += len(piece)
        length -= len(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def _walk(base: str, prefix: str, enter: Callable[[str], bool]) -> Iterator[Stat]:
    if prefix and os.path.islink(base):
        yield Stat(path=prefix, size=0, regular=False)
        return
    pending = [(base, prefix)]  # not recursive: a hostile tree is deeper than Python calls go
    while pending:
        folder, path = pending.pop()
        try:
            stats, folders = _look_into(folder, path)
        except FileNotFoundError:
            continue
        except OSError as error:
            if not path:
                raise
            yield Stat(path=f"{path}/", size=0, regular=False, problem=os_error_text(error))
            continue
        if not stats and not folders and path:
            yield Stat(path=f"{path}/", size=0, regular=False)
        yield from stats
        pending += [(place, name) for place, name in folders if name != LEASES and enter(name)]


def _look_into(folder: str, path: str) -> tuple[list[Stat], list[tuple[str, str]]]:
    """The files of a folder, which is `path` in the store, and the places and paths of the folders in it."""
    stats, folders = [], []
    above = f"{path}/" if path else ""
    for entry in sorted(os.scandir(folder), key=attrgetter("name")):
        name = entry.name
        if entry.is_dir(follow_symlinks=False):
            folders.append((entry.path, above + name))
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:  # deleted since
            continue
        # Asked for of what is cached alone, and for all files it would take as long as all the rest of this.
        version = f"{status.st_ino} {status.st_mtime_ns}" if name == MANIFEST else ""
        regular = stat.S_ISREG(status.st_mode)
        stats.append(Stat(path=above + name, size=status.st_size, regular=regular, version=version))
    return stats, folders


def _fingerprint(above: str, name: str) -> str:
    return "" if name in ("", ".", "..") else "\n".join(sorted(_marks(f"{above}/{name}", "")))


def _marks(folder: str, above: str) -> list[str]:
    """A line for each file in a folder and those below; what a walk would tell of by itself is an `OSError`."""
    marks = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_file(follow_symlinks=False):
                status = entry.stat(follow_symlinks=False)
                name = above + entry.name
                file = f"{status.st_ino} {status.st_mtime_ns}" if name == MANIFEST else ""
                marks.append(f"{name}/{status.st_size}/{file}")
            elif entry.is_dir(follow_symlinks=False):
                marks += _marks(entry.path, f"{above}{entry.name}/")
            else:
                raise IsADirectoryError(errno.EISDIR, "not a regular file", entry.path)
    if not marks:
        raise FileNotFoundError(errno.ENOENT, "an empty folder", folder)
    return marks
