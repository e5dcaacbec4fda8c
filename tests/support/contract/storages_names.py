# mypy: ignore-errors
"""Storages that break one sentence each: names."""

import time
from contextlib import contextmanager

from holdfast.api import Stat
from support.contract import add_suites, breaks
from support.contract.sound_storage import Memory, Writer, suite_of


@breaks("storage 7")
class Overwrites(Memory):
    """The last writer wins."""

    @contextmanager
    def writer(self, path):
        writer = Writer(self, path)
        yield writer
        self.place.objects[path] = bytes(writer.data)


@breaks("storage 7")
class SameIsWell(Memory):
    """What has the same bytes may be written again, as if it had not been there."""

    @contextmanager
    def writer(self, path):
        writer = Writer(self, path)
        yield writer
        if self.place.objects.get(path) != bytes(writer.data):
            self.publish(path, bytes(writer.data))


@breaks("storage 7")
class AnotherError(Memory):
    """That an object exists is an error of another class."""

    @contextmanager
    def writer(self, path):
        try:
            with super().writer(path) as writer:
                yield writer
        except FileExistsError as error:
            raise OSError(5, "412 precondition failed") from error


@breaks("storage 7")
class KnowsItsOwn(Memory):
    """Only what was written by the same opening is known to be there."""

    def __init__(self, place):
        super().__init__(place)
        self.written = set()

    @contextmanager
    def writer(self, path):
        if path in self.written:
            raise FileExistsError(path)
        writer = Writer(self, path)
        yield writer
        self.place.objects[path] = bytes(writer.data)
        self.written.add(path)


@breaks("storage 8")
class StartOnly(Memory):
    """Whether an object exists is asked at the start alone."""

    def publish(self, path, data):
        self.place.objects[path] = data


@breaks("storage 8")
class LateIsQuiet(Memory):
    """Whoever ends second is not told."""

    def publish(self, path, data):
        self.place.objects.setdefault(path, data)


@breaks("storage 8")
class OneTemporaryName(Memory):
    """Both write to one temporary object."""

    @contextmanager
    def writer(self, path):
        if path in self.place.objects:
            raise FileExistsError(path)
        writer = Writer(self, path)
        writer.data = self.place.__dict__.setdefault("temporary", {}).setdefault(path, bytearray())
        yield writer
        self.publish(path, bytes(writer.data))


@breaks("storage 8")
class BothLose(Memory):
    """While another writes, nobody can end."""

    @contextmanager
    def writer(self, path):
        writing = self.place.__dict__.setdefault("writing", [])
        writing.append(path)
        try:
            with super().writer(path) as writer:
                yield writer
                if writing.count(path) > 1:
                    raise FileExistsError(path)
        finally:
            writing.remove(path)


@breaks("storage 9")
class OneBuffer(Memory):
    """All writers of a storage have one buffer."""

    def __init__(self, place):
        super().__init__(place)
        self.buffer = bytearray()

    @contextmanager
    def writer(self, path):
        with super().writer(path) as writer:
            self.buffer.clear()
            writer.data = self.buffer
            time.sleep(0.001)
            yield writer


@breaks("storage 9")
class OnePosition(Memory):
    """All readers of a storage have one position."""

    def read(self, path, offset=0, length=None):
        self.position = offset
        time.sleep(0.0001)
        data = self.data(path)
        return data[self.position : None if length is None else self.position + length]


@breaks("storage 9")
class OneAtATime(Memory):
    """While an object is written, no other can be."""

    @contextmanager
    def writer(self, path):
        if self.place.__dict__.get("busy"):
            raise OSError(16, "busy")
        self.place.busy = True
        try:
            with super().writer(path) as writer:
                time.sleep(0.001)
                yield writer
        finally:
            self.place.busy = False


@breaks("storage 10")
class MissingIsEmpty(Memory):
    """What is missing holds nothing."""

    def data(self, path):
        return self.place.objects.get(path, b"")


@breaks("storage 10")
class MissingIsForeign(Memory):
    """What is missing is an error of the library."""

    def data(self, path):
        if path not in self.place.objects:
            raise KeyError(path)
        return self.place.objects[path]


@breaks("storage 10")
class StatOfAll(Memory):
    """Only reading finds out what is missing."""

    def stat(self, path):
        return Stat(path=path, size=len(self.place.objects.get(path, b"")))


@breaks("storage 10")
class BeginsAlike(Memory):
    """The first object that begins alike is taken."""

    def data(self, path):
        for name, data in self.place.objects.items():
            if name.startswith(path):
                return data
        raise FileNotFoundError(path)


@breaks("storage 11")
class PrefixIsBeginning(Memory):
    """A prefix is the beginning of a name."""

    def list(self, prefix=""):
        return [stat for stat in super().list() if stat.path.startswith(prefix)]


@breaks("storage 11")
class OneLevel(Memory):
    """Only what lies in the folder itself is listed."""

    def list(self, prefix=""):
        depth = prefix.count("/") + 1 if prefix else 0
        return [stat for stat in super().list(prefix) if stat.path.count("/") == depth]


@breaks("storage 11")
class RelativePaths(Memory):
    """Paths begin at the folder that is listed."""

    def list(self, prefix=""):
        cut = len(prefix) + 1 if prefix else 0
        return [Stat(path=stat.path[cut:], size=stat.size) for stat in super().list(prefix)]


@breaks("storage 11")
class NoSizes(Memory):
    """Sizes are not listed."""

    def list(self, prefix=""):
        return [Stat(path=stat.path, size=0) for stat in super().list(prefix)]


@breaks("storage 11")
class FoldersListed(Memory):
    """Folders are listed as objects."""

    def list(self, prefix=""):
        stats = super().list(prefix)
        folders = {stat.path.rpartition("/")[0] for stat in stats} - {"", prefix}
        return stats + [Stat(path=path, size=0) for path in folders]


@breaks("storage 11")
class MissingFolder(Memory):
    """A folder that is missing cannot be listed."""

    def list(self, prefix=""):
        stats = super().list(prefix)
        if prefix and not stats and self.place.objects:
            raise FileNotFoundError(prefix)
        return stats


@breaks("storage 11")
class NameOnly(Memory):
    """A stat has the last part of the path alone."""

    def stat(self, path):
        return Stat(path=path.rpartition("/")[2], size=super().stat(path).size)


@breaks("storage 12")
class FirstPage(Memory):
    """Only the first thousand are listed."""

    def list(self, prefix=""):
        return super().list(prefix)[:1000]


@breaks("storage 12")
class PageTwice(Memory):
    """The object at which a page ends is listed twice."""

    def list(self, prefix=""):
        stats = super().list(prefix)
        return stats[:1000] + stats[999:] if len(stats) > 1000 else stats


@breaks("storage 12")
class PageBorder(Memory):
    """The first object of the second page is passed over."""

    def list(self, prefix=""):
        stats = super().list(prefix)
        return stats[:1000] + stats[1001:]


@breaks("storage 13")
class CaseFolded(Memory):
    """Capitals become small letters."""

    def publish(self, path, data):
        super().publish(path.lower(), data)

    def data(self, path):
        return super().data(path.lower())


@breaks("storage 13")
class HiddenHidden(Memory):
    """What begins with a dot is not listed."""

    def list(self, prefix=""):
        return [stat for stat in super().list(prefix) if "/." not in stat.path]


@breaks("storage 13")
class NamesCut(Memory):
    """Long names are cut."""

    def publish(self, path, data):
        super().publish(path[:128], data)

    def data(self, path):
        return super().data(path[:128])


add_suites(globals(), suite_of)
