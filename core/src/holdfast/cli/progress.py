"""A progress bar for people: bytes, rate, remaining time. Only on a terminal, only when it takes a while."""

import sys
import time
from typing import Any, Self

from holdfast.api import Event

_PATIENCE = 1.0  # seconds before anything is shown


class Progress:
    """The bar of one run; without rich, or away from a terminal, it shows nothing."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._began = time.monotonic()
        self._bar: Any = None
        self._task: Any = None
        self._shows = sys.stderr.isatty()

    @classmethod
    def begin(cls, event: Event) -> Self:
        """Begin with a run's first event."""
        return cls(f"{event.operation} {event.name}".strip())

    def update(self, event: Event) -> None:
        """Show how far the run is."""
        if not self._shows or time.monotonic() - self._began < _PATIENCE:
            return
        if self._bar is None:
            self._bar = self._make()
            if self._bar is None:
                self._shows = False
                return
            self._bar.start()
            self._task = self._bar.add_task(self._title, total=event.total)
        # What an engine is at comes before a run has a name, and goes once there are bytes to be counted.
        about = event.message if event.type == "preparing" else self._title
        self._bar.update(self._task, description=about, completed=event.done, total=event.total)

    def _make(self) -> Any:
        try:
            from rich import progress
            from rich.console import Console
        except ImportError:
            return None
        return progress.Progress(
            progress.TextColumn("{task.description}", markup=False),
            progress.BarColumn(),
            progress.DownloadColumn(),
            progress.TransferSpeedColumn(),
            progress.TimeRemainingColumn(),
            console=Console(stderr=True),
            transient=True,
        )

    def stop(self) -> None:
        """Remove the bar."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None
        self._shows = False
