"""The channel between a child process and its parent: the task, commands and messages."""

from __future__ import annotations

import json
import os
import queue
import sys
import threading

TYPE_CHECKING = False  # `typing` takes a tenth of the time in which this process starts
if TYPE_CHECKING:
    from typing import Any


class TaskError(Exception):
    """The task cannot be done: `kind` names the parent's error class (see `holdfast_sqlite.errors.KINDS`)."""

    def __init__(self, kind: str, text: str, hint: str | None = None) -> None:
        super().__init__(text)
        self.kind = kind
        self.hint = hint


class Channel:
    """Commands from the parent and messages to it; messages may be sent from any thread."""

    def __init__(self) -> None:
        self.task: dict[str, Any] = json.loads(sys.stdin.buffer.readline())
        self._control = int(self.task["control"])
        self._commands: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._lock = threading.Lock()
        self._outlives = False
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        """Take commands; without a parent nothing here has a purpose."""
        while line := sys.stdin.buffer.readline():
            self._commands.put(line.decode().strip())
        if not self._outlives:
            os._exit(3)
        self._commands.put("")

    def outlive(self) -> None:
        """Go on when the parent has ended, which `wait` then tells: for what has to be put back."""
        self._outlives = True

    def wait(self) -> str:
        """Wait for the parent's next command; "" where it has ended, see `outlive`."""
        return self._commands.get()

    def send(self, event: str, **values: Any) -> None:
        """Send a message: a short line, written whole."""
        line = json.dumps({"event": event, **values}).encode() + b"\n"
        with self._lock:
            while line:
                line = line[os.write(self._control, line) :]

    def log(self, text: str) -> None:
        """Have the parent log something."""
        self.send("log", text=text)
