# mypy: ignore-errors
"""Storages that break one sentence each: what they keep although somebody deletes it."""

import math
import os
import shutil
import tempfile
import time
import weakref
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from holdfast.api import Retention, Version
from support.contract import add_suites, breaks
from support.contract.sound_storage import Memory, suite_of


class Keeps(Memory):
    """Keeps objects for a time, and all that there has been as versions."""

    def __init__(self, place):
        super().__init__(place)
        self.kept = place.__dict__.setdefault("kept", {})
        self.history = place.__dict__.setdefault("history", [])

    def publish(self, path, data):
        super().publish(path, data)
        self.history.append((path, str(len(self.history)), data))

    def delete(self, path):
        if path in self.place.objects:
            self.history.append((path, str(len(self.history)), None))
        self.kept.pop(path, None)
        super().delete(path)

    def check_retention(self, retention):
        pass

    @contextmanager
    def retained_writer(self, path, retention):
        with self.writer(path) as writer:
            yield writer
        if retention is not None:
            self.kept[path] = retention

    def retain(self, path, retention):
        there = self.kept.get(path, retention)
        mode = "compliance" if "compliance" in (there.mode, retention.mode) else "governance"
        self.kept[path] = Retention(until=max(there.until, retention.until), mode=mode)

    def retention(self, path):
        self.data(path)
        return self.kept.get(path)

    def versions(self, prefix=""):
        newest = {path: number for path, number, _ in self.history}
        for path, number, data in self.history:
            if not prefix or path.startswith(f"{prefix}/"):
                yield Version(
                    path=path,
                    id=number,
                    size=len(data or b""),
                    at=datetime.now(UTC),
                    newest=newest[path] == number,
                    deletion=data is None,
                )

    def read_version(self, path, version, offset=0, length=None):
        data = next(data for each, number, data in self.history if (each, number) == (path, version))
        return data[offset : None if length is None else offset + length]

    def bring_back(self, path, version):
        data = self.read_version(path, version)
        if self.place.objects.get(path) != data:
            self.history.append((path, str(len(self.history)), data))
            self.place.objects[path] = data


@breaks("storage 35")
class KeepsNothing(Keeps):
    """What was asked is forgotten."""

    @contextmanager
    def retained_writer(self, path, retention):
        with self.writer(path) as writer:
            yield writer


@breaks("storage 35")
class KeepsADayLess(Keeps):
    """The date is another one."""

    def retention(self, path):
        kept = super().retention(path)
        return kept and replace(kept, until=kept.until.replace(year=kept.until.year - 1))


@breaks("storage 35")
class KeepsClaims(Keeps):
    """What has to be replaced is kept as well."""

    @contextmanager
    def retained_writer(self, path, retention):
        forever = Retention(until=datetime(2999, 1, 1, tzinfo=UTC), mode="compliance")
        with super().retained_writer(path, retention or forever) as writer:
            yield writer


@breaks("storage 35")
class OverwritesWhatIsKept(Keeps):
    """A retained writer writes over what is there."""

    @contextmanager
    def retained_writer(self, path, retention):
        self.place.objects.pop(path, None)
        with super().retained_writer(path, retention) as writer:
            yield writer


@breaks("storage 35")
class ChecksByWriting(Keeps):
    """Whether it can keep anything is tried, and the trial stays."""

    def check_retention(self, retention):
        if "trial" not in self.place.objects:
            self.publish("trial", b"x")


@breaks("storage 35")
class NothingKeepsTheMissing(Keeps):
    """What is not there is not kept."""

    def retention(self, path):
        return self.kept.get(path)


@breaks("storage 36")
class Shortens(Keeps):
    """The last date holds."""

    def retain(self, path, retention):
        self.kept[path] = retention


@breaks("storage 36")
class Weakens(Keeps):
    """The last mode holds."""

    def retain(self, path, retention):
        super().retain(path, retention)
        self.kept[path] = replace(self.kept[path], mode=retention.mode)


@breaks("storage 36")
class NeverLonger(Keeps):
    """The first date holds."""

    def retain(self, path, retention):
        self.kept.setdefault(path, retention)


