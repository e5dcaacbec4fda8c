"""Leases in a folder: files that their holders lock, so that a lease ends with its process, however that ends.

Some mounts grant locks without asking their server, and nobody sees those of another host there. So the lease of a
backup holds the name of its holder's host, and for a day no other host takes it for dead.
"""

import contextlib
import errno
import fcntl
import os
import re
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from holdfast.decodable import decodable
from holdfast.errors import LockedError, quote_name
from holdfast.filesystem import making
from holdfast.host import Host, this_host
from holdfast.store.names import ID

LEASES = ".leases"
# Seconds for which a lease that is held is tried again: whoever looks for dead leases (`_remove_dead`) holds each of
# them, also one just made, for some microseconds. A holder at work keeps it for far longer.
_PATIENCE = 0.05
_OF_BACKUP = re.compile(rf"(reading-)?{ID.pattern}")
_FORGOTTEN = 24 * 3600.0  # seconds after which what another host has left is dead
_LONGEST = 4096  # bytes of what a holder leaves in its lease


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
                if _OF_BACKUP.fullmatch(name):
                    _sign(descriptor, name, alone=kind == fcntl.LOCK_EX)
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


def _sign(descriptor: int, name: str, *, alone: bool) -> None:
    """Leave our host's name in a lease; `LockedError` if it is wanted alone and another host's is in it."""
    if alone and (other := _other_host(descriptor)):
        raise LockedError(
            f"a process on host {quote_name(other.name)} is at work on {quote_name(name)}, or was killed within a day"
        )
    with contextlib.suppress(OSError):  # a full store has no room for it
        content = msgspec.json.encode(_here())
        os.pwrite(descriptor, content, 0)
        os.ftruncate(descriptor, len(content))


def _other_host(descriptor: int) -> Host | None:
    """The host in a lease if that is another than ours and has held it lately."""
    try:
        host = msgspec.json.decode(os.pread(descriptor, _LONGEST, 0), type=decodable(Host))
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    here = _here()
    is_ours = host.is_same(here) or host.is_passing or here.is_passing
    return None if is_ours or time.time() - os.fstat(descriptor).st_mtime > _FORGOTTEN else host


def _here() -> Host:
    return this_host(environ={})  # not as it was told: the hosts of one name may be many


def _check_own(folder: str) -> None:
    """Refuse a folder of leases that is a link: what lies where it leads to is not ours to lock or remove."""
    if not stat.S_ISDIR(os.lstat(folder).st_mode):
        raise NotADirectoryError(errno.ENOTDIR, "not a folder", folder)


def _remove_dead(leases: str) -> None:
    """Remove the files of leases whose holders were killed."""
    for name in os.listdir(leases):
        with contextlib.suppress(OSError):  # held, gone, or not ours to remove
            path = os.path.join(leases, name)
            descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if _is_dead(descriptor, name) and _same_file(descriptor, path):
                    os.unlink(path)
            finally:
                os.close(descriptor)


def _is_dead(descriptor: int, name: str) -> bool:
    """Whether a file that nobody has locked is a lease: empty, or that of a backup."""
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode):
        return False
    return not status.st_size or bool(_OF_BACKUP.fullmatch(name) and not _other_host(descriptor))


def _same_file(descriptor: int, path: str) -> bool:
    try:
        status = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return os.path.samestat(status, os.fstat(descriptor))
