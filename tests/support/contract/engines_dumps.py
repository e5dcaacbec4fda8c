# mypy: ignore-errors
"""Engines whose dumps break one sentence each."""

import threading
from contextlib import contextmanager
from dataclasses import replace

from holdfast.api import CredentialsError, Facts, Source, Stream
from holdfast.errors import IntegrityError
from support.contract import add_suites, breaks
from support.contract.sound_engine import PASSWORD, Dump, Shelf, name_of, suite_of, with_part

counter = iter(range(1_000_000))


@breaks("engine 1")
@with_part("dump")
class NamedTwice(Dump):
    """Two streams have one name."""

    @property
    def streams(self):
        return [*super().streams, super().streams[0]]


@breaks("engine 1")
@with_part("dump")
class NoStreams(Dump):
    """It has no stream."""

    streams = ()


@breaks("engine 1")
@with_part("dump")
class Nameless(Dump):
    """A stream has no name."""

    @property
    def streams(self):
        return [*super().streams, Stream(name="")]

    def data(self, name):
        return self.held.get(name, b"")


@breaks("engine 1")
@with_part("dump")
class StreamsGrow(Dump):
    """Reading brings further streams to light."""

    def read(self, stream):
        yield from super().read(stream)
        self.held.setdefault("more", b"")


@breaks("engine 2")
@with_part("dump")
class Texts(Dump):
    """Chunks are text."""

    def read(self, stream):
        for chunk in super().read(stream):
            yield chunk.decode()


@breaks("engine 2")
@with_part("dump")
class Rows(Dump):
    """A chunk is a row."""

    def read(self, stream):
        for chunk in super().read(stream):
            yield from chunk.splitlines(keepends=True)


@breaks("engine 2")
class OneChunk(Shelf):
    """A stream is one chunk, however long it is."""

    def __init__(self, server):
        super().__init__(server)
        server.databases["source"]["books"] *= 2

    class make_dump(Dump):  # noqa: N801
        def read(self, stream):
            yield self.data(stream.name)


@breaks("engine 3")
@with_part("dump")
class LastStreamLost(Dump):
    """The last stream is not listed."""

    @property
    def streams(self):
        return super().streams[:-1]


@breaks("engine 3")
@with_part("dump")
class EmptyLost(Dump):
    """What is empty is left out."""

    @property
    def streams(self):
        return [stream for stream in super().streams if self.held[stream.name]]


@breaks("engine 3")
@with_part("dump")
class FirstChunkOnly(Dump):
    """A stream ends after its first chunk."""

    def read(self, stream):
        for chunk in super().read(stream):
            yield chunk
            return


@breaks("engine 3")
@with_part("dump")
class BufferUsedAgain(Dump):
    """Chunks are views of a buffer, into which the next one goes."""

    def read(self, stream):
        buffer = bytearray(1 << 20)
        for number, chunk in enumerate(super().read(stream)):
            buffer[: len(chunk)] = bytes([number]) * len(chunk) if number else chunk
            yield memoryview(buffer)[: len(chunk)]


@breaks("engine 4")
@with_part("dump")
class Marks(Dump):
    """A dump leaves a mark in its source."""

    def leave(self):
        super().leave()
        self.engine.server.databases[name_of(self.request.url)]["last_backup"] = b"now"


@breaks("engine 4")
@with_part("dump")
class LeavesCopy(Dump):
    """A dump leaves a copy beside its source."""

    def __init__(self, engine, request):
        super().__init__(engine, request)
        engine.server.databases["copy"] = dict(self.held)


@breaks("engine 5")
@with_part("dump")
class BytesInFacts(Dump):
    """The hints hold what JSON cannot."""

    def facts(self):
        return Facts(hints={"position": {1, 2}, "object": self})


@breaks("engine 5")
@with_part("dump")
class SecretInFacts(Dump):
    """The URL stands in the steps of a restore by hand."""

    def facts(self):
        return Facts(restore_steps=(f"shelf-load {self.request.url}",))


