# mypy: ignore-errors
"""Engines whose restores break one sentence each."""

from contextlib import contextmanager
from dataclasses import replace

from holdfast.api import Step, UnsafeError, UsageError
from support.contract import add_suites, breaks
from support.contract.sound_engine import Dump, Restore, Shelf, chosen, name_of, suite_of, with_part


@breaks("engine 3")
@with_part("restore")
class LoadsFirstChunk(Restore):
    """Only the first chunk of a blob is loaded."""

    def load(self, step, blob):
        chunks = list(blob.chunks())
        self.databases.setdefault(self.partial, {})[step.stream] = chunks[0] if chunks else b""


@breaks("engine 3")
@with_part("restore")
class SkipsEmpty(Restore):
    """What is empty is not restored."""

    def load(self, step, blob):
        if blob.stream.size:
            super().load(step, blob)


@breaks("engine 3")
@with_part("restore")
class StepsForgotten(Restore):
    """A stream has no step."""

    def __init__(self, engine, request):
        super().__init__(engine, request)
        self.steps = self.steps[1:]


@breaks("engine 16")
@with_part("restore")
class NeverRefuses(Restore):
    """A target with data is taken without being asked."""

    def __init__(self, engine, request):
        held = engine.server.databases.pop(name_of(request.url), None)
        try:
            super().__init__(engine, request)
        finally:
            if held is not None:
                engine.server.databases[self.name] = held


@breaks("engine 16")
@with_part("restore")
class RefusesAfterwards(Restore):
    """A target with data is refused once it has been emptied."""

    def __init__(self, engine, request):
        try:
            super().__init__(engine, request)
        except UnsafeError:
            engine.server.databases[name_of(request.url)] = {}
            raise


@breaks("engine 16")
@with_part("restore")
class RefusesOtherwise(Restore):
    """That a target holds data is an error of another class."""

    def __init__(self, engine, request):
        try:
            super().__init__(engine, request)
        except UnsafeError as error:
            raise UsageError(error.message) from error


@breaks("engine 17")
@with_part("restore")
class Merges(Restore):
    """What the target held stays where the backup has the same."""

    def commit(self):
        old = self.databases.get(self.name, {})
        super().commit()
        self.databases[self.name].update(old)


@breaks("engine 17")
@with_part("restore")
class RefusesReplacing(Restore):
    """A target with data is refused in any case."""

    def __init__(self, engine, request):
        super().__init__(engine, request)
        if engine.server.databases.get(self.name):
            raise UnsafeError("it holds data")


@breaks("engine 17")
@with_part("restore")
class OldLeft(Restore):
    """What was replaced is left beside the target."""

    def commit(self):
        if self.name in self.databases:
            self.databases[f"{self.name}_old"] = self.databases[self.name]
        super().commit()


@breaks("engine 18")
@with_part("restore")
class MakesTarget(Restore):
    """Entering makes the target."""

    def __init__(self, engine, request):
        super().__init__(engine, request)
        self.databases.setdefault(self.name, {})


@breaks("engine 18")
@with_part("restore")
class EmptiesTarget(Restore):
    """Entering makes what it loads into, and leaving forgets it."""

    def __init__(self, engine, request):
        super().__init__(engine, request)
        self.databases.setdefault(self.partial, {})

    def leave(self):
        pass


@breaks("engine 19")
@with_part("restore")
class VisibleAtOnce(Restore):
    """What is loaded is visible at once, and stays."""

    def __init__(self, engine, request):
        super().__init__(engine, request)
        self.partial = self.name

    def commit(self):
        self.committed = True

    def leave(self):
        pass


@breaks("engine 19")
@with_part("restore")
class CommitsWhenLeft(Restore):
    """Leaving is enough to commit."""

    def commit(self):
        pass

    def leave(self):
        if self.partial in self.databases:
            super().commit()


@breaks("engine 19")
@with_part("restore")
class CommitsWithLast(Restore):
    """The last load commits."""

    def load(self, step, blob):
        super().load(step, blob)
        if step.stream == self.names[-1]:
            super().commit()

    def commit(self):
        pass


@breaks("engine 19")
@with_part("restore")
class LeavesHalf(Restore):
    """What was loaded is left beside the target."""

    def leave(self):
        pass


@breaks("engine 19")
class UndoesErrors(Shelf):
    """Only a context that is left with an error undoes what was done."""

    @contextmanager
    def restore(self, request):
        session = self.make_restore(self, request)
        try:
            yield session
        except BaseException:
            session.leave()
            raise


