"""What the import of a plugin changes about the process is put back, and the plugin is named."""

import logging
import os
import resource
import signal
import socket
import sys
import threading
import warnings
from pathlib import Path

import pytest
from support.installing import Install, codec, look

from holdfast.api import Kind
from holdfast.plugins.process_state import ProcessState

CHANGES = {
    "the working directory": "import os; os.chdir('/')",
    "what SIGINT does": "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)",
    "what SIGCHLD does": "import signal; signal.signal(signal.SIGCHLD, signal.SIG_IGN)",
    "a timer that ends the process": "import signal; signal.alarm(100)",
    "the limit of open files": "import resource as r; r.setrlimit(7, (200, r.getrlimit(7)[1]))",
    "stdout": "import os; os.close(1)",
    "stderr": "import sys, io; sys.stderr = io.StringIO()",
    "where modules are found": "import sys; sys.path.clear()",
    "the variables PATH": "import os; del os.environ['PATH']",
    "the limit of recursion": "import sys; sys.setrecursionlimit(200)",
    "how long a thread runs": "import sys; sys.setswitchinterval(60)",
    "what warnings do": "import warnings; warnings.simplefilter('error', BytesWarning)",
    "which lines are logged": "import logging; logging.disable(logging.CRITICAL)",
}
CHANGES_OF_A_LOGGER = "import logging; logging.getLogger('holdfast.cache').disabled = True"


def _observed() -> list[object]:
    """What a test can see of the process, by other means than the code that puts it back."""
    return [
        Path.cwd(),
        signal.getsignal(signal.SIGINT),
        signal.getsignal(signal.SIGCHLD),
        50 < signal.getitimer(signal.ITIMER_REAL)[0] < 101,  # that of the plugin; the test's own limit is another
        resource.getrlimit(resource.RLIMIT_NOFILE),
        os.fstat(1).st_ino,
        sys.stderr,
        {*sys.path},
        os.environ["PATH"],
        sys.getrecursionlimit(),
        sys.getswitchinterval(),
        [*warnings.filters],
        logging.root.manager.disable,
        logging.getLogger("holdfast.cache").disabled,
    ]


@pytest.mark.parametrize("what", CHANGES)
def test_what_a_plugin_changes_is_put_back_and_the_plugin_is_named(
    what: str, install: Install, caplog: pytest.LogCaptureFixture
) -> None:
    source = f"{CHANGES[what]}\n{codec('rude')}"
    install("rude", source)
    before = _observed()
    registry = look()
    assert _observed() == before
    (told,) = [record.getMessage() for record in caplog.records]
    assert told == f"plugin rude of rude 1.0 changes what belongs to the process, and it is put back: {what}"
    assert "rude" in registry.names(Kind.CODEC)


def test_a_plugin_that_silences_our_logs_is_told(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    install("rude", f"{CHANGES_OF_A_LOGGER}\n{codec('rude')}")
    look()
    assert not logging.getLogger("holdfast.cache").disabled
    assert "which lines are logged" in caplog.text


def test_what_plugins_may_do_is_left_alone(install: Install, caplog: pytest.LogCaptureFixture) -> None:
    polite = (
        "import os, sys, warnings, signal\n"
        "sys.path.append('/nowhere')\n"
        "os.environ['HOLDFAST_TEST_POLITE'] = '1'\n"
        "warnings.filterwarnings('ignore', message='never said')\n"
        "sys.setrecursionlimit(sys.getrecursionlimit() + 1)\n"
    )
    install("polite", polite + codec("polite"))
    limit = sys.getrecursionlimit()
    try:
        look()
        assert "/nowhere" in sys.path
        assert os.environ.pop("HOLDFAST_TEST_POLITE") == "1"
        assert not caplog.records
    finally:
        sys.setrecursionlimit(limit)
        sys.path.remove("/nowhere")


def test_a_limit_that_nobody_can_raise_again_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """Root can, so that a system that refuses it stands in for one where it cannot."""
    state = ProcessState()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft - 1, hard))
    with monkeypatch.context() as patched:
        patched.setattr(resource, "setrlimit", _refused)
        assert state.restore() == ["the limit of open files (which stays so)"]
    assert state.restore() == ["the limit of open files"]
    state.close()


def _refused(*_: object) -> None:
    raise PermissionError("hard limit")


def test_a_registry_may_be_made_in_any_thread(install: Install) -> None:
    """Handlers of signals are those of the main thread, and no other may set them."""
    install("plain", codec("plain"))
    made = []
    thread = threading.Thread(target=lambda: made.append(look()))
    thread.start()
    thread.join()
    assert "plain" in made[0].names(Kind.CODEC)


def test_nothing_is_left_open(install: Install) -> None:
    install("plain", codec("plain"))
    look()
    before = len(os.listdir("/proc/self/fd"))
    look()
    assert len(os.listdir("/proc/self/fd")) == before
    with socket.socket():
        assert len(os.listdir("/proc/self/fd")) == before + 1
