"""The check of a snapshot, and its description for the proof, while its pages are copied."""

from __future__ import annotations

import os
import sqlite3
import threading
import time

from holdfast_sqlite.catalog import printable
from holdfast_sqlite.child.channel import Channel
from holdfast_sqlite.child.check import integrity_check, is_damage, quick_check
from holdfast_sqlite.child.references import check_references
from holdfast_sqlite.files import read_through

TYPE_CHECKING = False  # see `channel`
if TYPE_CHECKING:
    from collections.abc import Callable

    from holdfast_sqlite.child.verdict import Verdict
    from holdfast_sqlite.proof.content import Described
    from holdfast_sqlite.snapshot.source import Source


class BackgroundCheck:
    """A check and a description in a thread of their own; damage ends the process at once, unless allowed."""

    def __init__(self, connection: sqlite3.Connection, channel: Channel, source: Source, image: int | None) -> None:
        self._problems: list[str] = []
        self._warnings: list[str] = []
        self._described: list[Described] = []
        self._failure: Exception | None = None
        self._connection = connection
        self._channel = channel
        self._task = channel.task
        self._header = source.header
        self._known_damage = bool(source.damage)
        self._file = source.descriptor if image is None else image
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._check_and_describe()
        except Exception as error:  # noqa: BLE001 (whatever it is: the thread that waits for this one raises it)
            self._failure = error

    def _check_and_describe(self) -> None:
        if self._task["check"] and not self._known_damage:
            self._run_check(integrity_check if self._task["check"] == "full" else quick_check)
        if self._task["proof"] is not False:
            self._describe()

    def _run_check(self, check: Callable[..., Verdict]) -> None:
        started = time.monotonic()
        try:
            verdict = check(self._connection, header=self._header)
        except MemoryError as error:
            raise MemoryError("there is not enough memory to check it") from error
        self._problems = [f"{check.__name__} of the source: {line}" for line in verdict.damage]
        # Whatever is no damage comes back with the image as it was.
        self._warnings += [*verdict.faults, *verdict.unchecked]
        self._refuse_damage(verdict.damage)
        if check is integrity_check and not verdict.damage and not verdict.void:
            self._warnings += check_references(self._connection)
        self._channel.log(f"{check.__name__} took {time.monotonic() - started:.2f} s")

    def _describe(self) -> None:
        from holdfast_sqlite.proof.content import describe  # its hashlib is a tenth of this process's start

        tolerate = self._task["allow_damaged"]
        try:
            content = describe(self._connection, digests=self._task["proof"], tolerate=tolerate)
            self._described = content.objects
            unread = content.unread | (content.unread_virtual if self._task["format"] == "sql" else {})
            self._warnings += [f"the proof is without table {printable(name)}: {why}" for name, why in unread.items()]
        except sqlite3.Error as error:
            if is_damage(error, self._header):
                self._refuse_damage([str(error)])
            self._warnings.append(f"there is no proof: {error}")

    def _refuse_damage(self, problems: list[str]) -> None:
        if problems and not self._task["allow_damaged"]:
            read_through(self._file)  # that the disk cannot be read is told as that
            more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
            self._channel.send("error", kind="damaged", text=f"{problems[0]}{more}", hint=None)
            os._exit(1)

    def result(self) -> tuple[list[str], list[str], list[Described]]:
        """Wait for the end: the damage, what could not be done and why, and what the snapshot holds."""
        self._thread.join()
        if self._failure is not None:
            raise self._failure
        return self._problems, self._warnings, self._described
