"""Client programs end when we do, however that is."""

import os
import signal
import subprocess
import threading
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from holdfast.errors import HoldfastError
from holdfast_postgres.client.client_process import ClientProcesses
from holdfast_postgres.location import Location


def test_a_tied_program_ends_with_us_however_many_files_are_open(tmp_path: Path) -> None:
    """dash, Debian's /bin/sh, takes no descriptor of two digits for a redirection."""
    location = Location.parse("postgresql://127.0.0.1:1/none", connect_timeout=1)
    with ExitStack() as stack:
        for _ in range(20):
            stack.enter_context(open(os.devnull, encoding="utf-8"))
        children = stack.enter_context(ClientProcesses(location, tmp_path))
        child = stack.enter_context(children.start(["/bin/sh", "-c", "exec sleep 20"], tied=True))
        # What our death does: nobody holds the other end any more.
        reading, writing = children._lifeline
        children._lifeline = (reading, os.dup(reading))
        started = time.monotonic()
        os.close(writing)
        assert child.wait() == -9
        assert time.monotonic() - started < 10
        assert child.lines == []


def test_an_exit_code_that_another_part_of_the_process_has_taken_is_no_success(tmp_path: Path) -> None:
    """As under servers that wait for all children; `subprocess` says 0 then."""
    location = Location.parse("postgresql://127.0.0.1:1/none", connect_timeout=1)
    with (
        ClientProcesses(location, tmp_path) as children,
        children.start(["/bin/sh", "-c", "exit 3"], offline=True) as child,
    ):
        assert os.waitpid(child.pid, 0)[0] == child.pid
        with pytest.raises(HoldfastError, match="nothing can be told of how sh has ended"):
            child.finish("cannot dump")


def test_no_program_is_started_whose_exit_code_nobody_gets(tmp_path: Path) -> None:
    location = Location.parse("postgresql://127.0.0.1:1/none", connect_timeout=1)
    before = signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    try:
        with (
            ClientProcesses(location, tmp_path) as children,
            pytest.raises(HoldfastError, match="ignores SIGCHLD"),
        ):
            children.start(["/bin/sh", "-c", "exit 3"], offline=True)
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_a_pipe_that_the_process_has_made_non_blocking_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As gevent's `subprocess` does: both its output and its messages come whole."""

    class Patched(subprocess.Popen[bytes]):
        def __init__(self, *arguments: Any, **more: Any) -> None:
            super().__init__(*arguments, **more)
            for pipe in (self.stdin, self.stdout, self.stderr):
                assert pipe is not None
                os.set_blocking(pipe.fileno(), False)

    monkeypatch.setattr(subprocess, "Popen", Patched)
    location = Location.parse("postgresql://127.0.0.1:1/none", connect_timeout=1)
    script = "read -r word; echo $word; echo a warning >&2; read -r word; echo $word; echo another >&2"
    with (
        ClientProcesses(location, tmp_path) as children,
        children.start(["/bin/sh", "-c", script], offline=True, feed=True) as child,
    ):
        chunks = child.chunks("cannot dump")
        feeding = threading.Timer(0.1, child.write_script, [b"one\ntwo\n"])
        feeding.start()
        assert b"".join(chunks) == b"one\ntwo\n"
        assert child.lines == ["a warning", "another"]
        feeding.join()


def test_a_large_script_waits_for_a_slow_program_and_ends_with_a_program_that_reads_no_more(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Under eventlet, whose `os.write` does not return while a pipe is broken."""
    monkeypatch.setattr(os, "write", lambda descriptor, data: pytest.fail("written for ever"))
    location = Location.parse("postgresql://127.0.0.1:1/none", connect_timeout=1)
    with ClientProcesses(location, tmp_path) as children:
        with children.start(["/bin/sh", "-c", "sleep 0.2; wc -c"], offline=True, feed=True) as child:
            os.set_blocking(child._process.stdin.fileno(), False)  # type: ignore[union-attr]
            child.feed(bytes(1 << 20))
            child.end_input()
            assert b"".join(child.chunks("cannot count")).strip() == b"1048576"
        with (
            children.start(["/bin/sh", "-c", "exec <&-; sleep 5"], offline=True, feed=True) as child,
            pytest.raises(BrokenPipeError),
        ):
            child.feed(bytes(1 << 20))
