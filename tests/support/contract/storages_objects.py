# mypy: ignore-errors
"""Storages that break one sentence each: objects."""

from contextlib import contextmanager

from support.contract import add_suites, breaks
from support.contract.sound_storage import Memory, Writer, suite_of


@breaks("storage 1")
class MarksThePlace(Memory):
    """Opening leaves a mark in the place."""

    def __init__(self, place):
        super().__init__(place)
        place.objects.setdefault(".created", b"")


@breaks("storage 1")
class MissingIsAnError(Memory):
    """A place that holds nothing cannot be listed."""

    def list(self, prefix=""):
        if not self.place.objects:
            raise FileNotFoundError(prefix)
        return super().list(prefix)


@breaks("storage 2")
class OffsetIgnored(Memory):
    """A part is read from the start."""

    def read(self, path, offset=0, length=None):
        return self.data(path)[:length]


@breaks("storage 2")
class LengthIsEnd(Memory):
    """The length is taken for the end."""

    def read(self, path, offset=0, length=None):
        return self.data(path)[offset:length]


@breaks("storage 2")
class OneByteLess(Memory):
    """The last byte of a range is missing, as where its end counts as in."""

    def read(self, path, offset=0, length=None):
        end = None if length is None else max(offset, min(offset + length, len(self.data(path))) - 1)
        return self.data(path)[offset:end]


@breaks("storage 2")
class ShortReads(Memory):
    """Never more than 8 MiB come at once."""

    def read(self, path, offset=0, length=None):
        return super().read(path, offset, length)[: 8 << 20]


@breaks("storage 2")
class BeyondTheEnd(Memory):
    """To ask beyond the end is an error, as of many services."""

    def read(self, path, offset=0, length=None):
        if offset and offset >= len(self.data(path)):
            raise OSError(22, "the range is not satisfiable")
        return super().read(path, offset, length)


@breaks("storage 2")
class Bytearrays(Memory):
    """What is read is no bytes."""

    def read(self, path, offset=0, length=None):
        return bytearray(super().read(path, offset, length))


@breaks("storage 2")
class LastPartLost(Memory):
    """What does not fill a part of 5 MiB is lost, once there is a full one."""

    def publish(self, path, data):
        part = 5 << 20
        super().publish(path, data[: len(data) // part * part] if len(data) > part else data)


@breaks("storage 3")
class EmptyIsNothing(Memory):
    """What holds no bytes is not stored."""

    def publish(self, path, data):
        if data:
            super().publish(path, data)


@breaks("storage 3")
class WrittenByWriting(Memory):
    """An object is made by the first write."""

    @contextmanager
    def writer(self, path):
        with super().writer(path) as writer:
            writer.begun = False
            write = writer.write

            def begin(data):
                writer.begun = True
                write(data)

            writer.write = begin
            yield writer
            if not writer.begun:
                raise OSError("nothing was written")


class KeepingWriter(Writer):
    def __init__(self, storage, path):
        super().__init__(storage, path)
        self.chunks = []

    def write(self, data):
        self.chunks.append(data)

    @property
    def data(self):
        return b"".join(map(bytes, self.chunks))

    @data.setter
    def data(self, data):
        pass


@breaks("storage 4")
class ChunksKept(Memory):
    """Chunks are kept until the end, and not what was in them."""

    make_writer = KeepingWriter


class LateWriter(Writer):
    waiting = b""

    def write(self, data):
        self.data += self.waiting
        self.waiting = data

    def close(self):
        self.data += self.waiting


@breaks("storage 4")
class ChunkLate(Memory):
    """The last chunk is kept until the next one comes."""

    make_writer = LateWriter

    @contextmanager
    def writer(self, path):
        with super().writer(path) as writer:
            yield writer
            writer.close()


@breaks("storage 5")
class VisibleAtOnce(Memory):
    """An object is there as soon as its writer is."""

    @contextmanager
    def writer(self, path):
        writer = Writer(self, path)
        self.publish(path, b"")
        try:
            yield writer
        except BaseException:
            self.delete(path)
            raise
        self.place.objects[path] = bytes(writer.data)


class PartWriter(Writer):
    def write(self, data):
        super().write(data)
        if len(self.data) > 5 << 20:
            self.storage.place.objects[self.path] = bytes(self.data)


@breaks("storage 5")
class PartsVisible(Memory):
    """Large objects are visible from their first part on."""

    make_writer = PartWriter

    def publish(self, path, data):
        self.place.objects[path] = data


@breaks("storage 5")
class HalfListed(Memory):
    """What is being written is listed under its name."""

    @contextmanager
    def writer(self, path):
        self.place.unfinished.add(path)
        try:
            with super().writer(path) as writer:
                yield writer
        finally:
            self.place.unfinished.discard(path)


@breaks("storage 6")
class PublishedAnyway(Memory):
    """After an error the object is there as well."""

    @contextmanager
    def writer(self, path):
        writer = Writer(self, path)
        try:
            yield writer
        finally:
            self.publish(path, bytes(writer.data))


@breaks("storage 6")
class ExceptionsOnly(Memory):
    """Only exceptions keep an object from being published, not what ends a program."""

    @contextmanager
    def writer(self, path):
        writer = Writer(self, path)
        failed = False
        try:
            yield writer
        except Exception:
            failed = True
            raise
        finally:
            if not failed:
                self.publish(path, bytes(writer.data))


@breaks("storage 6")
class NameTaken(Memory):
    """After an error the name stays taken."""

    @contextmanager
    def writer(self, path):
        if path in self.place.unfinished:
            raise FileExistsError(path)
        with super().writer(path) as writer:
            self.place.unfinished.add(path)
            yield writer
            self.place.unfinished.discard(path)


add_suites(globals(), suite_of, Memory)
