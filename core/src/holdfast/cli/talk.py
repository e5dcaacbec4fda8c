"""What the command line says: data on stdout, talk on stderr, logs, and JSON in the place of each.

What a store, a database or an argument says is shown with its control characters escaped: a manifest that
somebody else wrote could otherwise steer the terminal, or add lines of its own to a list.
"""

import contextlib
import logging
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

from holdfast.api import Event
from holdfast.errors import HoldfastError, os_error_text

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class StdoutError(HoldfastError):
    """stdout cannot be written to, so that going on would tell nobody anything."""


class Console:
    """How one call of the command line speaks; made by the group, changed by each command's options."""

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
            new.addFilter(_not_told_otherwise)
        logger.addHandler(new)
        logger.propagate = False

    # --- talk ---

    def say(self, text: str) -> None:
        """Tell a person something on stderr."""
        if not self.quiet and self.log_format != "json":
            _tell(visible(text))

    def warn(self, text: str) -> None:
        """Warn a person on stderr."""
        self.stop_progress()
        if self.log_format == "json":
            logging.getLogger("holdfast.cli").warning("%s", text)
        else:
            _tell(visible(f"warning: {text}"))

    def failed(self, failure: HoldfastError, code: int, *, trace: str = "") -> None:
        """Say why the command failed, once."""
        self.stop_progress()
        if self.json and self.run_output:
            about = {"id": self.last_id} if self.last_id else {}
            with contextlib.suppress(HoldfastError, BrokenPipeError):  # stdout itself may be what has failed
                self.data(
                    {"type": "error", **about, "message": failure.message, "hint": failure.hint, "exit_code": code}
                )
        shown = trace if self.verbose else ""
        if self.log_format == "json":
            extra = {"hint": failure.hint, "exit_code": code, "id": self.last_id or None, "exception": shown or None}
            self.start_logging()
            logging.getLogger("holdfast.cli").error("%s", failure.message, extra=extra)
            return
        _tell(f"{shown}error: {_one_line(failure.message)}")
        if failure.hint:
            _tell(f"hint: {_one_line(failure.hint)}")

    # --- data ---

    def data(self, value: Any) -> None:
        """Write one JSON document on a line of its own to stdout."""
        with writing():
            print(as_json(value), flush=True)

    def out(self, text: str) -> None:
        """Write lines of data for people or shells to stdout."""
        with writing():
            print("\n".join(map(visible, text.split("\n"))), flush=True)

    # --- runs ---

    def watch(self, event: Event) -> None:
        """Show an event: as a JSON line, or as progress and warnings."""
        self.last_id = event.id
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
        return event.type in ("started", "progress", "stream", "warning")

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


class TextLines(logging.Formatter):
    """Logs for people; tracebacks only where they were asked for."""

    def __init__(self, *, traces: bool) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")
        self._traces = traces

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        line = f"{record.levelname} {record.name}: {visible(record.getMessage())}"
        trace = f"\n{self.formatException(record.exc_info)}" if record.exc_info and self._traces else ""
        return line + "\n".join(map(visible, trace.split("\n")))


class JsonLines(logging.Formatter):
    """One JSON object a record, with every field of `extra`."""

    def format(self, record: logging.LogRecord) -> str:
        """Write a record."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        fields: dict[str, Any] = {"time": moment.replace("+00:00", "Z"), "level": record.levelname.lower()}
        fields |= {"logger": record.name, "message": record.getMessage()}
        extra = {key: value for key, value in vars(record).items() if key not in _STANDARD and value is not None}
        if record.exc_info:
            extra["exception"] = self.formatException(record.exc_info)
        return as_json({**extra, **fields})


def as_json(value: Any) -> str:
    """One JSON document on one line."""
    import msgspec

    try:
        return msgspec.json.encode(value, enc_hook=str).decode()
    except UnicodeEncodeError:
        import json

        # A path whose bytes are no UTF-8: written as \udcXX, which `os.fsencode` turns into those bytes again.
        return json.dumps(msgspec.to_builtins(value, enc_hook=str), separators=(",", ":"))


def visible(text: str) -> str:
    """Write what cannot be printed, line breaks too, as Python's escapes; bytes that are no UTF-8 stay those bytes."""
    if text.isprintable():
        return text
    plain = (one.isprintable() or "\udc80" <= one <= "\udcff" for one in text)
    return "".join(
        one if kept else one.encode("unicode_escape").decode() for one, kept in zip(text, plain, strict=True)
    )


@contextmanager
def writing() -> Iterator[None]:
    """Say that it was stdout that could not be written to; a reader who has gone is no error of ours."""
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


def size(count: int) -> str:
    """Bytes for people: `1.2 MB`, in powers of 1000."""
    value = float(count)
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if value < 999.5 or unit == "TB":
            return f"{value:.0f} {unit}" if unit == "B" or value >= 99.95 else f"{value:.1f} {unit}"
        value /= 1000
    raise AssertionError


def table(rows: Sequence[Mapping[str, str]]) -> str:
    """Columns of text for people, headed by the keys of the first row."""
    heads = list(rows[0])
    lines = [heads, *([visible(row[head]) for head in heads] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _not_told_otherwise(record: logging.LogRecord) -> bool:
    """Leave warnings out that the watcher shows in any case."""
    return getattr(record, "event", "") != "warning"
