# mypy: ignore-errors
"""Storages that break one sentence each: others."""

import os
import socket

from holdfast.api import Stat
from support.contract import add_suites, breaks
from support.contract.sound_storage import Memory, suite_of


@breaks("storage 14")
class MissingNotDeleted(Memory):
    """To delete what is missing is an error."""

    def delete(self, path):
        self.data(path)
        super().delete(path)


@breaks("storage 14")
class DeletedLater(Memory):
    """What is deleted is only not listed any more."""

    def __init__(self, place):
        super().__init__(place)
        self.deleted = place.__dict__.setdefault("deleted", set())

    def list(self, prefix=""):
        return [stat for stat in super().list(prefix) if stat.path not in self.deleted]

    def delete(self, path):
        self.deleted.add(path)


@breaks("storage 14")
class NeverAgain(Memory):
    """The name of what was deleted stays taken."""

    def publish(self, path, data):
        if path in self.place.__dict__.setdefault("gone", set()):
            raise FileExistsError(path)
        super().publish(path, data)

    def delete(self, path):
        super().delete(path)
        self.place.__dict__.setdefault("gone", set()).add(path)


@breaks("storage 15")
class DeletesAlike(Memory):
    """All that begins alike is deleted."""

    def delete(self, path):
        for name in [name for name in self.place.objects if name.startswith(path)]:
            super().delete(name)


@breaks("storage 15")
class DeletesFolder(Memory):
    """The folder goes with its object."""

    def delete(self, path):
        folder = path.rpartition("/")[0]
        for name in [name for name in self.place.objects if name.rpartition("/")[0] == folder]:
            super().delete(name)


@breaks("storage 15")
class DeletesUpwards(Memory):
    """What is the beginning of the path is deleted too."""

    def delete(self, path):
        for name in [name for name in self.place.objects if f"{path}/".startswith(f"{name}/")]:
            super().delete(name)


@breaks("storage 16")
class NothingToSync(Memory):
    """A barrier with nothing to make durable is an error."""

    def barrier(self):
        if not self.place.objects:
            raise OSError("nothing to sync")


@breaks("storage 16")
class SyncsWhatIsGone(Memory):
    """A barrier looks for what was deleted since."""

    def publish(self, path, data):
        super().publish(path, data)
        self.place.__dict__.setdefault("unsynced", []).append(path)

    def barrier(self):
        for path in self.place.__dict__.get("unsynced", []):
            self.data(path)


@breaks("storage 17")
class Remembers(Memory):
    """What was read is remembered."""

    def __init__(self, place):
        super().__init__(place)
        self.known = {}

    def data(self, path):
        if path not in self.known:
            self.known[path] = super().data(path)
        return self.known[path]

    def publish(self, path, data):
        super().publish(path, data)
        self.known[path] = data

    def delete(self, path):
        super().delete(path)
        self.known.pop(path, None)


@breaks("storage 17")
class ListsAsOpened(Memory):
    """The listing is that of the opening, with what was written since."""

    def __init__(self, place):
        super().__init__(place)
        self.index = dict(place.objects)

    def publish(self, path, data):
        super().publish(path, data)
        self.index[path] = data

    def delete(self, path):
        super().delete(path)
        self.index.pop(path, None)

    def list(self, prefix=""):
        folder = f"{prefix}/" if prefix else ""
        return [Stat(path=path, size=len(data)) for path, data in self.index.items() if path.startswith(folder)]


@breaks("storage 17")
class FlushedByBarrier(Memory):
    """Others see nothing before the barrier."""

    def __init__(self, place):
        super().__init__(place)
        self.mine = {}

    def publish(self, path, data):
        if path in self.mine or path in self.place.objects:
            raise FileExistsError(path)
        self.mine[path] = data

    def data(self, path):
        return self.mine[path] if path in self.mine else super().data(path)

    def barrier(self):
        self.place.objects |= self.mine


@breaks("storage 18")
class TwoLines(Memory):
    """Where it is takes two lines."""

    location = "memory\nplace"


@breaks("storage 18")
class Nowhere(Memory):
    """It does not say where it is."""

    location = ""


@breaks("storage 18")
class TellsSecrets(Memory):
    """Its location is the whole URL."""

    location = "memory://user:s3cret@place"


