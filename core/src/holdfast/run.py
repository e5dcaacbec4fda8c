"""A run: one operation, which tells its watchers what happens, counts the bytes that pass, and reports its failure."""

import logging
import threading
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self

from holdfast.api import Event, EventType, Operation, Watcher
from holdfast.endings import ending_behind
from holdfast.error_boundary import error_message, scrub, translated
from holdfast.errors import HoldfastError, add_cleanup_failure, cleanup_notes
from holdfast.plugins.observing import Observers
from holdfast.plugins.registry import Registry
from holdfast.streaming.workers import Stop

log = logging.getLogger("holdfast.run")

_LEVELS = {
    EventType.PROGRESS: logging.DEBUG,
    EventType.WARNING: logging.WARNING,
    EventType.FAILED: logging.DEBUG,  # the error itself is reported by whoever catches it
}
# What `extra` may not hold: logging raises for it, but only where the level is on.
_LOG_RECORD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Run:
    """One operation: tells watchers what happens and counts the bytes that pass.

    As a context it is the error boundary of the operation: whatever ends the block early is translated into a
    `HoldfastError` without the secrets of the URLs given to `hide`, is told as `failed`, once, and is raised. A block
    that ends well says itself what came of it, with `finish`; one that only prepares an operation tells nothing.

    `id` and `name` are empty until `identify`. `action` begins the message of an error that is not ours.
    """

    def __init__(
        self,
        operation: Operation,
        *,
        registry: Registry,
        on_event: Watcher | None = None,
        dry_run: bool = False,
        within: "Run | None" = None,
    ) -> None:
        self.operation = operation
        self.registry = registry
        self.id = self.name = ""
        self.action = f"{operation} failed"
        self.stop = Stop()
        self.total: int | None = None
        self.settled = ""  # what has come of it already, whatever ends it now
        self.warnings: list[str] = []
        self.started = time.monotonic()
        self._dry_run = dry_run
        self._urls: list[str] = []  # in full: their secrets are kept out of what is told
        self._on_event = on_event
        self._thread = threading.get_ident()
        self._untold: deque[tuple[EventType, str]] = deque()  # messages of other threads
        self._lock = threading.Lock()
        self._done = self._told = 0
        self._over = False
        self._within = within
        self.observers: Observers = within.observers if within else registry.observers()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        try:
            if error is None:
                return
            failure = translated(error, self.action, self._urls)
            ending = ending_behind(error)
            if ending is not None and isinstance(failure, HoldfastError):
                add_cleanup_failure(ending, failure)  # it may say what was left behind
                failure = ending
            if self.settled and not self._over:
                _add(failure, self.settled)
            self._tell_failure(failure)
        finally:
            if self._within is None:
                self.observers.close()
        if failure is not error:
            raise failure from (error if failure is not ending else None)

    def hide(self, *urls: str) -> None:
        """Keep the secrets of these URLs out of all that is told from now on."""
        self._urls += urls

    def identify(self, backup_id: str, name: str) -> None:
        """Say which backup, of which source, the run is about."""
        self.id, self.name = backup_id, name

    @property
    def seconds(self) -> float:
        """How long it has been running."""
        return time.monotonic() - self.started

    def count(self, size: int) -> None:
        """Add plain bytes; called from any thread."""
        with self._lock:
            self._done += size

    def tick(self) -> None:
        """Tell of what other threads said, and of progress if there was any; called in the waiting thread."""
        self._tell_untold()
        if self._done != self._told:
            self._told = self._done
            self.emit(EventType.PROGRESS)

    def warn(self, message: str) -> None:
        """Tell of something that the user has to know and that does not end the run.

        Called from any thread; watchers hear of it in the one that runs the operation, at the next tick.
        """
        self.warnings.append(scrub(message, *self._urls))
        self._say(EventType.WARNING, message)

    def report(self, message: str) -> None:
        """Tell what an engine is at before its streams are known; called from any thread, as `warn` is."""
        self._say(EventType.PREPARING, str(message))

    def _say(self, kind: EventType, message: str) -> None:
        if threading.get_ident() == self._thread:
            self.emit(kind, message=message)
        else:
            self._untold.append((kind, message))

    def _tell_untold(self) -> None:
        while self._untold:
            kind, message = self._untold.popleft()
            self.emit(kind, message=message)

    def part(self, operation: Operation) -> "Run":
        """A run inside of this one, with the same watchers: one deletion of a prune."""
        return Run(operation, registry=self.registry, on_event=self._on_event, dry_run=self._dry_run, within=self)

    def finish(self, **detail: Any) -> None:
        """Tell what came of it; nothing is told afterwards."""
        self._tell_untold()
        self._over = True
        self.emit(EventType.FINISHED, **detail)

    def fail(self, error: Exception) -> None:
        """Tell of a failure that ends this run alone, where nothing is to be raised."""
        self._tell_failure(translated(error, self.action, self._urls))

    def _tell_failure(self, failure: BaseException) -> None:
        """Tell of the failure, unless the operation has been told as finished."""
        if self._over:
            return
        with suppress(HoldfastError):  # of a watcher: the failure that led here is the one to report
            self._tell_untold()
        self._over = True
        detail: dict[str, Any] = {
            "error": type(failure).__name__,
            "exit_code": exit_code_of(failure),
            "hint": failure.hint if isinstance(failure, HoldfastError) else None,
        }
        if self._dry_run:
            detail["dry_run"] = True
        self.emit(EventType.FAILED, message=error_message(failure), **detail)

    def emit(self, kind: EventType, *, message: str = "", stream: str | None = None, **detail: Any) -> None:
        """Send an event to the program's watcher, the watching plugins and the log."""
        if kind is EventType.STARTED:
            self._tell_untold()
        if self._dry_run and kind in (EventType.PREPARING, EventType.STARTED, EventType.FINISHED):
            return
        event = Event(
            type=kind,
            operation=self.operation,
            id=self.id,
            time=datetime.now(UTC),
            name=self.name,
            stream=stream,
            done=self._done,
            total=self.total,
            message=scrub(message, *self._urls),
            detail=detail,
        )
        _log(event)
        self.observers.tell(event)
        self._tell(event)

    def _tell(self, event: Event) -> None:
        """Call the program's watcher; once a run is over its errors can change nothing and are logged."""
        if self._on_event is None:
            return
        try:
            self._on_event(event)
        except Exception as error:
            if event.type in (EventType.FINISHED, EventType.FAILED):
                log.exception("the watcher failed on '%s' of %s", event.type, self.id, extra={"id": self.id})
            elif isinstance(error, HoldfastError):
                raise
            else:
                raise HoldfastError(f"the watcher failed: {error_message(error)}") from error


def _add(failure: BaseException, settled: str) -> None:
    """Add to what ended a run that it has done its work, unless whoever did that has said so."""
    if settled.partition(" ")[2] not in f"{error_message(failure)}{cleanup_notes(failure)}":
        add_cleanup_failure(failure, HoldfastError(settled))


def exit_code_of(error: BaseException) -> int | None:
    """What the command line returns for an error, None for one that it knows nothing of."""
    if isinstance(error, KeyboardInterrupt):
        return 130
    code = getattr(error, "exit_code", None)
    return code if isinstance(code, int) else None


def _log(event: Event) -> None:
    """Write an event to the log, its details as fields of the record."""
    details = {f"{key}_" if key in _LOG_RECORD else key: value for key, value in event.detail.items() if key != "name"}
    log.log(
        _LEVELS.get(event.type, logging.INFO),
        "%s %s %s%s%s",
        event.operation,
        event.id or "-",
        event.type,
        f" {event.stream}" if event.stream else "",
        f": {event.message}" if event.message else "",
        extra={
            "operation": str(event.operation),
            "id": event.id,
            "source_name": event.name,
            "event": str(event.type),
            "stream_name": event.stream,
            "bytes_done": event.done,
            "bytes_total": event.total,
            **details,
        },
    )
