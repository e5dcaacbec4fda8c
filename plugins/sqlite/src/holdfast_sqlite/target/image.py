"""The temporary file beside a target in which the new database is made."""

import contextlib
import fcntl
import hashlib
import os
import re
import secrets

from holdfast.api import HoldfastError, UnsafeError, os_error_text, quote_name

SIDE_FILES = ("-wal", "-shm", "-journal")


class TemporaryImage:
    """A file of ours in the folder of a target; its lock tells a running restore from a killed one."""

    def __init__(self, target: str) -> None:
        self._folder, name = os.path.split(target)
        # Not the name itself with something behind it: a name may have all of the 255 bytes that file systems allow.
        self._mark = f".holdfast-{hashlib.sha256(os.fsencode(name)).hexdigest()[:12]}-"
        self.path = os.path.join(self._folder, f"{self._mark}{secrets.token_hex(6)}")
        self._descriptor: int | None = None
        self._usual: os.stat_result | None = None

    @property
    def usual(self) -> os.stat_result:
        """What a new file gets in this folder, of the umask and of the folder's access control list."""
        return self._usual or os.stat(self.path)

    def claim(self) -> None:
        """Make the file and lock it, and remove those of restores into the same target that were killed."""
        self._sweep()
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o666)  # to see what it gets; this one never holds anything
        self._usual = os.fstat(descriptor)
        os.close(descriptor)
        os.unlink(self.path)
        self._descriptor = os.open(self.path, flags, 0o600)
        with contextlib.suppress(OSError):  # a file system without locks: then nothing sweeps either
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)

    @property
    def descriptor(self) -> int:
        """The file itself, whatever its name leads to by now; refused if that is another one.

        Whoever owns the folder may put a link in its place, and have root write to where that leads.
        """
        if self._descriptor is None:
            raise RuntimeError(self.path)
        if not self.is_at(self.path):
            raise UnsafeError(
                f"the temporary file {quote_name(self.path)} was removed or replaced by somebody else meanwhile",
                hint="look who else writes to this folder, or restore as its owner",
            )
        return self._descriptor

    def is_at(self, path: str) -> bool:
        """Whether the file has got this name by now."""
        if self._descriptor is None:
            return False
        try:
            return os.path.samestat(os.lstat(path), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False
        except OSError:  # the disk does not answer: what has no temporary name any more has got the other
            try:
                os.lstat(self.path)
            except FileNotFoundError:
                return True
            return False

    def _sweep(self) -> None:
        image = re.compile(re.escape(self._mark) + "[0-9a-f]{12}")
        try:
            names = os.listdir(self._folder)
        except PermissionError:
            return  # a folder may be one to write to and not to read
        for name in filter(image.fullmatch, names):
            path = os.path.join(self._folder, name)
            with contextlib.suppress(OSError):  # a restore that runs, or a file of somebody else
                descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _remove(path)
                finally:
                    os.close(descriptor)

    def abandon(self) -> None:
        """Remove the file, if it is still there, and whatever SQLite may have put beside it."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None
        for suffix in ("", *SIDE_FILES):
            try:
                _remove(self.path + suffix)
            except OSError as error:
                left = f"the temporary file {quote_name(self.path + suffix)} could not be removed"
                raise HoldfastError(f"{left}: {os_error_text(error)}") from error


def _remove(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
