"""A command that another one of ours has started ends when that one is killed, instead of going on unseen."""

import os
import signal
import threading

from holdfast.jobs.children import PARENT


def watch_parent() -> None:
    """End this process, as by SIGTERM, once whoever holds the other end of the pipe that it was given is gone."""
    number = os.environ.pop(PARENT, "")
    if not number.isdigit():
        return
    descriptor = int(number)
    os.set_inheritable(descriptor, False)

    def wait() -> None:
        if not os.read(descriptor, 1):
            os.kill(os.getpid(), signal.SIGTERM)

    threading.Thread(target=wait, name="parent", daemon=True).start()
