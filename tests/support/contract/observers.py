# mypy: ignore-errors
"""Observers that break one sentence each."""

import sys
import threading
import time

import pytest

from holdfast.api import EventType, Operation, hookimpl
from holdfast.testing import ObserverSuite
from support.contract import add_suites, breaks


class Observer:
    def __init__(self):
        self.lines = []

    @hookimpl
    def holdfast_observe(self, event):
        self.see(event)

    def see(self, event):
        self.lines.append(f"{event.operation} {event.type} {event.message} {event.detail.get('exit_code')}")


@breaks("observer 1")
class NeedsTotal(Observer):
    """It divides by what is not always known."""

    def see(self, event):
        self.lines.append(f"{event.done / event.total:.0%}")


@breaks("observer 1")
class NeedsDetail(Observer):
    """It takes a detail for granted."""

    def see(self, event):
        if event.type == EventType.FINISHED:
            self.lines.append(event.detail["size_bytes"] + 1)


@breaks("observer 1")
class NeedsId(Observer):
    """It takes the id apart."""

    def see(self, event):
        self.lines.append(event.id.split("-")[1])


@breaks("observer 1")
class Leaves(Observer):
    """It ends the program when a run has failed."""

    def see(self, event):
        if event.type == "failed":
            sys.exit(1)


@breaks("observer 1")
class BackupsOnly(Observer):
    """It knows the operations of its day, and not the deletion."""

    def see(self, event):
        self.lines.append(
            {"backup": 1, "restore": 2, "verify": 3, "drill": 4, "prune": 5, "import": 6}[event.operation]
        )


@breaks("observer 2")
class KnownTypes(Observer):
    """A type that it does not know is an error."""

    def see(self, event):
        self.lines.append(EventType(event.type).value)


@breaks("observer 2")
class KnownOperations(Observer):
    """An operation that it does not know is an error."""

    def see(self, event):
        self.lines.append(Operation(event.operation).value)


@breaks("observer 3")
class Takes(Observer):
    """It takes out of the detail what it needs."""

    def see(self, event):
        super().see(event)
        event.detail.pop("exit_code", None)


@breaks("observer 3")
class Adds(Observer):
    """It adds to the detail."""

    def see(self, event):
        event.detail["seen"] = True


@breaks("observer 3")
class AddsBelow(Observer):
    """It adds to a list in the detail."""

    def see(self, event):
        event.detail.get("some", []).append("seen")


@breaks("observer 4")
class OneRun(Observer):
    """It believes that there is one run at a time."""

    run = None

    def see(self, event):
        if event.id and event.type == "started":
            self.run = event.id
        time.sleep(0.0005)
        if event.id and event.type == "progress" and self.run != event.id:
            raise RuntimeError(f"{event.id} during {self.run}")


@breaks("observer 4")
class OneCursor(Observer):
    """It goes over what another thread adds to."""

    def see(self, event):
        for line in self.__dict__.setdefault("seen", {}):
            time.sleep(0.00001)
            del line
        self.seen[threading.get_ident(), len(self.seen)] = event.id


@breaks("observer 5")
class Slow(Observer):
    """It waits for a server with each event."""

    def see(self, event):
        time.sleep(0.03)


@breaks("observer 6")
class Prints(Observer):
    """It prints what happens."""

    def see(self, event):
        print(event.type)


@breaks("observer 6")
class PrintsFailures(Observer):
    """It prints failures, where data is expected."""

    def see(self, event):
        if event.type == "failed":
            sys.stdout.write(event.message)


@breaks("observer 7")
class Stays(Observer):
    """A thread of it keeps the program alive."""

    def see(self, event):
        if not self.lines:
            super().see(event)
            timer = threading.Timer(3, lambda: None)
            timer.daemon = False
            timer.start()


def suite_of(tested):
    class Suite(ObserverSuite):
        @pytest.fixture
        def plugin(self):
            return tested()

    return Suite


add_suites(globals(), suite_of, Observer)
