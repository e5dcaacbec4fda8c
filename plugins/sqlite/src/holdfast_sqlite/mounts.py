"""Where a file is mounted: its file system, and the places where it is mounted by itself, in containers too."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from holdfast_sqlite.holders import processes

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
        end = fields.index("-")
        self.kind = fields[end + 1]
        self._options = fields[end + 3] if len(fields) > end + 3 else ""

    def option(self, name: str) -> str | None:
        """What an option of the file system is set to."""
        options = (option.partition("=") for option in self._options.split(","))
        return next((_decode(value) for key, _, value in options if key == name), None)

    def inner(self, path: str) -> str:
        """The path within the file system of what is mounted here."""
        return os.path.normpath(f"{self.root.rstrip('/')}/{os.path.relpath(path, self.point)}")


def _decode(field: str) -> str:
    """What stands in octal digits, as blanks do: bytes of a name."""
    return re.sub(r"\\([0-7]{3})", lambda match: os.fsdecode(bytes([int(match[1], 8)])), field)


def mounts(pid: int | str = "self") -> list[Mount]:
    """All mounts that a process sees; empty where that is not told."""
    try:
        with open(f"/proc/{pid}/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
            return [Mount(line) for line in file]
    except OSError:
        return []  # not Linux, ended, or somebody else's


def namespaces() -> Iterator[tuple[str, list[Mount]]]:
    """Every mount namespace that can be seen: what its names begin with to be reached from here, and its mounts."""
    seen = set()
    for pid in [os.getpid(), *processes()]:
        try:
            namespace = os.readlink(f"/proc/{pid}/ns/mnt")
        except OSError:
            continue  # ended, or somebody else's
        if namespace not in seen:
            seen.add(namespace)
            yield "" if pid == os.getpid() else f"/proc/{pid}/root", mounts(pid)


def describe(name: str) -> str:
    """A name as a message gives it."""
    parts = name.split("/", 4)
    if name.startswith("/proc/") and len(parts) == 5 and parts[3] == "root":
        return f"/{parts[4]} in the container of process {parts[2]}"
    return name


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
