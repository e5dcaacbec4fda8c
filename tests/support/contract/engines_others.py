# mypy: ignore-errors
"""Engines that break one sentence each: patterns together, moments of proofs, replacing, and what errors tell."""

import os
import secrets
import time
from dataclasses import replace
from fnmatch import fnmatch

from holdfast.api import Capability, Change, Failure, LockedError, Preview, Source, Step, UnreachableError, UsageError
from support.contract import add_suites, breaks
from support.contract.sound_engine import (
    Dump,
    Restore,
    Scratch,
    Shelf,
    chosen,
    digests,
    name_of,
    suite_of,
    with_part,
)


def _matches(name, patterns):
    return any(fnmatch(name, pattern) for pattern in patterns)


@breaks("engine 23")
class SelectBeatsExclude(Shelf):
    """What is excluded is dumped where something is selected."""

    @staticmethod
    def chosen(names, request):
        every = chosen(names, replace(request, exclude=()))
        return every if request.select else chosen(names, request)


@breaks("engine 25")
class RestoresExcludedSelection(Shelf):
    """What is excluded is restored where something is selected."""

    @staticmethod
    def chosen_to_restore(names, request):
        every = chosen(names, replace(request, exclude=()))
        return every if request.select else chosen(names, request)


@breaks("engine 22")
class FirstPatternOnly(Shelf):
    """Of several patterns the first is honoured."""

    @staticmethod
    def chosen(names, request):
        every = chosen(names, request)
        return [name for name in every if not request.select or fnmatch(name, request.select[0])]


@breaks("engine 24")
class RestoresFirstPattern(Shelf):
    """Of several patterns the first is restored."""

    @staticmethod
    def chosen_to_restore(names, request):
        every = chosen(names, request)
        return [name for name in every if not request.select or fnmatch(name, request.select[0])]


@breaks("engine 26")
class SomeMatchIsEnough(Shelf):
    """One of the patterns has to match something; a mistyped one among them is quietly without effect."""

    @staticmethod
    def chosen(names, request):
        kept = [name for name in names if not request.select or _matches(name, request.select)]
        if not kept or (request.exclude and not any(_matches(name, request.exclude) for name in names)):
            raise UsageError("the patterns match nothing")
        return [name for name in kept if not _matches(name, request.exclude)]

    chosen_to_restore = chosen


@breaks("engine 10")
@with_part("dump")
class ProofOfLater(Dump):
    """The proof is computed on a connection of its own, of what is there by then."""

    def proof(self):
        live = self.engine.server.content(name_of(self.request.url))
        return digests({name: live[name] for name in self.held})


@breaks("engine 6")
@with_part("dump")
class IdentityOfContent(Dump):
    """The identity is another one once the content is."""

    def __init__(self, engine, request):
        super().__init__(engine, request)
        content = hash(tuple(engine.server.content(self.source.name).values()))
        self.source = Source(name=self.source.name, identity=f"{self.source.identity}/{content}")


class _NotAtomic(Shelf):
    capabilities = Shelf.capabilities - {Capability.ATOMIC_RESTORE}


@breaks("engine 18")
class DropsOnEntering(_NotAtomic):
    """What is to be replaced is dropped as soon as the restore is entered."""

    class make_restore(Restore):  # noqa: N801
        def __init__(self, engine, request):
            super().__init__(engine, request)
            if request.replace and not request.dry_run:
                self.databases.pop(self.name, None)


@breaks("engine 18")
class DropsInDryRun(_NotAtomic):
    """A dry run drops what it says would be replaced."""

    class make_restore(Restore):  # noqa: N801
        def preview(self, blobs):
            preview = super().preview(blobs)
            self.databases.pop(self.name, None)
            return preview


@breaks("engine 17")
@with_part("restore")
class NothingToReplace(Restore):
    """To replace what is not there is an error."""

    def __init__(self, engine, request):
        super().__init__(engine, request)
        if request.replace and not request.dry_run and self.name not in self.databases:
            raise UnreachableError(f"there is no {self.name} to be replaced")


@breaks("engine 27")
@with_part("restore")
class PreviewsRest(Restore):
    """What was not selected is called gone, as with a whole restore."""

    def preview(self, blobs):
        preview = super().preview(blobs)
        rest = [name for name in self.databases.get(self.name, {}) if name not in self.names]
        gone = tuple(Change(action="gone", kind="part", name=name) for name in rest)
        return Preview(changes=preview.changes + gone, whole=preview.whole)


@breaks("engine 5")
class SecretInErrors(Shelf):
    """What cannot be opened is told by its URL."""

    def dump(self, request):
        if name_of(request.url) not in self.server.databases:
            raise UnreachableError(f"cannot open {request.url}")
        return super().dump(request)