@breaks("engine 5")
@with_part("dump")
class SecretInFile(Dump):
    """A file that lies with the backup holds the password."""

    def facts(self):
        return Facts(files={"load.sh": f"export PASSWORD={PASSWORD}".encode()})


@breaks("engine 5")
@with_part("dump")
class OneWarning(Dump):
    """Warnings are a text, and not lines."""

    def facts(self):
        return Facts(warnings="everything is well")


@breaks("engine 5")
@with_part("dump")
class NoVersion(Dump):
    """The version is none."""

    def facts(self):
        return Facts(server_version=None)


@breaks("engine 6")
@with_part("dump")
class AnotherEachTime(Dump):
    """Each connection is another database."""

    def __init__(self, engine, request):
        super().__init__(engine, request)
        self.source = Source(name="source", identity=f"connection {next(counter)}")


@breaks("engine 6")
@with_part("dump")
class AllTheSame(Dump):
    """All databases of a server are one."""

    def __init__(self, engine, request):
        super().__init__(engine, request)
        self.source = Source(name=self.source.name, identity="host")


@breaks("engine 6")
@with_part("dump")
class SecretIdentity(Dump):
    """The URL with its password is the identity."""

    def __init__(self, engine, request):
        super().__init__(engine, request)
        self.source = Source(name=self.source.name, identity=request.url)


@breaks("engine 6")
@with_part("dump")
class NoName(Dump):
    """A database has no name."""

    def __init__(self, engine, request):
        super().__init__(engine, request)
        self.source = Source(name="", identity=self.source.identity)


@breaks("engine 7")
class LockKept(Shelf):
    """After an error the lock of the source stays."""

    locked = False

    @contextmanager
    def dump(self, request):
        if self.locked:
            raise CredentialsError("the source is locked")
        self.locked = True
        yield self.make_dump(self, request)
        self.locked = False


@breaks("engine 7")
class LockedByReading(Shelf):
    """What was begun to be read and not read to its end stays open."""

    open_reads = 0

    class make_dump(Dump):  # noqa: N801
        def __init__(self, engine, request):
            if engine.open_reads:
                raise CredentialsError("the source is in use")
            super().__init__(engine, request)

        def read(self, stream):
            self.engine.open_reads += 1
            self.engine.kept = reading = super().read(stream)
            yield from iter(list(reading))
            self.engine.open_reads -= 1


@breaks("engine 7")
@with_part("dump")
class ThreadLeft(Dump):
    """A thread that watches the source goes on."""

    def __init__(self, engine, request):
        super().__init__(engine, request)
        threading.Thread(target=threading.Event().wait, args=(1.0,), daemon=True).start()


@breaks("engine 8")
@with_part("dump")
class GoesOn(Dump):
    """A read that is closed goes on."""

    def read(self, stream):
        for chunk in super().read(stream):
            try:
                yield chunk
            except GeneratorExit:
                yield chunk


@breaks("engine 8")
@with_part("dump")
class ClosedIsDamage(Dump):
    """A read that is closed early takes the source for damaged."""

    def read(self, stream):
        complete = False
        try:
            yield from super().read(stream)
            complete = True
        finally:
            if not complete:
                raise IntegrityError("the stream is not complete")


@breaks("engine 9")
@with_part("dump")
class ReadsOn(Dump):
    """A read waits for the server, whether its dump was left or not."""

    def read(self, stream):
        for number, chunk in enumerate(super().read(stream)):
            if number == 1:
                threading.Event().wait(1.5)
            yield chunk

    def leave(self):
        pass


@breaks("engine 31")
@with_part("dump")
class PromisesMore(Dump):
    """An exact size is that of what was there before."""

    @property
    def streams(self):
        return [replace(stream, size=len(self.held[stream.name]) + 1, exact=True) for stream in super().streams]


@breaks("engine 31")
@with_part("dump")
class YieldsLess(Dump):
    """A read of a stream of an exact size ends before its last byte."""

    @property
    def streams(self):
        return [replace(stream, size=len(self.held[stream.name]), exact=True) for stream in super().streams]

    def data(self, name):
        return super().data(name)[:-1]


add_suites(globals(), suite_of, Shelf)
