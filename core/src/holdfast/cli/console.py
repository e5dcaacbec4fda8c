"""What the command line prints: data on stdout, diagnostics and logs on stderr, and JSON in the place of each.

Text of a store, a database or an argument is shown with its control characters escaped: a manifest that
somebody else wrote could otherwise steer the terminal, or add lines of its own to a list.
"""

import contextlib
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from holdfast.api import Event
from holdfast.cli.log_format import JsonLines, TextLines, is_no_run_warning
from holdfast.cli.standard_streams import output
from holdfast.cli.text import as_json, one_line, visible
from holdfast.errors import HoldfastError, os_error_text


class StdoutError(HoldfastError):
    """stdout cannot be written to, so that going on would tell nobody anything."""


class Console:
    """What one call of the command line prints, and where; made by the group, changed by each command's options."""

    def __init__(self, *, verbose: int, quiet: bool, log_format: str | None) -> None:
        self.verbose = verbose
        self.quiet = quiet
        self.log_format = log_format
        self.json = False
        self.run_output = False  # whether --json means lines of a run, so that an error is one more line
        self.last_id = ""
        self._progress: Any = None
        self._last_progress = 0.0

    # --- logs ---

    def start_logging(self) -> None:
        """Send the records of `holdfast.*` to stderr; JSON logs begin at INFO, text at WARNING."""
        logger = logging.getLogger("holdfast")
        for handler in list(logger.handlers):
            if getattr(handler, "of_holdfast_cli", False):
                logger.removeHandler(handler)
        quietest = logging.INFO if self.log_format == "json" and not self.quiet else logging.WARNING
        logger.setLevel({0: quietest, 1: logging.INFO}.get(self.verbose, logging.DEBUG))
        new = logging.StreamHandler(sys.stderr)
        new.of_holdfast_cli = True  # type: ignore[attr-defined]
        new.setFormatter(JsonLines() if self.log_format == "json" else TextLines(traces=bool(self.verbose)))
        if self.log_format != "json":
            new.addFilter(is_no_run_warning)
        logger.addHandler(new)
        logger.propagate = False

    # --- diagnostics ---

    def say(self, text: str) -> None:
        """Print a line for people to stderr."""
        if not self.quiet and self.log_format != "json":
            _tell(visible(text))

    def warn(self, text: str) -> None:
        """Print a warning to stderr."""
        self.stop_progress()
        if self.log_format == "json":
            logging.getLogger("holdfast.cli").warning("%s", text)
        else:
            _tell(visible(f"warning: {text}"))

    def failed(self, failure: HoldfastError, code: int, *, trace: str = "") -> None:
        """Report why the command failed, once."""
        self.stop_progress()
        if self.json and self.run_output:
            about = {"id": self.last_id} if self.last_id else {}
            with contextlib.suppress(HoldfastError, BrokenPipeError):  # stdout itself may be what has failed
                self.data(
                    {"type": "error", **about, "message": failure.message, "hint": failure.hint, "exit_code": code}
                )
        traceback = trace if self.verbose else ""
        if self.log_format == "json":
            extra = {
                "hint": failure.hint,
                "exit_code": code,
                "id": self.last_id or None,
                "exception": traceback or None,
            }
            self.start_logging()
            logging.getLogger("holdfast.cli").error("%s", failure.message, extra=extra)
            return
        _tell(f"{traceback}error: {one_line(failure.message)}")
        if failure.hint:
            _tell(f"hint: {one_line(failure.hint)}")

    # --- data ---

    def data(self, value: Any) -> None:
        """Write one JSON document on a line of its own to stdout."""
        with writing():
            print(as_json(value), file=output(), flush=True)

    def out(self, text: str) -> None:
        """Write lines of data for people or shells to stdout."""
        with writing():
            print("\n".join(map(visible, text.split("\n"))), file=output(), flush=True)

    # --- runs ---

    def note_id(self, event: Event) -> None:
        """Remember which backup an event is about, so that an error can say it; shows nothing."""
        self.last_id = event.id or self.last_id

    def watch(self, event: Event) -> None:
        """Show an event: as a JSON line, or as progress and warnings."""
        self.note_id(event)
        if self.json and self._due(event):
            self.data(event_data(event))
        if event.type == "warning":
            self.warn(event.message) if self.log_format != "json" else None
        elif event.type in ("finished", "failed"):
            self.stop_progress()
        elif not self.json and not self.quiet and self.log_format != "json":
            self._show_progress(event)

    def _due(self, event: Event) -> bool:
        """Whether an event is a line of JSON output: progress at most once a second."""
        if event.type == "progress" and event.time.timestamp() - self._last_progress < 1:
            return False
        self._last_progress = event.time.timestamp()
        return event.type in ("preparing", "started", "progress", "stream", "warning")

    def _show_progress(self, event: Event) -> None:
        if self._progress is None:
            from holdfast.cli.progress import Progress

            self._progress = Progress.begin(event)
        self._progress.update(event)

    def stop_progress(self) -> None:
        """Take the progress bar away."""
        if self._progress is not None:
            self._progress.stop()
            self._progress = None


def event_data(event: Event) -> dict[str, Any]:
    """An event as plain data."""
    data: dict[str, Any] = {"type": event.type, "operation": event.operation, "id": event.id, "name": event.name}
    data["time"] = event.time.isoformat().replace("+00:00", "Z")
    data |= {"bytes_done": event.done, "bytes_total": event.total}
    if event.stream is not None:
        data["stream"] = event.stream
    if event.message:
        data["message"] = event.message
    return {**event.detail, **data}


@contextmanager
def writing() -> Iterator[None]:
    """Name stdout in an error of writing to it; a reader that is gone is not such an error."""
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise StdoutError(f"cannot write to stdout: {os_error_text(error)}") from error


def _tell(text: str) -> None:
    """Write to stderr; where that is impossible nobody is left to be told, and the work is done all the same."""
    with contextlib.suppress(OSError):
        print("\n".join(map(visible, text.split("\n"))), file=sys.stderr, flush=True)
