# mypy: ignore-errors
"""Wrappers that break one sentence each."""

from contextlib import contextmanager

import pytest

from holdfast.api import HoldfastError, hookimpl
from holdfast.testing import WrapperSuite
from support.contract import add_suites, breaks


class Around:
    """Hands everything on, by way of an object that passes all attributes."""

    def __init__(self, inner):
        self.inner = inner

    def __getattr__(self, name):
        return getattr(self.inner, name)


class Wrapper:
    codec = storage = hasher = session = restore = scratch = staticmethod(lambda inner: inner)

    @hookimpl(wrapper=True)
    def holdfast_compress(self):
        result = yield
        return result and self.codec(result)

    @hookimpl(wrapper=True)
    def holdfast_storage(self):
        result = yield
        return result and self.storage(result)

    @hookimpl(wrapper=True)
    def holdfast_checksum(self):
        result = yield
        return result and self.hasher(result)

    @hookimpl(wrapper=True)
    def holdfast_dump(self, request):
        result = yield
        return result and self.around(result)

    @hookimpl(wrapper=True)
    def holdfast_restore(self, request):
        result = yield
        return result and self.around_restore(result)

    @hookimpl(wrapper=True)
    def holdfast_scratch(self, request):
        result = yield
        return result and self.around_scratch(result)

    @contextmanager
    def around(self, context):
        with context as session:
            yield self.session(session)

    @contextmanager
    def around_restore(self, context):
        with context as session:
            yield self.restore(session)

    @contextmanager
    def around_scratch(self, context):
        with context as scratch:
            yield self.scratch(scratch)


def wrapping(sentence, part):
    """A mutant that puts an object around what was opened."""

    def mark(around):
        names = {part: staticmethod(around), "__doc__": around.__doc__}
        return breaks(sentence)(type(around.__name__, (Wrapper,), names))

    return mark


@breaks("wrapper 1")
class Twice(Wrapper):
    """A dump is opened once to look, and again to read."""

    @contextmanager
    def around(self, context):
        with context as session:
            engine = session._engine
            engine.trace += ["enter", "leave"]
            yield session


@wrapping("wrapper 2", "storage")
class OffsetLost(Around):
    """It reads from the start."""

    def read(self, path, offset=0, length=None):
        return self.inner.read(path)[:length]


@wrapping("wrapper 2", "storage")
class CountsWrong(Around):
    """It writes no more than a limit, and drops the rest."""

    @contextmanager
    def writer(self, path):
        with self.inner.writer(path) as writer:
            left = [1 << 20]

            class Limited:
                def write(self, data):
                    writer.write(data[: left[0]])
                    left[0] = max(0, left[0] - len(data))

            yield Limited()


@wrapping("wrapper 2", "codec")
class EncodesMore(Around):
    """It puts a mark before each frame, which its decoder takes away."""

    def encode(self, block):
        return b"\0" + bytes(self.inner.encode(block))

    def decoder(self):
        inner = self.inner.decoder()

        class Unmarked(Around):
            def decode(self, data):
                yield from inner.decode(bytes(data)[1:])

        return Unmarked(inner)


@wrapping("wrapper 2", "session")
class StreamsFiltered(Around):
    """It leaves out streams that are empty."""

    @property
    def streams(self):
        return [stream for stream in self.inner.streams if stream.name != "empty"]


@breaks("wrapper 3")
class ServesNothing(Wrapper):
    """What is not served becomes a context of nothing."""

    @hookimpl(wrapper=True)
    def holdfast_dump(self, request):
        result = yield
        return self.around(result)


@breaks("wrapper 3")
class ListsNothing(Wrapper):
    """That databases cannot be listed becomes that there are none."""

    @hookimpl(wrapper=True)
    def holdfast_databases(self):
        result = yield
        return result or []


@breaks("wrapper 4")
class Translates(Wrapper):
    """Every error becomes one of its own."""

    @hookimpl(wrapper=True)
    def holdfast_storage(self):
        try:
            return (yield)
        except Exception as error:
            raise HoldfastError(f"the storage failed: {error}") from error


@breaks("wrapper 4")
class Swallows(Wrapper):
    """An error becomes nothing."""

    @hookimpl(wrapper=True)
    def holdfast_compress(self):
        try:
            return (yield)
        except Exception:  # noqa: BLE001
            return None


@wrapping("wrapper 4", "storage")
class MissingTranslated(Around):
    """What is missing is an error of its own."""

    def read(self, path, offset=0, length=None):
        try:
            return self.inner.read(path, offset, length)
        except OSError as error:
            raise HoldfastError(f"cannot read {path}") from error


@breaks("wrapper 5")
class NeverLeft(Wrapper):
    """After an error what was entered is not left."""

    @contextmanager
    def around(self, context):
        self.kept = context
        session = context.__enter__()
        yield session
        context.__exit__(None, None, None)


@breaks("wrapper 5")
class ErrorKept(Wrapper):
    """What is raised in the block does not come out."""

    @contextmanager
    def around(self, context):
        try:
            with context as session:
                yield session
        except HoldfastError:
            pass


@breaks("wrapper 5")
class InterruptKept(Wrapper):
    """What ends a program does not come out."""

    @contextmanager
    def around(self, context):
        try:
            with context as session:
                yield session
        except KeyboardInterrupt:
            pass


class Required:
    """Only what every session has."""

    def __init__(self, inner):
        self.streams, self.read, self.proof, self.facts = inner.streams, inner.read, inner.proof, inner.facts


@wrapping("wrapper 6", "session")
class SourceLost(Required):
    """It has what every session has, and not which database this is."""


@wrapping("wrapper 6", "session")
class SourceChanged(Around):
    """The database is another one."""

    @property
    def source(self):
        from holdfast.api import Source

        return Source(name=self.inner.source.name, identity="wrapped")

    @property
    def streams(self):
        return self.inner.streams


@wrapping("wrapper 7", "hasher")
class DigestsMore(Around):
    """It counts, and adds the length to the digest."""

    def hexdigest(self):
        return self.inner.hexdigest() + "08"


@wrapping("wrapper 7", "hasher")
class DigestsOnce(Around):
    """Only the first chunk goes on."""

    def update(self, data):
        self.inner.update(data)
        self.update = lambda data: None


def suite_of(tested):
    class Suite(WrapperSuite):
        @pytest.fixture
        def plugin(self):
            return tested()

    return Suite


add_suites(globals(), suite_of, Wrapper)
