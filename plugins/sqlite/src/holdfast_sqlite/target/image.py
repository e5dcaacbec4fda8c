"""The temporary file beside a target in which the new database is made."""

import os

from holdfast.api import Staging

SIDE_FILES = ("-wal", "-shm", "-journal")


class TemporaryImage(Staging):
    """A file of ours in the folder of a target, and what a new file there usually is like."""

    def __init__(self, target: str) -> None:
        super().__init__(target, side_files=SIDE_FILES)
        self._usual: os.stat_result | None = None

    @property
    def usual(self) -> os.stat_result:
        """What a new file gets in this folder, of the umask and of the folder's access control list."""
        return self._usual or os.stat(self.path)

    def claim(self) -> None:
        """Make the file and lock it, and remove those of restores into the same target that were killed."""
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o666)  # to see what it gets; this one never holds anything
        self._usual = os.fstat(descriptor)
        os.close(descriptor)
        os.unlink(self.path)
        super().claim()
