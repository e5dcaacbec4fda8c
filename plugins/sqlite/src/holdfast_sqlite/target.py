"""The file that a restore goes to: what it is now, who uses it, and how another one takes its place."""

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import secrets
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from holdfast.api import (
    CredentialsError,
    HoldfastError,
    LockedError,
    RestoreRequest,
    UnreachableError,
    UnsafeError,
    os_error_text,
    quote_name,
)
from holdfast_sqlite.errors import WAIT_LONGER, error_class
from holdfast_sqlite.holders import holders
from holdfast_sqlite.location.path import database_path
from holdfast_sqlite.location.uri import sqlite_uri
from holdfast_sqlite.session import Child

SIDE_FILES = ("-wal", "-shm", "-journal")
_PATIENCE = 1.0  # seconds to wait for somebody who has the target open before it counts as in use
_STOP = "stop the programs that have it open, or use --live to restore into it while they run"


class Target:
    """A database file, there or not; `image` is the temporary file beside it which is to take its place."""

    def __init__(self, path: str, *, lock_timeout: float) -> None:
        # A link stays a link: the file that it leads to is replaced.
        self.path = os.path.realpath(path)
        # Not the name itself with something behind it: a name may have all of the 255 bytes that file systems allow.
        folder, name = os.path.split(self.path)
        self._mark = f".holdfast-{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}-"
        self.image = os.path.join(folder, f"{self._mark}{secrets.token_hex(6)}")
        self.warnings: list[str] = []
        self._descriptor: int | None = None
        self._lock_timeout = lock_timeout
        self._previous = self._look()

    @classmethod
    def of(cls, request: RestoreRequest) -> Self:
        """The target of a request; refused where no file could be put."""
        return cls(database_path(request.url), lock_timeout=request.options.lock_timeout)

    def _look(self) -> os.stat_result | None:
        folder = os.path.dirname(self.path)
        if not os.path.isdir(folder):
            raise UnreachableError(
                f"the folder {quote_name(folder)} of the target does not exist", hint="create it first"
            )
        if not os.access(folder, os.W_OK | os.X_OK):
            raise CredentialsError(
                f"the folder {quote_name(folder)} of the target cannot be written: permission denied"
            )
        try:
            status = os.lstat(self.path)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise UnreachableError(f"{quote_name(self.path)} cannot be reached: {os_error_text(error)}") from error
        if not stat.S_ISREG(status.st_mode):
            raise UnsafeError(f"{quote_name(self.path)} exists and is not a regular file")
        return status

    @property
    def exists(self) -> bool:
        """Whether there was a file when the restore began."""
        return self._previous is not None

    def claim(self) -> None:
        """Make the temporary file and lock it, which tells a running restore from a killed one; sweep those away."""
        self._sweep()
        self._descriptor = os.open(self.image, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with contextlib.suppress(OSError):  # a file system without locks: then nothing sweeps either
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    def _sweep(self) -> None:
        """Remove what restores into the same target have left that were killed: files that nobody holds locked."""
        image = re.compile(re.escape(self._mark) + "[0-9a-f]{12}")
        folder = os.path.dirname(self.path)
        for name in filter(image.fullmatch, os.listdir(folder)):
            path = os.path.join(folder, name)
            with contextlib.suppress(OSError):  # a restore that runs, or a file of somebody else
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _remove(path)
                finally:
                    os.close(descriptor)

    def abandon(self) -> None:
        """Remove the temporary file, if it is still there, and whatever SQLite may have put beside it."""
        for suffix in ("", *SIDE_FILES):
            _remove(self.image + suffix)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def holds_data(self, scratch: Path) -> bool:
        """Whether the file is anything but an empty database."""
        if self._previous is None:
            return False
        if not os.access(self.path, os.R_OK):
            return True
        with Child(
            "probe", scratch=scratch, path=self.path, uri=sqlite_uri(self.path, "ro"), lock_timeout=_PATIENCE
        ) as child:
            message = child.receive()
            return message["event"] != "probed" or bool(message["data"])

    def refuse_in_use(self, *, besides: tuple[int, ...] = ()) -> None:
        """Refuse a target that some process has open: it would go on with a file that is no longer there."""
        pids = holders(self.path, besides=besides)
        if pids:
            raise UnsafeError(f"{quote_name(self.path)} is in use by {_processes(pids)}", hint=_STOP)

    def replace(self, scratch: Path) -> None:
        """Put the image in the target's place, with its mode, owner and attributes."""
        self._dress()
        if self._previous is None:
            self._publish_new()
        else:
            self._swap(scratch)
        _sync_folder(self.path)

    def _dress(self) -> None:
        """Give the image the mode, owner and attributes of the file that it replaces."""
        if self._previous is None:
            os.chmod(self.image, 0o666 & ~_umask())
            return
        try:
            os.chown(self.image, self._previous.st_uid, self._previous.st_gid)
        except PermissionError:
            image = os.stat(self.image)
            if (image.st_uid, image.st_gid) != (self._previous.st_uid, self._previous.st_gid):
                self.warnings.append(f"{quote_name(self.path)} belonged to another user, and now belongs to this one")
        os.chmod(self.image, stat.S_IMODE(self._previous.st_mode))
        if hasattr(os, "listxattr"):  # access control lists and security labels, where the file system has them
            with contextlib.suppress(OSError):
                for name in os.listxattr(self.path):
                    os.setxattr(self.image, name, os.getxattr(self.path, name))

    def _swap(self, scratch: Path) -> None:
        """Rename over the old file while nobody can begin to use it."""
        uri = sqlite_uri(self.path, "rw")
        with Child("hold", scratch=scratch, path=self.path, uri=uri, lock_timeout=_PATIENCE) as child:
            message = child.receive()
            if message["event"] == "error":
                raise self._not_held(str(message["kind"]), str(message["text"]), child.pid)
            try:
                self.refuse_in_use(besides=(child.pid,))
                with self._aside():
                    os.rename(self.image, self.path)
            except BaseException:
                child.send("undo")
                if message["database"]:
                    child.receive()
                raise
            child.send("release")

    def _not_held(self, kind: str, text: str, ours: int) -> HoldfastError:
        error = error_class(kind)
        if error is LockedError:
            users = holders(self.path, besides=(ours,))
            by = f" by {_processes(users)}" if users else f": {text}"
            return UnsafeError(f"{quote_name(self.path)} is in use{by}", hint=_STOP)
        return error(f"cannot replace {quote_name(self.path)}: {text}")

    @contextlib.contextmanager
    def _aside(self) -> Iterator[None]:
        """Keep stale side files out of the way: gone once the new file is there, back where they were otherwise."""
        moved = []
        try:
            for suffix in SIDE_FILES:
                try:
                    os.rename(self.path + suffix, f"{self.image}.old{suffix}")
                    moved.append(suffix)
                except OSError as error:
                    if error.errno not in (errno.ENOENT, errno.ENAMETOOLONG):  # no file has a name that is too long
                        raise
            yield
        except BaseException:
            for suffix in moved:
                os.rename(f"{self.image}.old{suffix}", self.path + suffix)
            raise
        for suffix in moved:
            os.unlink(f"{self.image}.old{suffix}")

    def _publish_new(self) -> None:
        """Link the image to a name that was free, so that a file made meanwhile is not overwritten."""
        with self._aside():
            try:
                os.link(self.image, self.path)
            except FileExistsError as error:
                raise UnsafeError(f"{quote_name(self.path)} was created by another process meanwhile") from error
            except OSError:
                os.rename(self.image, self.path)  # no hard links on this file system
            else:
                os.unlink(self.image)

    def copy_live(self, scratch: Path) -> None:
        """Copy the image into the target as one transaction, which its users see like any other."""
        if not os.path.getsize(self.image):
            raise UnsafeError(
                "the backup is of an empty file, and cannot be copied into a database in use",
                hint="stop the programs that use it, and use --replace",
            )
        uri = sqlite_uri(self.path, "rw")
        with Child("live", scratch=scratch, uri=uri, image=self.image, lock_timeout=self._lock_timeout) as child:
            message = child.receive()
            if message["event"] == "error":
                error = error_class(str(message["kind"]))
                hint = message["hint"] or (WAIT_LONGER if error is LockedError else None)
                raise error(f"cannot restore into {quote_name(self.path)}: {message['text']}", hint=hint)


def _processes(pids: list[int]) -> str:
    named = ", ".join(str(pid) for pid in pids[:10])
    return f"process {named}" if len(pids) == 1 else f"processes {named}{' and more' if len(pids) > 10 else ''}"


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current


def _sync_folder(path: str) -> None:
    descriptor = os.open(os.path.dirname(path), os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