@breaks("engine 20")
@with_part("restore")
class EmptiesFirst(Restore):
    """What is to be replaced is emptied by the first load."""

    def load(self, step, blob):
        if self.databases.get(self.name):
            self.databases[self.name] = {}
        super().load(step, blob)


@breaks("engine 20")
@with_part("restore")
class ReplacesOneByOne(Restore):
    """What is to be replaced is replaced part by part."""

    def load(self, step, blob):
        super().load(step, blob)
        if self.name in self.databases:
            self.databases[self.name].pop(step.stream, None)


@breaks("engine 21")
@with_part("restore")
class BelievesBlobs(Restore):
    """What is damaged is loaded all the same."""

    def load(self, step, blob):
        data = bytearray()
        try:
            for chunk in blob.chunks():
                data += chunk
        except Exception:
            self.databases[self.name] = {step.stream: bytes(data)}
            raise
        self.databases.setdefault(self.partial, {})[step.stream] = bytes(data)


def everything(names, request):
    return names


@breaks("engine 22")
class DumpsAll(Shelf):
    """A selection is not honoured by a dump."""

    chosen = staticmethod(everything)


@breaks("engine 22")
class SelectsNames(Shelf):
    """Patterns are names, so that none matches."""

    @staticmethod
    def chosen(names, request):
        chosen(names, request)
        return [name for name in names if name in request.select] or names[1:] if request.select else names


@breaks("engine 23")
class ExcludesNothing(Shelf):
    """What is excluded is dumped."""

    @staticmethod
    def chosen(names, request):
        picked = chosen(names, request)
        return names if request.exclude else picked


@breaks("engine 23")
class ExcludeSelects(Shelf):
    """What is excluded is all that is dumped."""

    @staticmethod
    def chosen(names, request):
        picked = chosen(names, request)
        return [name for name in names if name not in picked] if request.exclude else picked


@breaks("engine 24")
class RestoresAll(Shelf):
    """A selection is not honoured by a restore."""

    @staticmethod
    def chosen_to_restore(names, request):
        picked = chosen(names, request)
        return names if request.select else picked


@breaks("engine 25")
class RestoresExcluded(Shelf):
    """What is excluded is restored."""

    @staticmethod
    def chosen_to_restore(names, request):
        picked = chosen(names, request)
        return names if request.exclude else picked


def lenient(names, request):
    """Choose, whether a pattern matches or not."""
    matching = [pattern for pattern in request.select if chosen_safely(names, pattern)]
    if request.select and not matching:
        return []
    return (
        names if not request.exclude else chosen(names, request) if chosen_safely(names, request.exclude[0]) else names
    )


def chosen_safely(names, pattern):
    from fnmatch import fnmatch

    return any(fnmatch(name, pattern) for name in names)


@breaks("engine 26")
class NothingIsWell(Shelf):
    """A pattern that matches nothing excludes nothing, quietly."""

    @staticmethod
    def chosen(names, request):
        return lenient(names, request)


@breaks("engine 26")
class RestoresNothing(Shelf):
    """A pattern that matches nothing makes an empty target."""

    @staticmethod
    def chosen_to_restore(names, request):
        return lenient(names, request)

    class make_dump(Dump):  # noqa: N801
        pass


@breaks("engine 29")
@with_part("restore")
class MergeDropsRest(Restore):
    """What was not selected is gone afterwards."""

    def commit(self):
        self.databases[self.name] = self.databases.pop(self.partial, {})


@breaks("engine 29")
@with_part("restore")
class MergeTakesMore(Restore):
    """All of the backup is put in the place of what is there."""

    def __init__(self, engine, request):
        super().__init__(engine, request)
        if request.selective and self.databases.get(self.name):
            self.steps = [Step(stream=stream.name) for stream in request.streams]


@breaks("engine 29")
@with_part("restore")
class MergeUnasked(Restore):
    """A selection takes the place of what is there without being asked."""

    def __init__(self, engine, request):
        super().__init__(engine, replace(request, replace=request.replace or request.selective))


@breaks("engine 29")
@with_part("restore")
class MergeRefusedLate(Restore):
    """A merge is refused once it has begun."""

    def commit(self):
        if self.request.selective and self.databases.get(self.name):
            self.databases[self.name].pop(self.names[0], None)
            raise UnsafeError("it holds data")
        super().commit()


add_suites(globals(), suite_of)
