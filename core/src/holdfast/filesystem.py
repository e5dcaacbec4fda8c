"""What file systems cannot do that programs expect of them: tried, and done otherwise or left out where it may be.

FAT, exFAT, NFS, SMB, 9p, FUSE and others refuse the same call with very different errors, so that only those are
believed which say that something is lost or full; any other one means that the file system cannot do it.
"""

import errno
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager

from holdfast.errors import NO_INODES, os_error_text, quote_name

log = logging.getLogger("holdfast.filesystem")

LOST = frozenset({errno.EIO, errno.ENOSPC, errno.EDQUOT})  #: what says that something is lost, or full
_KINDS = {
    stat.S_IFREG: "a regular file",
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a named pipe",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFLNK: "a link that leads to itself",
}


def file_kind(mode: int) -> str:
    """What `st_mode` of a file says that it is, such as `a folder`; links are those that were not followed."""
    return _KINDS.get(stat.S_IFMT(mode), "something else")


def free_bytes(folder: str) -> int | None:
    """Bytes that this user may still write; None where that cannot be told.

    A mount of a cloud's storage has no number of blocks, and says that none is free.
    """
    try:
        state = os.statvfs(folder)
    except OSError as error:
        log.info("the file system of %s does not tell what is free: %s", quote_name(folder), os_error_text(error))
        return None
    return state.f_bavail * state.f_frsize if state.f_blocks else None


@contextmanager
def making(path: str) -> Iterator[None]:
    """Let the error of making a file or folder say whether inodes are what is lacking.

    The system has one number for that and for a full disk, on which `df` then shows gigabytes that are free. It is
    looked for at once: the cleaning up gives inodes back.
    """
    try:
        yield
    except OSError as error:
        if error.errno == errno.ENOSPC and _has_no_inode(path):
            error.strerror = NO_INODES
        raise


def _has_no_inode(path: str) -> bool:
    folder = os.path.dirname(os.path.abspath(path))
    while not os.path.isdir(folder):
        folder = os.path.dirname(folder)
    try:
        state = os.statvfs(folder)
    except OSError:
        return False
    return bool(state.f_files and not state.f_favail)


def sync_path(path: str) -> None:
    """Wait until a file, or the names in a folder, are on the medium, as far as the file system knows of that.

    `OSError` if they are lost; what does not exist (any more) is nothing to wait for. A folder that cannot be read
    cannot be synced.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    except OSError as error:
        if error.errno in LOST or not os.path.isdir(path):
            raise
        log.info("cannot sync the folder %s: %s", quote_name(path), os_error_text(error))
        return
    try:
        sync_descriptor(descriptor, path)
    finally:
        os.close(descriptor)


def sync_descriptor(descriptor: int, path: str) -> None:
    """Wait until an open file is on the medium, as far as the file system knows of that; `OSError` if it is lost."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno in LOST:
            raise
        log.info("the file system knows no fsync of %s: %s", quote_name(path), os_error_text(error))


def give_name(made: str, name: str) -> None:
    """Give a finished file its name, unless that is taken, which is a `FileExistsError`; `made` is gone then.

    By a hard link where there are any; else the name is reserved, and the file renamed over the reservation.
    """
    try:
        os.link(made, name)
    except OSError as error:
        if _is_same(made, name):  # over NFS, a call that was repeated can fail with what the first one did
            log.info("a link of %s succeeded though it failed: %s", quote_name(name), os_error_text(error))
        elif isinstance(error, FileExistsError):
            raise
        else:
            _reserve_and_rename(made, name)
            return
    try:
        os.unlink(made)
    except OSError as error:  # it has its name by now
        log.warning("%s is left over, remove it: %s", quote_name(made), os_error_text(error))


def _reserve_and_rename(made: str, name: str) -> None:
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    try:
        os.replace(made, name)
    except BaseException:
        os.unlink(name)  # the name alone would be an empty file
        raise


def _is_same(made: str, name: str) -> bool:
    try:
        return os.path.samestat(os.lstat(made), os.lstat(name))
    except OSError:
        return False
