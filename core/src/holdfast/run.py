"""A run: one operation on one backup, which tells its watchers what happens and counts the bytes that pass."""

import logging
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from holdfast.api import Event, Watcher
from holdfast.error_boundary import error_message, scrub
from holdfast.errors import HoldfastError
from holdfast.plugins.registry import Registry
from holdfast.streaming.workers import Stop

log = logging.getLogger("holdfast.run")


# What `extra` may not hold: logging raises for it, but only where the level is on.
_LOG_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Run:
    """One operation on one backup: tells watchers what happens and counts the bytes that pass."""

    def __init__(
        self,
        operation: str,
        backup_id: str,
        *,
        name: str,
        registry: Registry,
        on_event: Watcher | None,
        url: str = "",
    ) -> None:
        self.operation = operation
        self.id = backup_id
        self.name = name
        self.stop = Stop()
        self.total: int | None = None
        self.warnings: list[str] = []
        self.started = time.monotonic()
        self._url = url  # in full: its secrets are kept out of what is told
        self._registry = registry
        self._on_event = on_event
        self._thread = threading.get_ident()
        self._untold: deque[str] = deque()  # warnings of other threads
        self._lock = threading.Lock()
        self._done = self._told = 0

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self.started

    def count(self, size: int) -> None:
        """Add plain bytes; called from any thread."""
        with self._lock:
            self._done += size

    def tick(self) -> None:
        """Tell of warnings of other threads, and of progress if there was any; called in the waiting thread."""
        self._tell_untold()
        if self._done != self._told:
            self._told = self._done
            self.emit("progress")

    def warn(self, message: str) -> None:
        """Tell of something that the user has to know and that does not end the run.

        Called from any thread; watchers hear of it in the one that runs the operation, at the next tick.
        """
        self.warnings.append(scrub(message, self._url))
        if threading.get_ident() == self._thread:
            self.emit("warning", message=message)
        else:
            self._untold.append(message)

    def _tell_untold(self) -> None:
        while self._untold:
            self.emit("warning", message=self._untold.popleft())

    def emit(self, kind: str, *, message: str = "", stream: str | None = None, **detail: Any) -> None:
        """Send an event to the program's watcher, the watching plugins and the log."""
        message = scrub(message, self._url)
        event = Event(
            type=kind,
            operation=self.operation,
            id=self.id,
            time=datetime.now(UTC),
            name=self.name,
            stream=stream,
            done=self._done,
            total=self.total,
            message=message,
            detail=detail,
        )
        level = {"progress": logging.DEBUG, "warning": logging.WARNING, "failed": logging.DEBUG}.get(kind, logging.INFO)
        log.log(
            level,
            "%s %s %s%s%s",
            self.operation,
            self.id,
            kind,
            f" {stream}" if stream else "",
            f": {message}" if message else "",
            extra={
                "operation": self.operation,
                "id": self.id,
                "source_name": self.name,
                "event": kind,
                "stream_name": stream,
                "bytes_done": self._done,
                "bytes_total": self.total,
                **{f"{key}_" if key in _LOG_RECORD else key: value for key, value in detail.items() if key != "name"},
            },
        )
        self._registry.observe(event)
        self._tell(event)

    def _tell(self, event: Event) -> None:
        """Call the program's watcher; once a run is over its errors can change nothing and are logged."""
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception as error:
            if event.type in ("finished", "failed"):
                log.exception("the watcher failed on '%s' of %s", event.type, self.id, extra={"id": self.id})
            elif isinstance(error, HoldfastError):
                raise
            else:
                raise HoldfastError(f"the watcher failed: {error_message(error)}") from error

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Send `failed` for whatever ends the block early."""
        try:
            yield
        except BaseException as error:
            with suppress(HoldfastError):  # of a watcher: the failure that led here is the one to report
                self._tell_untold()
            self.emit("failed", message=error_message(error))
            raise
