"""Restore: the image is written beside the target, checked, and takes its place in one rename."""

import contextlib
import fcntl
import os
import re
import secrets
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.api import (
    Blob,
    HoldfastError,
    IntegrityError,
    RestoreRequest,
    Step,
    UnreachableError,
    UnsafeError,
    reason,
    shown,
)
from holdfast_sqlite.check import database_error, quick_check
from holdfast_sqlite.location import database_path, sqlite_uri

_SIDE_FILES = ("-wal", "-shm", "-journal")
_MARK = ".holdfast-"


class FileRestore:
    """One restore into a file; nothing but a temporary file beside it is touched before `commit`."""

    def __init__(self, path: str, request: RestoreRequest) -> None:
        self._request = request
        # A link stays a link: the file that it leads to is replaced.
        self._target = os.path.realpath(path)
        self._image = f"{self._target}{_MARK}{secrets.token_hex(6)}"
        self._descriptor: int | None = None  # held locked, which tells a running restore from a killed one
        self._previous = _existing(self._target)
        self.steps = tuple(Step(stream=stream.name) for stream in request.streams)

    def load(self, step: Step, blob: Blob) -> None:
        """Write the image to the temporary file, its space reserved first: a full disk is found out early."""
        del step
        try:
            descriptor = os.open(self._image, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            self._descriptor = descriptor
            with contextlib.suppress(OSError):  # a file system without locks: then nothing sweeps either
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if blob.stream.size:
                os.posix_fallocate(descriptor, 0, blob.stream.size)
            for chunk in blob.chunks():
                view = memoryview(chunk)
                while view:
                    view = view[os.write(descriptor, view) :]
            os.fsync(descriptor)
        except OSError as error:
            raise HoldfastError(f"cannot write beside {shown(self._target)}: {reason(error)}") from error

    def commit(self) -> None:
        """Check the image and let it take the target's place."""
        if self._request.check:
            self._check_image()
        if self._previous is not None:
            with contextlib.suppress(PermissionError):  # somebody else's file: it becomes ours
                os.chown(self._image, self._previous.st_uid, self._previous.st_gid)
            os.chmod(self._image, stat.S_IMODE(self._previous.st_mode))
            _retire(self._target)
            os.rename(self._image, self._target)
        else:
            os.chmod(self._image, 0o666 & ~_umask())
            self._publish_new()
        _sync_folder(self._target)

    def _publish_new(self) -> None:
        """Link the image to a name that was free, so that a file made meanwhile is not overwritten."""
        for suffix in _SIDE_FILES:
            _remove(self._target + suffix)
        try:
            os.link(self._image, self._target)
        except FileExistsError as error:
            raise UnsafeError(f"{shown(self._target)} was made by somebody else meanwhile") from error
        except OSError:
            os.rename(self._image, self._target)  # no hard links on this file system
        else:
            os.unlink(self._image)

    def _check_image(self) -> None:
        problems = quick_check(sqlite_uri(self._image, "ro").removeprefix("file:").partition("?")[0])
        if problems and not self._request.allow_damaged:
            raise IntegrityError(
                f"the restored image is damaged: {problems[0]}", hint="--no-check restores it as it is"
            )

    def close(self) -> None:
        """Remove the temporary file, if it is still there."""
        _remove(self._image)
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None


def _existing(target: str) -> os.stat_result | None:
    try:
        return os.stat(target)
    except FileNotFoundError:
        return None


def _retire(target: str) -> None:
    """Make the old database let go of its side files: they would be replayed into the new one.

    Taking the write lock and leaving WAL mode checkpoints and removes them; whoever has the database open makes
    that fail, and then it must not be replaced under them.
    """
    try:
        connection = sqlite3.connect(sqlite_uri(target, "rw"), uri=True, timeout=0, isolation_level=None)
        try:
            mode = connection.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
            if mode != "delete":
                raise UnsafeError(f"{shown(target)} is in use")
        finally:
            connection.close()
    except sqlite3.Error as error:
        if getattr(error, "sqlite_errorname", "") not in ("SQLITE_NOTADB", "SQLITE_CORRUPT"):
            raise UnsafeError(
                f"{shown(target)} is in use: {error}", hint="stop the programs that have it open"
            ) from database_error(error, target)
    for suffix in _SIDE_FILES:
        _remove(target + suffix)


def _sweep(target: str) -> None:
    """Remove what restores into the same target have left that were killed: files that nobody holds locked."""
    image = re.compile(re.escape(os.path.basename(target) + _MARK) + "[0-9a-f]{12}")
    folder = os.path.dirname(target)
    for name in filter(image.fullmatch, os.listdir(folder)):
        path = os.path.join(folder, name)
        with contextlib.suppress(OSError):  # a restore that runs, or a file of somebody else
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(path)
            finally:
                os.close(descriptor)


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)


def _umask() -> int:
    current = os.umask(0o077)
    os.umask(current)
    return current


def _sync_folder(path: str) -> None:
    descriptor = os.open(os.path.dirname(path) or ".", os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def holds_data(path: str) -> bool:
    """Whether a file is anything but an empty database."""
    if not os.path.getsize(path):
        return os.path.exists(f"{path}-wal") and os.path.getsize(f"{path}-wal") > 0
    try:
        connection = sqlite3.connect(sqlite_uri(path, "ro"), uri=True, timeout=5)
        try:
            return bool(connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0])
        finally:
            connection.close()
    except sqlite3.Error:
        return True  # not a database, or locked: certainly not ours to overwrite


@contextmanager
def open_restore(request: RestoreRequest) -> Iterator[FileRestore]:
    """Check the target at `request.url` and restore beside it; what is left without `commit` is removed."""
    path = database_path(request.url)
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    if not os.path.isdir(folder):
        raise UnreachableError(f"the folder {shown(folder)} of the target does not exist", hint="make it first")
    if os.path.lexists(target):
        if not os.path.isfile(target):
            raise UnsafeError(f"{shown(target)} exists and is not a regular file")
        if not request.replace and holds_data(target):
            raise UnsafeError(f"{shown(target)} exists and holds data", hint="--replace puts the backup in its place")
    restore = FileRestore(path, request)
    _sweep(target)
    try:
        yield restore
    finally:
        restore.close()
