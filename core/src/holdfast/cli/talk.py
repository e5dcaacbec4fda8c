"""What the command line says: data on stdout, talk on stderr, logs, and JSON in the place of each."""

import logging
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from holdfast.api import Event
from holdfast.errors import HoldfastError

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class Talk:
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
        new.setFormatter(
            JsonLines() if self.log_format == "json" else logging.Formatter("%(levelname)s %(name)s: %(message)s")
        )
        if self.log_format != "json":
            new.addFilter(_not_told_otherwise)
        logger.addHandler(new)
        logger.propagate = False

    # --- talk ---

    def say(self, text: str) -> None:
        """Tell a person something on stderr."""
        if not self.quiet and self.log_format != "json":
            print(text, file=sys.stderr, flush=True)

    def warn(self, text: str) -> None:
        """Warn a person on stderr."""
        self.stop_progress()
        if self.log_format == "json":
            logging.getLogger("holdfast.cli").warning("%s", text)
        else:
            print(f"warning: {text}", file=sys.stderr, flush=True)

    def failed(self, failure: HoldfastError, code: int, *, trace: str = "") -> None:
        """Say why the command failed, once."""
        self.stop_progress()
        if self.json and self.run_output:
            about = {"id": self.last_id} if self.last_id else {}
            self.data({"type": "error", **about, "message": failure.message, "hint": failure.hint, "exit_code": code})
        shown = trace if self.verbose else ""
        if self.log_format == "json":
            extra = {"hint": failure.hint, "exit_code": code, "id": self.last_id or None, "exception": shown or None}
            self.start_logging()
            logging.getLogger("holdfast.cli").error("%s", failure.message, extra=extra)
            return
        print(f"{shown}error: {_one_line(failure.message)}", file=sys.stderr)
        if failure.hint:
            print(f"hint: {_one_line(failure.hint)}", file=sys.stderr)
        sys.stderr.flush()

    # --- data ---

    def data(self, value: Any) -> None:
        """Write one JSON document on a line of its own to stdout."""
        print(as_json(value), flush=True)

    def out(self, text: str) -> None:
        """Write a line of data for people or shells to stdout."""
        print(text, flush=True)

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
    widths = [max(len(head), *(len(row[head]) for row in rows)) for head in heads]
    lines = [heads, *([row[head] for head in heads] for row in rows)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _not_told_otherwise(record: logging.LogRecord) -> bool:
    """Leave warnings out that the watcher shows in any case."""
    return getattr(record, "event", "") != "warning"
