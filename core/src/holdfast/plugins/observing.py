"""Watching plugins: each is told of every event, and one that raises, exits or hangs changes nothing about the run."""

import logging
import queue
import threading
import time
from collections.abc import Iterable
from typing import Any

from holdfast.api import Event
from holdfast.endings import is_failure
from holdfast.errors import note_waiting
from holdfast.plugins.loading import describe_error
from holdfast.plugins.stray import SameProcess

log = logging.getLogger("holdfast.plugins")

PATIENCE = 5.0  # seconds that a run waits for an observer with one event; the contract says that it returns soon
_TICK = 0.1  # seconds; of them that wait is made
_watching = threading.local()
_hanging: list[tuple[Any, threading.Thread]] = []  # observers that have not returned, and the threads they hang in


class Observers:
    """The watching plugins of one run, each called in a thread of its own, which the run waits for.

    One that fails is named once and goes on being told; one that does not return is told nothing more, nor in a later
    run, such as that of the next backup which is copied, for as long as it hangs. What an observer itself does with
    Holdfast is told to nobody, since it would have no end.
    """

    def __init__(self, implementations: Iterable[tuple[str, Any]]) -> None:
        nested = getattr(_watching, "now", False)
        _hanging[:] = [(function, thread) for function, thread in _hanging if thread.is_alive()]
        away = [function for function, _ in _hanging]
        known = [] if nested else implementations
        self._observers = [_Observer(*each) for each in known if each[1].function not in away]

    def tell(self, event: Event) -> None:
        """Tell all of them of an event, one after the other."""
        for observer in list(self._observers):
            if not observer.tell(event):
                self._observers.remove(observer)

    def close(self) -> None:
        """End the threads."""
        for observer in self._observers:
            observer.end()


class _Observer:
    """One watching plugin in a run."""

    def __init__(self, title: str, implementation: Any) -> None:
        self._title, self._implementation = title, implementation
        self._events: queue.SimpleQueue[Event | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._named = self._is_away = False

    def tell(self, event: Event) -> bool:
        """Tell of an event; returns whether to go on with that."""
        if self._is_away:  # a signal came while it was waited for: nobody waits for it again
            self.end()
            return False
        try:
            if self._thread is None:
                thread = threading.Thread(target=self._watch, name="holdfast-observer", daemon=True)
                thread.start()
                self._thread = thread
            self._events.put(event)
            self._is_away = True
            raised = self._outcome()
            self._is_away = False
        except RuntimeError as error:
            log.warning("%s is told nothing: %s", self._title, describe_error(error))
            return False
        except queue.Empty:
            log.warning("%s has not returned from '%s' for %g s; it is told no more", self._title, event.type, PATIENCE)
            if self._thread is not None:
                _hanging.append((self._implementation.function, self._thread))
            self.end()  # the thread ends when it returns after all
            return False
        except BaseException as error:
            if not is_failure(error):
                note_waiting(error, f"{self._title}, which observes '{event.type}'")
            raise
        if raised is not None and not self._named:
            self._named = True  # it may fail at every event
            log.error("%s failed to observe '%s': %s", self._title, event.type, describe_error(raised), exc_info=raised)
        return True

    def _outcome(self) -> BaseException | None:
        """What it came to; in short waits, since a signal that comes right before one does not end it."""
        deadline = time.monotonic() + PATIENCE
        while True:
            try:
                return self._outcomes.get(timeout=_TICK)
            except queue.Empty:
                if time.monotonic() > deadline:
                    raise

    def end(self) -> None:
        """End the thread, once the plugin has returned from what it was told."""
        self._events.put(None)

    def _watch(self) -> None:
        _watching.now = True
        while (event := self._events.get()) is not None:
            error: BaseException | None = None
            try:
                with SameProcess():
                    self._implementation.function(*(event for _ in self._implementation.argnames))
            except BaseException as failure:  # noqa: BLE001 (no signal is handled in this thread)
                error = failure
            self._outcomes.put(error)