@breaks("storage 19")
class HalfIsWhole(Memory):
    """What a dead writer wrote has the name of the object."""

    def die_with_writer(self, path):
        self.place.objects[path] = b"half"


@breaks("storage 19")
class HalfStays(Memory):
    """What a dead writer left cannot be deleted."""

    def delete(self, path):
        self.place.objects.pop(path, None)


@breaks("storage 19")
class HalfBlocks(Memory):
    """What a dead writer left keeps everybody from the name."""

    def publish(self, path, data):
        if f"{path}.partial" in self.place.unfinished:
            raise FileExistsError(path)
        super().publish(path, data)


@breaks("storage 20")
class WalksEverywhere(Memory):
    """Folders are not left out."""

    def walk(self, prefix, enter):
        return self.list(prefix)


@breaks("storage 20")
class AsksForNames(Memory):
    """Folders are asked for by their names, not their paths."""

    def walk(self, prefix, enter):
        return super().walk(prefix, lambda path: enter(path.rpartition("/")[2]))


@breaks("storage 20")
class WalksOneDown(Memory):
    """Walking ends two folders down."""

    def walk(self, prefix, enter):
        return [stat for stat in super().walk(prefix, enter) if stat.path.count("/") < 3]


class Renames(Memory):
    """Renames folders as it should."""

    def rename(self, old, new):
        self.check(old, new)
        for path in [path for path in self.place.objects if path.startswith(f"{old}/")]:
            self.place.objects[new + path.removeprefix(old)] = self.place.objects.pop(path)

    def check(self, old, new):
        if any(path.startswith(f"{new}/") for path in self.place.objects):
            raise FileExistsError(new)
        if not any(path.startswith(f"{old}/") for path in self.place.objects):
            raise FileNotFoundError(old)


@breaks("storage 27")
class RenamesOver(Renames):
    """What lies below the new name is no hindrance."""

    def check(self, old, new):
        if any(path.startswith(f"{old}/") for path in self.place.objects):
            return
        super().check(old, new)


@breaks("storage 27")
class RenamesNothing(Renames):
    """A folder that is not there is renamed without a word."""

    def check(self, old, new):
        if any(path.startswith(f"{old}/") for path in self.place.objects):
            super().check(old, new)


@breaks("storage 27")
class RenamesBeginnings(Renames):
    """What begins alike goes along."""

    def rename(self, old, new):
        self.check(old, new)
        for path in [path for path in self.place.objects if path.startswith(old)]:
            self.place.objects[new + path.removeprefix(old)] = self.place.objects.pop(path)


@breaks("storage 27")
class RenamesOneFloor(Renames):
    """Folders in it stay behind."""

    def rename(self, old, new):
        self.check(old, new)
        for path in [path for path in self.place.objects if path.rpartition("/")[0] == old]:
            self.place.objects[new + path.removeprefix(old)] = self.place.objects.pop(path)


@breaks("storage 28")
class FetchesWholePaths(Memory):
    """What is fetched lies below its whole path."""

    def fetch_steps(self, folder):
        return [f"mkdir -p {folder} && cd {folder}", *super().fetch_steps(folder)]


@breaks("storage 28")
class FetchesMore(Memory):
    """What begins alike is fetched too."""

    def fetch_steps(self, folder):
        return [*super().fetch_steps(folder), *super().fetch_steps(f"{folder}c")]


@breaks("storage 28")
class ForgetsEmpty(Memory):
    """An empty object is not fetched."""

    def fetch_steps(self, folder):
        return [line for line in super().fetch_steps(folder) if not line.startswith("printf %s '' ")]


@breaks("storage 28")
class ShowsSecret(Memory):
    """The lines hold the password of the URL."""

    def fetch_steps(self, folder):
        return [": s3cret", *super().fetch_steps(folder)]


@breaks("storage 28")
class FetchesNothing(Memory):
    """The program is not there."""

    def fetch_steps(self, folder):
        return [f"no-such-program copy {folder} ."]


@breaks("storage 39")
class ChangesFolder(Memory):
    """Whoever lists is in another folder afterwards."""

    def list(self, prefix=""):
        os.chdir("/")
        return super().list(prefix)


@breaks("storage 39")
class SetsTimeout(Memory):
    """All sockets of the program get its timeout."""

    def read(self, path, offset=0, length=None):
        socket.setdefaulttimeout(5)
        return super().read(path, offset, length)


add_suites(globals(), suite_of)
