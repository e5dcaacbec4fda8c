"""Client programs end when we do, however that is."""

import os
import time
from contextlib import ExitStack
from pathlib import Path

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
