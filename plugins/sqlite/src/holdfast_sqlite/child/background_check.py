"""The check of a snapshot, and its description for the proof, while its pages are copied."""

from __future__ import annotations

import os
import sqlite3
import threading
import time

from holdfast_sqlite.child.channel import Channel
from holdfast_sqlite.child.check import is_damage, quick_check

TYPE_CHECKING = False  # see `channel`
if TYPE_CHECKING:
    from holdfast_sqlite.proof.content import Described


class BackgroundCheck:
    """A quick_check and a description in a thread of their own; damage ends the process at once, unless allowed."""

    def __init__(self, connection: sqlite3.Connection, channel: Channel, *, known_damage: bool) -> None:
        self._problems: list[str] = []
        self._warnings: list[str] = []
        self._described: list[Described] = []
        self._connection = connection
        self._channel = channel
        self._task = channel.task
        self._known_damage = known_damage
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        if self._task["check"] and not self._known_damage:
            started = time.monotonic()
            self._problems, unchecked = quick_check(self._connection)
            self._warnings += [f"quick_check could not be done: {unchecked}"] if unchecked else []
            self._refuse_damage(self._problems)
            self._channel.log(f"quick_check took {time.monotonic() - started:.2f} s")
        if self._task["proof"] is not False:
            self._describe()

    def _describe(self) -> None:
        from holdfast_sqlite.proof.content import describe  # its hashlib is a tenth of this process's start

        tolerate = self._task["allow_damaged"]
        try:
            self._described = describe(self._connection, digests=self._task["proof"], tolerate=tolerate)
        except sqlite3.Error as error:
            if is_damage(error):
                self._refuse_damage([str(error)])
            self._warnings.append(f"there is no proof: {error}")

    def _refuse_damage(self, problems: list[str]) -> None:
        if problems and not self._task["allow_damaged"]:
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            self._channel.send("error", kind="damaged", text=f"{problems[0]}{more}", hint=None)
            os._exit(1)

    def result(self) -> tuple[list[str], list[str], list[Described]]:
        """Wait for the end: the damage, what could not be done and why, and what the snapshot holds."""
        self._thread.join()
        return [f"quick_check of the source: {problem}" for problem in self._problems], self._warnings, self._described
