"""Where a file is mounted: its file system, and the places where it is mounted by itself, in containers too."""

from __future__ import annotations

import os

# Their locks may end at this machine, or be nobody's else, and what one machine maps another does not see.
_NETWORK = (
    "nfs", "cifs", "smb", "ncp", "9p", "afs", "coda", "ceph", "gluster", "lustre", "beegfs", "gpfs", "gfs2", "ocfs2",
    "orangefs", "pvfs2",
)  # fmt: skip
# Between a virtual machine and its host, or by a program: who uses the file by another way has other locks.
_SHARED = ("virtiofs", "vboxsf", "vmhgfs", "prl_fs", "drvfs", "fakeowner", "shiftfs", "ecryptfs", "fuse")
_LOCAL = ("fuseblk", "fusectl")


class Mount:
    """A line of mountinfo (proc(5)): `root` is what of the file system is mounted, `point` where."""

    def __init__(self, line: str) -> None:
        fields = line.split()
        self.device, self.root, self.point = fields[2], _decode(fields[3]), _decode(fields[4])
        self.kind = fields[fields.index("-") + 1]

    def inner(self, path: str) -> str:
        """The path within the file system of what is mounted here."""
        return os.path.normpath(f"{self.root.rstrip('/')}/{os.path.relpath(path, self.point)}")


def _decode(field: str) -> str:
    if "\\" not in field:
        return field
    return field.replace("\\040", " ").replace("\\011", "\t").replace("\\012", "\n").replace("\\134", "\\")


def mounts(pid: int | str = "self") -> list[Mount]:
    """All mounts that a process sees; empty where that is not told."""
    try:
        with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return [Mount(line) for line in file]
    except OSError:
        return []  # not Linux, ended, or somebody else's


def mount_of(path: str, table: list[Mount]) -> Mount | None:
    """The mount that a real path lies on: of those with the longest point the last, which covers the others."""
    best = None
    for mount in table:
        covers = path == mount.point or path.startswith(mount.point.rstrip("/") + "/")
        if covers and (best is None or len(mount.point) >= len(best.point)):
            best = mount
    return best


def shared_file_system(kind: str) -> bool:
    """Whether a file system is one that others may reach without the locks of this machine."""
    return kind.startswith((*_NETWORK, *_SHARED)) and kind not in _LOCAL
