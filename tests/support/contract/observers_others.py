# mypy: ignore-errors
"""Observers that break one sentence each: any text, and what belongs to the process."""

import json
import logging
import os
import signal
import sys

from support.contract import add_suites, breaks
from support.contract.observers import Observer, suite_of


@breaks("observer 1")
class Formats(Observer):
    """A message is a pattern for it."""

    def see(self, event):
        self.lines.append(event.message.format() % ())


@breaks("observer 1")
class Encodes(Observer):
    """Names are taken for UTF-8, which file names need not be."""

    def see(self, event):
        self.lines.append(json.dumps([event.name, event.stream, event.message], ensure_ascii=False).encode())


@breaks("observer 8")
class TakesSignals(Observer):
    """It says farewell when it is interrupted, and nobody else learns of it."""

    def see(self, event):
        signal.signal(signal.SIGINT, lambda *_: None)


@breaks("observer 8")
class LogsAll(Observer):
    """It sets up logging, for everybody."""

    def see(self, event):
        logging.basicConfig(level=logging.DEBUG, force=True)


@breaks("observer 8")
class MovesAway(Observer):
    """It goes to the folder of its files."""

    def see(self, event):
        os.chdir("/")


@breaks("observer 8")
class SetsVariables(Observer):
    """It hands the id on in the environment."""

    def see(self, event):
        os.environ["OBSERVED"] = event.id


@breaks("observer 8")
class TakesHook(Observer):
    """It wants to learn of errors that nobody catches."""

    def see(self, event):
        sys.excepthook = lambda *_: None


add_suites(globals(), suite_of)
