"""What every run has in common: events, progress, and errors that are ours and show no secret."""

import logging
import re
import threading
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from typing import Any

from holdfast.api import Event, Watcher
from holdfast.errors import HoldfastError, attached, os_error_text, quote_name
from holdfast.pipeline import Stop
from holdfast.registry import Registry
from holdfast.url import redact, secrets_of

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
                raise HoldfastError(f"the watcher failed: {_message(error)}") from error

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Send `failed` for whatever ends the block early."""
        try:
            yield
        except BaseException as error:
            with suppress(HoldfastError):  # of a watcher: the failure that led here is the one to report
                self._tell_untold()
            self.emit("failed", message=_message(error))
            raise


@contextmanager
def translate_errors(doing: str, *urls: str) -> Iterator[None]:
    """Turn what plugins and the system raise into `HoldfastError`s without the secrets of these URLs."""
    try:
        yield
    except HoldfastError as error:
        message, hint = scrub(error.message, *urls), scrub(error.hint or "", *urls) or None
        if (message, hint) == (error.message, error.hint):
            raise
        error.message, error.hint, error.args = message, hint, (message,)
        raise error from None  # what it was raised from still holds the secret
    except OSError as error:
        raise HoldfastError(scrub(_told(doing, error), *urls)) from error
    except Exception as error:
        raise HoldfastError(scrub(f"{doing}: {_message(error)}", *urls)) from error


@contextmanager
def translate_os_errors(doing: str) -> Iterator[None]:
    """Say what could not be done when the system refuses; all other errors pass."""
    try:
        yield
    except OSError as error:
        raise HoldfastError(_told(doing, error)) from error


def scrub(text: str, *urls: str) -> str:
    """Hide the secrets of these URLs wherever a driver may have put them into its message."""
    for url in filter(None, urls):
        text = text.replace(url, redact(url))
        for secret in secrets_of(url):
            # In any case: `os_error_text` writes the system's words in lowercase.
            text = re.sub(re.escape(secret), "***", text, flags=re.IGNORECASE)
    return text


def _told(doing: str, error: OSError) -> str:
    where = f" {quote_name(error.filename)}:" if error.filename else ""
    return f"{doing}:{where} {os_error_text(error)}{attached(error)}"


def _message(error: BaseException) -> str:
    text = " ".join(str(error).split())
    if isinstance(error, HoldfastError):
        return error.message
    if isinstance(error, KeyboardInterrupt):
        return f"interrupted{attached(error)}"
    return f"{type(error).__name__}: {text}".removesuffix(": ") + attached(error)
