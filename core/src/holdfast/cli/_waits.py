"""What ends the waits of a run: a signal that comes right before one, and time after the last.

Nobody presses Ctrl-C twice, and nobody presses it at night.
"""

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable

log = logging.getLogger("holdfast.cli")

_AGAIN = (0.1, 0.3)  # seconds after a signal, and after that, when the main thread is in the wait that it began


def interrupt_waits() -> None:
    """Let each signal end what the main thread waits for, also where it came a moment before the wait, or elsewhere.

    Python notes a signal, and acts upon it once the main thread runs its code again. The wait for a lock, a socket or
    a child ends for a signal that comes during it; one that comes after Python has last looked and before the wait, or
    that the system hands to another thread, is noted and ends nothing: once in fifty presses, as measured. So a thread
    is told of each one by the system, and interrupts the main thread a little later, by a signal that does no more.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.signal(signal.SIGURG, lambda *_: None)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    main = threading.get_ident()

    def watch() -> None:
        while told := os.read(reading, 1024):
            if {*told} == {signal.SIGURG}:  # our own
                continue
            for seconds in _AGAIN:
                time.sleep(seconds)
                signal.pthread_kill(main, signal.SIGURG)

    threading.Thread(target=watch, name="holdfast-signals", daemon=True).start()


def end_within(seconds: float, *, leave: Callable[[], None]) -> None:
    """End the process by itself where something that a plugin has left keeps it for longer, and say what it is.

    Python waits for all threads that are no daemons, and then calls whatever was registered for its end. A run that is
    done would stay, and keep the next one of a scheduler from beginning.
    """

    def end() -> None:
        time.sleep(seconds)
        main = threading.main_thread()
        threads = ", ".join(each.name for each in threading.enumerate() if not each.daemon and each is not main)
        what = f"threads of a plugin ({threads[:200]})" if threads else "what a plugin does at the end of Python"
        log.warning("the process is ended: %s would keep it for more than %.0f s after all was done", what, seconds)
        leave()

    with contextlib.suppress(RuntimeError):  # no thread is to be had
        threading.Thread(target=end, name="holdfast-end", daemon=True).start()
