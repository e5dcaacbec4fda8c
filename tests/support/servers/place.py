"""Where servers that live for one test session have their files; run, it names the place of the tests' own files."""

import os
import tempfile
from pathlib import Path

_MEMORY = Path("/dev/shm")
_ROOM = 3 << 30  # bytes; what the servers of a run take at most, several times over
_LIMIT = Path("/sys/fs/cgroup/memory.max")  # of a container, whose files in memory count too


def place_of_servers(otherwise: str) -> str:
    """A folder in memory where there is room and nobody has named another, else the one that is given.

    Databases are made and dropped all the time, hundreds of files each. To find a number for a file, ext4 steps over
    those of all that were removed in the last minutes: soon that is most of what a server does.
    """
    if "TMPDIR" in os.environ or not os.access(_MEMORY, os.W_OK):
        return otherwise
    state = os.statvfs(_MEMORY)
    if _memory() < 2 * _ROOM:
        return otherwise
    return str(_MEMORY) if state.f_bavail * state.f_frsize >= _ROOM else otherwise


def _memory() -> int:
    """The bytes of memory that are available, or fewer where a container may take no more."""
    lines = Path("/proc/meminfo").read_text().splitlines()
    available = int(next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))) << 10
    limit = _LIMIT.read_text().strip() if _LIMIT.exists() else "max"
    return available if limit == "max" else min(available, int(limit))


if __name__ == "__main__":
    print(place_of_servers(tempfile.gettempdir()))
