"""The clock of a store: that of the server of a share, which tells whether this host's own is wrong."""

import contextlib
import os
from datetime import UTC, datetime

from holdfast.api import Storage, SupportsFolder, temporary_path
from holdfast.store.names import MARKER

_EARLIEST = datetime(2020, 1, 1, tzinfo=UTC)  # before which nobody has written to a store


def store_time(storage: Storage) -> datetime | None:
    """The time that the file system of a folder gives to what is written now, None where that cannot be told.

    Mounts that keep no times (of a cloud's storage, or with `--no-modtime`) give all files one of long ago.
    """
    if not isinstance(storage, SupportsFolder):
        return None
    status = new_file_status(storage.folder, b"\n")  # an empty file may keep the time that the client made it at
    if status is None or status.st_mtime < _EARLIEST.timestamp():
        return None
    return datetime.fromtimestamp(status.st_mtime, UTC)


def new_file_status(folder: str, content: bytes = b"") -> os.stat_result | None:
    """What the file system says of a new file in a folder, None where none can be made; it does not stay."""
    path = temporary_path(os.path.join(folder, MARKER))
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError:
        return None
    try:
        os.write(descriptor, content)
        return os.fstat(descriptor)
    except OSError:  # of a full disk
        return None
    finally:
        os.close(descriptor)
        with contextlib.suppress(OSError):
            os.unlink(path)
