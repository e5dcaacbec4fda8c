"""What of a run is alive in this process: threads and children."""

import contextlib
import os
import threading


def our_threads() -> set[threading.Thread]:
    """The threads of Holdfast that are alive."""
    return {thread for thread in threading.enumerate() if thread.name.startswith("holdfast-")}


def children() -> set[int]:
    """The child processes of this process."""
    pids: set[int] = set()
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(FileNotFoundError), open(f"/proc/self/task/{task}/children") as file:
            pids |= {int(pid) for pid in file.read().split()}
    return pids
