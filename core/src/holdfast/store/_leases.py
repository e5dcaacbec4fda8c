"""Leases in a folder: files that their holders lock, so that a lease ends with its process, however that ends."""

import contextlib
import errno
import fcntl
import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.errors import LockedError, quote_name
from holdfast.filesystem import making

LEASES = ".leases"
# Seconds for which a lease that is held is tried again: whoever looks for dead leases (`_remove_dead`) holds each of
# them, also one just made, for some microseconds. A holder at work keeps it for far longer.
_PATIENCE = 0.05


@contextmanager
def hold_lease(folder: str, name: str, *, shared: bool = False) -> Iterator[None]:
    """Hold the lease of that name in a folder that is there; `LockedError` if another process holds it.

    Several may hold it `shared`, as long as nobody holds it alone.
    """
    _check_own(folder)
    path = os.path.join(folder, name.replace("/", "_"))
    descriptor = _lock(path, name, fcntl.LOCK_SH if shared else fcntl.LOCK_EX)
    try:
        yield
    finally:
        _release(descriptor, path, shared=shared)
    _remove_dead(folder)


def _release(descriptor: int, path: str, *, shared: bool) -> None:
    """Remove the file of a lease, of several holders the last one; the lock ends with the descriptor in any case."""
    try:
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            if shared:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)
    finally:
        os.close(descriptor)


def _lock(path: str, name: str, kind: int) -> int:
    """Make and lock the file of a lease; the lock ends with its descriptor."""
    deadline = time.monotonic() + _PATIENCE
    while True:
        with making(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
            if _same_file(descriptor, path):
                return descriptor
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
                status = os.fstat(descriptor)
                if stat.S_ISREG(status.st_mode) and not status.st_size and _same_file(descriptor, path):
                    os.unlink(path)
            finally:
                os.close(descriptor)


def _same_file(descriptor: int, path: str) -> bool:
    try:
        status = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(status, os.fstat(descriptor))
