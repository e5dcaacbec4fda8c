"""How log records are written to stderr: for people, or as JSON lines."""

import logging
from datetime import UTC, datetime
from typing import Any

from holdfast.cli.text import as_json, visible

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


class TextLines(logging.Formatter):
    """Logs for people; tracebacks only on request."""

    def __init__(self, *, traces: bool) -> None:
        super().__init__("%(levelname)s %(name)s: %(message)s")
        self._traces = traces

    def format(self, record: logging.LogRecord) -> str:
        """Write a record; a warning looks like any other of the command."""
        about = "warning" if record.levelno == logging.WARNING else f"{record.levelname} {record.name}"
        line = f"{about}: {visible(record.getMessage())}"
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


def is_no_run_warning(record: logging.LogRecord) -> bool:
    """Drop the warnings that the console prints anyway."""
    return getattr(record, "event", "") != "warning"
