# mypy: ignore-errors
"""Storages that break one sentence each: at the ends of objects, parts and pages, and of what was lost."""

import threading
from contextlib import contextmanager

from support.contract import add_suites, breaks
from support.contract.sound_storage import Memory, Writer, suite_of
from support.contract.storages_requests import Streams as _Streams

_PART = 5 << 20


@breaks("storage 2")
class RangeOfEmpty(Memory):
    """A range of an empty object is an error, as services answer that it cannot be satisfied."""

    def read(self, path, offset=0, length=None):
        data = self.data(path)
        if (offset or length is not None) and not data:
            raise OSError("416: the range cannot be satisfied")
        return data[offset : None if length is None else offset + length]


@breaks("storage 2")
class OpenRangeAtTheEnd(Memory):
    """To read on from the end is an error, where no length is given."""

    def read(self, path, offset=0, length=None):
        if length is None and offset and offset >= len(self.data(path)):
            raise OSError("416: the range cannot be satisfied")
        return super().read(path, offset, length)


@breaks("storage 2")
class FullPartsOnly(Memory):
    """An object that ends with a full part of 5 MiB gets another one, of nothing, which is an error."""

    def publish(self, path, data):
        if data and not len(data) % _PART:
            raise OSError("a part must not be empty")
        super().publish(path, data)


@breaks("storage 6")
class PartsStay(Memory):
    """Once a part was sent, an error does not keep it from being published."""

    @contextmanager
    def writer(self, path):
        writer = Writer(self, path)
        try:
            with super().writer(path) as inner:
                inner.write = lambda data: (writer.write(data), Writer.write(inner, data))
                yield inner
        except BaseException:
            if len(writer.data) >= _PART:
                self.publish(path, bytes(writer.data[:_PART]))
            raise


@breaks("storage 6")
class CleansUpByName(Memory):
    """After an error the name is cleared, whoever has published under it meanwhile."""

    @contextmanager
    def writer(self, path):
        begun = False
        try:
            with super().writer(path) as writer:
                begun = True
                yield writer
        except FileExistsError:
            raise
        except BaseException:
            if begun:
                self.place.objects.pop(path, None)
            raise


@breaks("storage 12")
class PageOfExactlyAThousand(Memory):
    """Where the last page is full, another one is asked for, which is an error."""

    def list(self, prefix=""):
        stats = super().list(prefix)
        if stats and not len(stats) % 1000:
            raise OSError("the marker names no object")
        return stats


@breaks("storage 12")
class PagesByNumber(Memory):
    """Pages begin at a number, so that what is deleted between two of them has others passed over."""

    def list(self, prefix=""):
        at = 0
        while page := super().list(prefix)[at : at + 1000]:
            yield from page
            at += 1000


@breaks("storage 12")
class CursorOfTheDictionary(Memory):
    """A listing ends with an error once something is deleted that it has listed."""

    def list(self, prefix=""):
        folder = f"{prefix}/" if prefix else ""
        known = {stat.path: stat for stat in super().list()}
        for path in self.place.objects:
            if path.startswith(folder):
                yield known[path]
        yield from (stat for path, stat in known.items() if path in self.place.unfinished and path.startswith(folder))


@breaks("storage 21")
class LeaseNamesCut(Memory):
    """Leases of names that begin alike are one."""

    def held(self, name, ttl, alone):
        return super().held(name[:8], ttl, alone)


@breaks("storage 24")
class RenewedTenTimes(Memory):
    """A lease is renewed ten times, as a limit of retries has it."""

    @contextmanager
    def renewing(self, name, holder, ttl, alone):
        ended = threading.Event()

        def renew():
            for _ in range(10):
                if not ended.wait(ttl / 3) and self.still_held(name, holder):
                    self.place.leases[name][holder] = (self.until(ttl), alone)

        thread = threading.Thread(target=renew, daemon=True)
        thread.start()
        yield
        ended.set()
        thread.join()


@breaks("storage 29")
class ReleasesWhatOthersHold(Memory):
    """Whoever has lost a lease ends it all the same, and with it that of its new holder."""

    def release(self, name, holder):
        held = self.place.leases[name]
        if holder in held:
            held.pop(holder)
        else:
            held.clear()


@breaks("storage 29")
class DeletesManyLate(_Streams):
    """Whoever has lost a lease deletes many all the same."""

    def delete_many(self, paths):
        for path in paths:
            self.place.objects.pop(path, None)


@breaks("storage 31")
class DeletesAFullPage(_Streams):
    """Of exactly a thousand, or twice as many, another request of none is made, which is an error."""

    def delete_many(self, paths):
        paths = list(paths)
        if paths and not len(paths) % 1000:
            raise OSError("400: nothing to delete")
        super().delete_many(paths)


@breaks("storage 18")
class TellsSecretsInErrors(Memory):
    """What is missing is told with the URL of the place."""

    def data(self, path):
        try:
            return super().data(path)
        except FileNotFoundError:
            raise FileNotFoundError(f"memory://user:s3cret@place/{path}") from None


add_suites(globals(), suite_of)