@breaks("storage 37")
class TellsTheNewest(Keeps):
    """Only what is there now, or was last."""

    def versions(self, prefix=""):
        return [version for version in super().versions(prefix) if version.newest]


@breaks("storage 37")
class TellsAThousand(Keeps):
    """One page of them."""

    def versions(self, prefix=""):
        return [*super().versions(prefix)][:1000]


@breaks("storage 37")
class TellsBeginnings(Keeps):
    """What begins alike is told too."""

    def versions(self, prefix=""):
        return [version for version in super().versions() if version.path.startswith(prefix)]


@breaks("storage 37")
class ReadsWholeVersions(Keeps):
    """Whatever part is asked for."""

    def read_version(self, path, version, offset=0, length=None):
        return super().read_version(path, version)


@breaks("storage 37")
class ReadsTheNewest(Keeps):
    """Every version is what is there now."""

    def read_version(self, path, version, offset=0, length=None):
        return self.read(path, offset, length)


@breaks("storage 37")
class DeletionsAreContents(Keeps):
    """Which they are not."""

    def versions(self, prefix=""):
        return [replace(version, deletion=False) for version in super().versions(prefix)]

    def read_version(self, path, version, offset=0, length=None):
        data = next(data for each, number, data in self.history if (each, number) == (path, version))
        return (data or b"")[offset : None if length is None else offset + length]


@breaks("storage 38")
class BringsBackNothing(Keeps):
    """What was overwritten stays so."""

    def bring_back(self, path, version):
        if path not in self.place.objects:
            super().bring_back(path, version)


@breaks("storage 38")
class BringsBackForWhatIsThere(Keeps):
    """What is there is gone with all of its versions."""

    def bring_back(self, path, version):
        data = self.read_version(path, version)
        self.history[:] = [each for each in self.history if each[0] != path or each[2] in (data, None)]
        super().bring_back(path, version)


class Aged(Memory):
    """Has no leases, and tells how old what lies in a folder is."""

    def __init__(self, place):
        super().__init__(place)
        self.times = place.__dict__.setdefault("times", {})

    def publish(self, path, data):
        super().publish(path, data)
        self.times[path] = time.monotonic()

    def age(self, folder):
        times = [at for path, at in self.times.items() if path in self.place.objects and self.lies_in(path, folder)]
        return time.monotonic() - max(times) if times else math.inf

    def lies_in(self, path, folder):
        return path.startswith(f"{folder}/")

    @contextmanager
    def lease(self, name, ttl=60.0):
        yield


@breaks("storage 40")
class AgeSinceOpening(Aged):
    """What others have written is not known."""

    def __init__(self, place):
        super().__init__(place)
        self.times = {}


@breaks("storage 40")
class AgeOfTheOldest(Aged):
    """What is in the folder since when."""

    def age(self, folder):
        times = [at for path, at in self.times.items() if self.lies_in(path, folder)]
        return time.monotonic() - min(times) if times else math.inf


@breaks("storage 40")
class AgeOfNothing(Aged):
    """Nothing is as new as can be, so that every leftover is at work for ever."""

    def age(self, folder):
        return min(super().age(folder), 0.0)


@breaks("storage 40")
class AgeOfAll(Aged):
    """Of whatever begins alike."""

    def lies_in(self, path, folder):
        return path.startswith(folder)


@breaks("storage 40")
class AgedAndLocked(Aged):
    """There are leases after all, which nobody renews."""

    lease = Memory.lease


class InFolder(Memory):
    """Keeps its objects as files too."""

    def __init__(self, place):
        super().__init__(place)
        if not hasattr(place, "root"):
            place.root = tempfile.mkdtemp()
            weakref.finalize(place, shutil.rmtree, place.root)
        self.root = place.root

    @property
    def folder(self):
        return self.root

    def publish(self, path, data):
        super().publish(path, data)
        file = Path(self.root, path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)


@breaks("storage 41")
class FolderOfAnother(InFolder):
    """Its folder is that of the service, which this machine has not."""

    folder = "/srv/objects"


@breaks("storage 41")
class RelativeFolder(InFolder):
    """Its folder is another one once somebody has changed the current one."""

    @property
    def folder(self):
        return os.path.relpath(self.root)


add_suites(globals(), suite_of, Keeps, Aged, InFolder)
