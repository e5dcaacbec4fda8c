"""A signal that comes right before a wait ends it too: nobody presses Ctrl-C twice."""

import os
import signal
import threading
import time

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
