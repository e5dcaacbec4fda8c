"""Files in the making: written under a temporary name, visible under their own only when they are whole."""

import errno
import logging
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TypeVar

from holdfast.api import Chunk
from holdfast.errors import os_error_text
from holdfast.filesystem import give_name, making
from holdfast.store.names import FINDINGS, LABELS, MARKER

_File = TypeVar("_File", int, str)

log = logging.getLogger("holdfast.store")

_WRITEBACK = 8 << 20  # bytes written between two nudges of the kernel


class FileWriter:
    """A file being written that is to have the name `final`; `os.write` may take less than it is given."""

    def __init__(self, descriptor: int, final: str) -> None:
        self._descriptor = descriptor
        self._final = final
        self._written = self._nudged = 0

    def write(self, data: Chunk) -> None:
        """Write all of the bytes."""
        view = memoryview(data)
        while view:
            try:
                count = os.write(self._descriptor, view)
            except OSError as error:
                error.filename = self._final  # a descriptor has no name, and a message needs one
                raise
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


@contextmanager
def naming(partial: str, final: str) -> Iterator[None]:
    """Let errors tell the name that a file is to have, and not the temporary one, which nobody knows."""
    try:
        with making(final):
            yield
    except OSError as error:
        if error.filename == partial:
            error.filename, error.filename2 = final, None
        raise


def publish(partial: str, final: str) -> None:
    """Give a finished file its name, unless that is taken."""
    with naming(partial, final):
        give_name(partial, final)


def remove_empty(folder: str) -> bool:
    """Remove a folder unless something is in it; returns whether it is gone."""
    try:
        os.rmdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        pass
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST):
            return False
        raise
    return True


def rename_folder(source: str, target: str) -> None:
    """Rename a folder, unless there is something in the place of its new name, which is a `FileExistsError`."""
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR) and os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), target) from error
        raise


def share(file: _File, path: str, root: str) -> _File:
    """Give a new file or folder the rights that group and others have to the marker of the store at `root`.

    Whoever lets them read or write it shares the whole, with a umask of whatever kind.
    """
    try:
        marker = os.stat(os.path.join(root, MARKER))
        rights = marker.st_mode & 0o066
        mode = os.stat(file).st_mode
        if stat.S_ISDIR(mode):
            rights |= (rights & 0o044) >> 2  # who may read it may enter it
        if _is_note(path) and os.geteuid() == 0 and os.stat(file).st_uid != marker.st_uid:
            os.chown(file, marker.st_uid, marker.st_gid)  # a check by root must not take the backup from its owner
        if rights:
            os.chmod(file, stat.S_IMODE(mode) | rights)  # a folder may have its setgid bit from the one above
    except FileNotFoundError:
        pass  # the store is only being made
    except OSError as error:
        log.info("%s is not shared: %s", path, os_error_text(error))
    return file


def _is_note(path: str) -> bool:
    """Whether a path is that of a finding or label, or of the folder of such."""
    return bool({FINDINGS, LABELS} & {os.path.basename(path), os.path.basename(os.path.dirname(path))})
