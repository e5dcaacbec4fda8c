"""A plugin that sends its own process a signal at the N-th thing that it does to the files of a folder.

Every moment at which a process can die is one between two system calls that change something, so that counting
those reaches each of them, without a sleep and without luck.
"""

from pathlib import Path

from support.distributions import write_distribution

_SOURCE = """
    import os, signal, sys, threading

    from holdfast.api import hookimpl

    PLACES = os.environ["FAULT_PLACES"].split(":")
    AT, NUMBER, LOG = int(os.environ["FAULT_AT"]), int(os.environ["FAULT_SIGNAL"]), os.environ["FAULT_LOG"]
    EVENTS = {"open", "os.link", "os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod"}
    lock, done = threading.RLock(), 0


    def step(what):
        global done
        with lock:
            done += 1
            if AT == 0:
                with real_open(LOG, "a") as log:
                    log.write(what + chr(10))
            elif done == AT:
                os.kill(os.getpid(), NUMBER)


    def watch(event, arguments):
        if event in EVENTS and isinstance(arguments[0], str) and arguments[0].startswith(tuple(PLACES)):
            step(event + " " + arguments[0])


    def counted(function):
        def call(*arguments):
            step(function.__name__)
            return function(*arguments)
        return call


    @hookimpl
    def holdfast_components():
        return ()


    real_open = open
    os.write, os.fsync = counted(os.write), counted(os.fsync)
    sys.addaudithook(watch)
"""


def install(folder: Path) -> Path:
    """Write the plugin; put the folder that is returned on the module path."""
    return write_distribution(folder, "holdfast-interrupting", _SOURCE)


def variables(folder: Path, *folders: Path, at: int, number: int) -> dict[str, str]:
    """What the plugin has to know: at which step to send which signal; at step 0 it only writes down all steps."""
    return {
        "PYTHONPATH": str(folder),
        "FAULT_PLACES": ":".join(map(str, folders)),
        "FAULT_AT": str(at),
        "FAULT_SIGNAL": str(number),
        "FAULT_LOG": str(folder / "steps"),
    }