@breaks("engine 3")
class OneCursorForAll(Shelf):
    """Streams that are read at once have one cursor, though it lists PARALLEL_DUMP."""

    capabilities = Shelf.capabilities | {Capability.PARALLEL_DUMP}

    class make_dump(Dump):  # noqa: N801
        def read(self, stream):
            self.current = stream.name
            data = self.data(stream.name)
            time.sleep(0.05)  # another thread is there by then
            for at in range(0, len(data), 1 << 20):
                yield self.data(self.current)[at : at + (1 << 20)]


@breaks("engine 3")
class OneLoadAtATime(Shelf):
    """Loads that run at once have one place, though it lists PARALLEL_RESTORE."""

    capabilities = Shelf.capabilities | {Capability.PARALLEL_RESTORE}

    class make_restore(Restore):  # noqa: N801
        def __init__(self, engine, request):
            super().__init__(engine, request)
            self.steps = [Step(stream=name, parallel=True) for name in self.names]

        def load(self, step, blob):
            self.current = step.stream
            time.sleep(0.05)  # another thread is there by then
            data = b"".join(blob.chunks())
            self.databases.setdefault(self.partial, {})[self.current] = data


def _counted(proof, count):
    objects = tuple(replace(entry, rows=count(entry.rows)) for entry in proof.objects)
    return replace(proof, objects=objects)


@breaks("engine 33")
class CountsTwice(Shelf):
    """Rows are counted by two threads of which each reads all of them."""

    class make_dump(Dump):  # noqa: N801
        def proof(self):
            return _counted(super().proof(), lambda rows: 2 * rows)

    class make_scratch(Scratch):  # noqa: N801
        def proof(self, recorded):
            return _counted(super().proof(recorded), lambda rows: 2 * rows)


@breaks("engine 33")
class CountsChunks(Shelf):
    """What is counted are chunks, as long as there are any."""

    class make_dump(Dump):  # noqa: N801
        def proof(self):
            return _counted(super().proof(), lambda rows: min(rows, 1))


@breaks("engine 34")
@with_part("restore")
class LeavesKilled(Restore):
    """What a killed restore has built lies under another name each time, and nobody clears it away."""

    def __init__(self, engine, request):
        super().__init__(engine, request)
        self.partial = f"{self.partial}_{secrets.token_hex(4)}"


@breaks("engine 34")
@with_part("restore")
class StopsAtKilled(Restore):
    """Whoever finds what another restore has built takes it for at work."""

    def __init__(self, engine, request):
        super().__init__(engine, request)
        if self.partial in self.databases:
            raise LockedError(f"{self.name} is being restored")


@breaks("engine 34")
class AddsToKilled(Shelf):
    """What a killed restore has loaded is added to."""

    class make_restore(Restore):  # noqa: N801
        def load(self, step, blob):
            data = self.databases.setdefault(self.partial, {})
            data[step.stream] = data.get(step.stream, b"") + b"".join(blob.chunks())


@breaks("engine 34")
class LoadsInPlace(Shelf):
    """What is loaded is there before the commit, and gone only where the restore is left."""

    class make_restore(Restore):  # noqa: N801
        def load(self, step, blob):
            super().load(step, blob)
            self.before = self.databases.get(self.name)
            self.databases[self.name] = dict(self.databases[self.partial])
            self.placed = True

        def leave(self):
            if getattr(self, "placed", False) and not self.committed:
                if self.before is None:
                    self.databases.pop(self.name, None)
                else:
                    self.databases[self.name] = self.before
            super().leave()


@breaks("engine 35")
@with_part("dump")
class PrintsProgress(Dump):
    """What is dumped is printed."""

    def read(self, stream):
        print(stream.name)
        yield from super().read(stream)


@breaks("engine 36")
@with_part("restore")
class FailuresOfNothing(Restore):
    """What it has skipped without a word, as it was told to, is a failure of each restore."""

    @property
    def failures(self):
        return [Failure(kind="role", name="app", message="it is not restored")]


@breaks("engine 36")
@with_part("restore")
class WarningOfSeveralLines(Restore):
    """What it has to say comes as the server says it."""

    warnings = ("a notice\nDETAIL: of the server",)


@breaks("engine 37")
@with_part("restore")
class SkipsWhatItLikes(Restore):
    """A stream that is large can be made again, and is left out of each restore."""

    skipped_streams = ("sales",)


@breaks("engine 35")
@with_part("restore")
class SetsUmask(Restore):
    """Files are to be private, of the whole program from then on."""

    def load(self, step, blob):
        os.umask(0o177)
        super().load(step, blob)


add_suites(globals(), suite_of)
