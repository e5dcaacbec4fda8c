"""A signal that comes in the moment before a wait: Python notes it, and goes on waiting."""

import signal

import pytest
from support.commandline import Shell
from support.distributions import write_distribution

UNSEEN = """
    import os, signal, socket, threading

    WAITS = {
        "lock": lambda: threading.Event().wait(),
        "timed": lambda: threading.Event().wait(20),
        "socket": lambda: pair[0].recv(1),
    }
    pair = socket.socketpair()

    def holdfast_components():
        press = lambda: signal.pthread_kill(threading.get_ident(), int(os.environ["SIGNAL"]))
        threading.Timer(0.5, press).start()
        WAITS[os.environ["WAITS_FOR"]]()
"""


@pytest.mark.parametrize("wait", ["lock", "timed", "socket"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_a_signal_that_does_not_end_a_wait_by_itself_is_obeyed_at_once(
    shell: Shell, number: signal.Signals, wait: str
) -> None:
    """One that comes right before the wait, or to another thread as here: Python notes it, and goes on waiting."""
    plugins = write_distribution(shell.folder / "plugins", "holdfast-waiting", UNSEEN)
    env = {"PYTHONPATH": str(plugins), "SIGNAL": str(int(number)), "WAITS_FOR": wait}
    process = shell.start("backup", "sqlite:///app.db", env=env)
    try:
        _, stderr = process.communicate(timeout=12)
    finally:
        process.kill()
    assert process.returncode == 128 + number, stderr
    assert "while waiting for the components of plugin 'holdfast-waiting'" in stderr
    assert "Traceback" not in stderr, stderr
