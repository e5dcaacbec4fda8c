"""The place of a target: what may be written there, and what its file system can."""

import errno
import logging
import os
import stat

from holdfast.api import (
    CredentialsError,
    HoldfastError,
    UnreachableError,
    UnsafeError,
    check_folder,
    file_kind,
    os_error_text,
    quote_name,
    sync_path,
    write_refusal,
)
from holdfast_sqlite.files import free_bytes, lacks_inodes
from holdfast_sqlite.layers import shown_at
from holdfast_sqlite.mounts import describe, mounts

log = logging.getLogger("holdfast.sqlite")

_LONGEST = 510  # bytes: MAX_PATHNAME of SQLite's os_unix.c, less its end
_TEMPORARY = 46  # bytes of the name of an image with `-journal`
_NO_ACCESS = (errno.EACCES, errno.EPERM, errno.EROFS)
_DOCKER = (
    "Docker makes a folder where a file that is to be mounted does not exist: remove it, and restore where it is not"
)


def check_place(path: str) -> os.stat_result | None:
    """Make sure that a file can be put at a real path; what is there now, or None."""
    folder = os.path.dirname(path)
    check_folder(folder)
    _check_layer(folder)
    if (size := max(len(os.fsencode(path)), len(os.fsencode(folder)) + _TEMPORARY)) > _LONGEST:
        raise UnreachableError(
            f"the path of {quote_name(os.path.basename(path))} is too long: with what is made beside it it has {size} "
            f"bytes, and SQLite opens no path of more than {_LONGEST}"
        )
    try:
        status = os.lstat(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnreachableError(f"{quote_name(path)} cannot be reached: {os_error_text(error)}") from error
    if not stat.S_ISREG(status.st_mode):
        hint = _DOCKER if stat.S_ISDIR(status.st_mode) else None
        raise UnsafeError(
            f"{quote_name(path)} exists and is not a regular file but {file_kind(status.st_mode)}", hint=hint
        )
    _check_file(path, status, os.stat(folder))
    return status


def _check_layer(folder: str) -> None:
    """An overlay may show anything, the old file or the new, once its upper layer was changed below it."""
    if (name := shown_at(folder)) is not None:
        raise UnsafeError(
            f"the folder {quote_name(folder)} of the target is in a layer of an overlay that is mounted, and must not "
            "be changed below it",
            hint=f"restore to {describe(name)}, or stop the container first",
        )


def _check_file(path: str, status: os.stat_result, folder: os.stat_result) -> None:
    """Refuse early what would be refused once the new database has been made."""
    if not os.access(path, os.W_OK):
        raise CredentialsError(f"{quote_name(path)} cannot be written: {write_refusal(path)}")
    if folder.st_mode & stat.S_ISVTX and os.geteuid() not in (0, status.st_uid, folder.st_uid):
        raise CredentialsError(
            f"{quote_name(path)} cannot be replaced: it belongs to another user, and in a folder such as /tmp (sticky) "
            "nobody else may do that",
            hint="restore as its owner or as root",
        )


def write_error(path: str, error: OSError, *, needed: int = 0, hint: str | None = None) -> HoldfastError:
    """What it means that a file beside `path` cannot be written; `needed` are the bytes that it was to have."""
    reason = "no file can be made there" if error.errno == errno.ENOENT else os_error_text(error)
    text = f"cannot write beside {quote_name(path)}: {reason}"
    if error.errno == errno.ENOSPC and lacks_inodes(os.path.dirname(path)):
        text = f"cannot write beside {quote_name(path)}: no inode is left there for another file"
    elif error.errno in (errno.ENOSPC, errno.EDQUOT):
        free = free_bytes(os.path.dirname(path)) if error.errno == errno.ENOSPC else None
        numbers = [f"{needed} bytes are needed"] if needed else []
        numbers += [f"{free} bytes are free"] if free is not None else []
        text += f" ({', '.join(numbers)})" if numbers else ""
    return (CredentialsError if error.errno in _NO_ACCESS else HoldfastError)(text, hint=hint)


def reserve(descriptor: int, folder: str, size: int) -> None:
    """Take the space of a file before anything is written, where the file system can; `OSError` if there is not enough.

    Of ZFS "no space left" is believed only if it has said the same of its free space: it reserves more than asked for.
    """
    free = free_bytes(folder)
    if free is not None and free < size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if not hasattr(os, "posix_fallocate"):
        return
    try:
        os.posix_fallocate(descriptor, 0, size)
    except OSError as error:
        if error.errno in (errno.EDQUOT, errno.EFBIG, errno.EIO):
            raise
        log.info("no space can be reserved in %s: %s", quote_name(folder), os_error_text(error))


def sync_folder(path: str) -> list[str]:
    """Wait until the name of a file is on its medium; what has to be said if that is not certain.

    A folder may be one that cannot be read, and many network file systems know no fsync of folders.
    """
    try:
        sync_path(os.path.dirname(path))
    except OSError as error:
        doubt = f"its folder could not be synced ({os_error_text(error)}): a power failure may bring the old file back"
        return [f"{quote_name(path)} is restored, but {doubt}"]
    return []


def is_mounted(path: str) -> bool:
    """Whether a file is a mount by itself, as containers have them: then nothing can be renamed over it."""
    return any(mount.point == path for mount in mounts())
