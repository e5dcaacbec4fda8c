"""How many at once, and each job once: locks of files that all runs of a user on this host share.

A lock ends with its process, however that ends, so that nothing has to be cleaned up.
"""

import contextlib
import fcntl
import hashlib
import os
import stat
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack

from holdfast.errors import HoldfastError, os_error_text, quote_name


def state_folder(environ: Mapping[str, str] = os.environ) -> str:
    """The folder of these locks, made if it is missing: `HOLDFAST_STATE`, else where the system keeps a user's state.

    A user without a home, or whose home cannot be written, has one in the folder for temporary files.
    """
    configured = environ.get("HOLDFAST_STATE")
    if configured:
        return _private(os.path.abspath(configured))
    import platformdirs

    usual = platformdirs.user_state_dir("holdfast")
    if os.path.isabs(usual):
        with contextlib.suppress(OSError):
            return _private(usual)
    return _private(os.path.join(tempfile.gettempdir(), f"holdfast-{os.geteuid()}"))


def _private(folder: str) -> str:
    os.makedirs(folder, 0o700, exist_ok=True)
    status = os.lstat(folder)
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or stat.S_IMODE(status.st_mode) & 0o022:
        raise HoldfastError(
            f"{quote_name(folder)} is not a folder of this user's alone, and cannot hold the locks of runs",
            hint="name another by HOLDFAST_STATE",
        )
    return folder


class HostLocks:
    """The locks in a folder."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def try_slot(self, group: str, count: int) -> ExitStack | None:
        """One of so many places of a group, to be closed; None while all are taken."""
        for number in range(count):
            if (place := self.try_lock(f"{group}-{number}")) is not None:
                return place
        return None

    def try_lock(self, name: str) -> ExitStack | None:
        """A lock by name, to be closed; None while another process, or another part of this one, has it."""
        path = os.path.join(self._folder, f"{name}.lock")
        try:
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise HoldfastError(f"cannot lock {quote_name(path)}: {os_error_text(error)}") from error
        stack = ExitStack()
        stack.callback(os.close, descriptor)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stack.close()
            return None
        return stack


def lock_name(kind: str, *parts: str) -> str:
    """The name of a lock for something whose name may be anything."""
    text = "\0".join(parts).encode(errors="surrogateescape")
    return f"{kind}-{hashlib.sha256(text).hexdigest()[:24]}"
