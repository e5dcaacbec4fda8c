"""Files that commands write for other programs: whole or not at all."""

import contextlib
import errno
import logging
import os
import stat

from holdfast.error_boundary import translate_os_errors
from holdfast.errors import HoldfastError, UsageError, os_error_text, quote_name
from holdfast.filesystem import LOST, file_kind, making, sync_descriptor
from holdfast.temporary_names import temporary_path

log = logging.getLogger("holdfast.cli")


def write_for_all(path: str, data: bytes) -> None:
    """Write a file that every user may read, in the place of the one that is there, which stays if anything fails.

    Its readers see the old or the new one: the new one is written under another name in the same folder. It is readable
    whatever the umask is: who reads it, such as the collector of a monitoring system, is most often another user.
    """
    final = os.path.realpath(path)  # what a link leads to is replaced, and not the link
    _check_replaceable(path, final)
    partial = temporary_path(final)
    with translate_os_errors(f"cannot write {quote_name(path)}"):
        try:
            with making(partial):
                descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            with open(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                _let_all_read(descriptor, path)
                sync_descriptor(descriptor, partial)
            _rename(partial, final)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(partial)
            raise


def _let_all_read(descriptor: int, path: str) -> None:
    """Give the mode, where the file system has modes: on CIFS and exFAT the mount says who may read."""
    try:
        os.fchmod(descriptor, 0o644)
    except OSError as error:
        if error.errno in LOST:
            raise
        if not os.fstat(descriptor).st_mode & stat.S_IROTH:
            log.warning("others may be unable to read %s: its mode cannot be set (%s)", path, os_error_text(error))


def _rename(partial: str, final: str) -> None:
    """Put the new file in the place of the old one; into a file that is mounted, only half of it could be written."""
    try:
        os.replace(partial, final)
    except OSError as error:
        if error.errno != errno.EBUSY:
            raise
        raise HoldfastError(
            f"cannot write {quote_name(final)}: {os_error_text(error)}",
            hint="a file that is mounted by itself cannot be replaced in one step; mount its folder",
        ) from error


def _check_replaceable(path: str, final: str) -> None:
    """Refuse what a file must not take the place of, such as a device."""
    try:
        mode = os.lstat(final).st_mode
    except OSError:
        return
    if not stat.S_ISREG(mode):
        raise UsageError(f"{quote_name(path)} is {file_kind(mode)}, expected the name of a file")
