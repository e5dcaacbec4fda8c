# mypy: ignore-errors
"""Storages that break one sentence each: what they do in one request."""

import contextlib
from dataclasses import replace

from holdfast.api import Guarantee
from support.contract import add_suites, breaks
from support.contract.sound_storage import Memory, suite_of


class Streams(Memory):
    """Hands out objects as streams, and removes many."""

    def stream(self, path, offset=0):
        data = self.data(path)
        for at in range(offset, len(data), 1 << 20):
            yield data[at : at + (1 << 20)]

    def delete_many(self, paths):
        for path in paths:
            self.delete(path)

    def guarantees(self):
        return [Guarantee(name="versioning", holds=False)]

    def names(self, folder):
        below = [stat.path.removeprefix(f"{folder}/" if folder else "") for stat in self.list(folder)]
        return dict.fromkeys(path.partition("/")[0] for path in below if "/" in path)


@breaks("storage 30")
class StreamsFromTheStart(Streams):
    """Where it shall begin is not looked at."""

    def stream(self, path, offset=0):
        return super().stream(path, 0)


@breaks("storage 30")
class StreamsOnePiece(Streams):
    """Ends after a piece."""

    def stream(self, path, offset=0):
        yield from list(super().stream(path, offset))[:1]


@breaks("storage 30")
class StreamsWhatBeginsAlike(Streams):
    """A name that begins alike will do."""

    def stream(self, path, offset=0):
        names = sorted(name for name in self.place.objects if name.startswith(path))
        return super().stream(names[0] if names else path, offset)


@breaks("storage 30")
class StreamsNothing(Streams):
    """What is missing is empty."""

    def stream(self, path, offset=0):
        if path in self.place.objects:
            yield from super().stream(path, offset)


@breaks("storage 30")
class StreamsUpToTen(Streams):
    """Connections of streams that were left are not given back."""

    def __init__(self, place):
        super().__init__(place)
        self.open = 0

    def stream(self, path, offset=0):
        self.open += 1
        if self.open > 10:
            raise OSError("too many connections")
        yield from super().stream(path, offset)
        self.open -= 1


@breaks("storage 31")
class DeletesAThousand(Streams):
    """The rest stays."""

    def delete_many(self, paths):
        super().delete_many(paths[:1000])


@breaks("storage 31")
class DeletesBeginnings(Streams):
    """What begins alike goes along."""

    def delete_many(self, paths):
        for name in list(self.place.objects):
            if any(name.startswith(path) for path in paths):
                self.delete(name)


@breaks("storage 31")
class DeletesManyThatAreThere(Streams):
    """One that is missing is an error."""

    def delete_many(self, paths):
        for path in paths:
            self.data(path)
            self.delete(path)


@breaks("storage 32")
class NamesObjectsToo(Streams):
    """Whatever lies in the folder."""

    def names(self, folder):
        prefix = f"{folder}/" if folder else ""
        return dict.fromkeys(stat.path.removeprefix(prefix).partition("/")[0] for stat in self.list(folder))


@breaks("storage 32")
class NamesPaths(Streams):
    """As services return them."""

    def names(self, folder):
        return [f"{folder}/{name}" for name in super().names(folder)]


@breaks("storage 32")
class NamesEachObjectsFolder(Streams):
    """As often as there are objects in it."""

    def names(self, folder):
        prefix = f"{folder}/" if folder else ""
        return [path.partition("/")[0] for stat in self.list(folder) if "/" in (path := stat.path.removeprefix(prefix))]


@breaks("storage 32")
class NamesAThousand(Streams):
    """One page of them."""

    def names(self, folder):
        return [*super().names(folder)][:1000]


@breaks("storage 32")
class NamesNowhere(Streams):
    """A missing folder is an error."""

    def names(self, folder):
        if not (names := super().names(folder)):
            raise FileNotFoundError(folder)
        return names


@breaks("storage 33")
class VersionOfTheListing(Streams):
    """Another one with each listing."""

    def list(self, prefix=""):
        self.listed = getattr(self, "listed", 0) + 1
        return [replace(stat, version=str(self.listed)) for stat in super().list(prefix)]


@breaks("storage 33")
class VersionOfThePath(Streams):
    """The same whatever lies there."""

    def list(self, prefix=""):
        return [replace(stat, version=stat.path) for stat in super().list(prefix)]


@breaks("storage 34")
class LeavesItsProbe(Streams):
    """What it tries stays."""

    def guarantees(self):
        with contextlib.suppress(FileExistsError), self.writer("probe") as writer:
            writer.write(b"x")
        return super().guarantees()


@breaks("storage 34")
class TellsTwice(Streams):
    """One of them by both of its names."""

    def guarantees(self):
        return [*super().guarantees(), *super().guarantees()]


add_suites(globals(), suite_of)
