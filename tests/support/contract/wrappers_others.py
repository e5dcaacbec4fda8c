# mypy: ignore-errors
"""Wrappers that break one sentence each: around a storage and what it can do."""

from contextlib import contextmanager
from datetime import UTC, datetime

from holdfast.api import Forwarding, Retention
from support.contract import add_suites
from support.contract.wrappers import Around, suite_of, wrapping


@wrapping("wrapper 2", "storage")
class RemembersListing(Around):
    """What was listed once is listed again."""

    def list(self, prefix=""):
        listed = self.__dict__.setdefault("listed", {})
        if prefix not in listed:
            listed[prefix] = list(self.inner.list(prefix))
        return listed[prefix]


@wrapping("wrapper 2", "storage")
class ChunksKept(Around):
    """Chunks wait in a queue, and not what was in them."""

    @contextmanager
    def writer(self, path):
        with self.inner.writer(path) as writer:
            waiting = []

            class Queue:
                def write(self, data):
                    waiting.append(data)

            yield Queue()
            for data in waiting:
                writer.write(data)


@wrapping("wrapper 5", "storage")
class PublishesHalves(Around):
    """A writer is ended well, whatever was raised in its block."""

    @contextmanager
    def writer(self, path):
        context = self.inner.writer(path)
        writer = context.__enter__()
        try:
            yield writer
        finally:
            context.__exit__(None, None, None)


@wrapping("wrapper 5", "storage")
class LeaseKept(Around):
    """After an error a lease stays."""

    @contextmanager
    def lease(self, name, ttl=60.0):
        context = self.inner.lease(name, ttl)
        self.__dict__.setdefault("kept", []).append(context)
        context.__enter__()
        yield
        context.__exit__(None, None, None)


class _Plain:
    """Only what every storage has."""

    def __init__(self, inner):
        self.inner = inner
        self.location = inner.location
        for name in ("writer", "read", "list", "stat", "delete", "barrier", "lease"):
            setattr(self, name, getattr(inner, name))


@wrapping("wrapper 6", "storage")
class StorageCanLess(_Plain):
    """What a storage can do besides is lost: streams, deletions of many, walking."""


@wrapping("wrapper 6", "storage")
class KeepsNothing(Forwarding):
    """What is written so that it is kept is written as all else: it counts what passes, in one writer for all."""

    @contextmanager
    def retained_writer(self, path, retention):
        with self.wrapped.writer(path) as writer:
            yield writer


@wrapping("wrapper 6", "storage")
class KeepsHalves(Forwarding):
    """What is written so that it is kept is kept, whatever was raised in its block."""

    @contextmanager
    def retained_writer(self, path, retention):
        context = self.wrapped.retained_writer(path, retention)
        try:
            yield context.__enter__()
        finally:
            context.__exit__(None, None, None)


@wrapping("wrapper 6", "storage")
class KeepsAllTheSame(Forwarding):
    """What has to be replaced is kept as well."""

    @contextmanager
    def retained_writer(self, path, retention):
        with self.wrapped.retained_writer(path, retention or Retention(until=datetime.now(UTC))) as writer:
            yield writer


@wrapping("wrapper 6", "storage")
class AgeLost(Forwarding):
    """It counts calls, and so returns what they return but for numbers, of which it makes whole ones."""

    def age(self, folder):
        return int(self.wrapped.age(folder)) + 1


@wrapping("wrapper 6", "restore")
class RestoreCanLess:
    """What a restore tells the user is lost, as is what it has left out."""

    def __init__(self, inner):
        self.steps, self.load, self.commit = inner.steps, inner.load, inner.commit


@wrapping("wrapper 6", "scratch")
class ScratchCanLess:
    """What was wrong in the source is lost, and a drill calls the backup sound."""

    def __init__(self, inner):
        self.url, self.server_version, self.check, self.proof = (
            inner.url,
            inner.server_version,
            inner.check,
            inner.proof,
        )


@wrapping("wrapper 6", "codec")
class CodecCanLess:
    """That a file can be decoded by a command is lost."""

    def __init__(self, inner):
        self.suffix, self.encode, self.decoder = inner.suffix, inner.encode, inner.decoder


add_suites(globals(), suite_of)
